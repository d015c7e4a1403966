"""``s2ct build`` against a stand-in for the service: the store of convert, few archives on disk, safe stops."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import plain
import pytest
from servers.zenodo import RECORD, Handler, good
from twins import first_quick

import s2ct_convert
from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_SOURCE, EXIT_USAGE
from s2ct_convert.events import Event
from s2ct_convert.record.events import FileStarted
from s2ct_convert.units.events import SourceSkipped, UnitDone, UnitProgress, UnitsPlanned

from .helpers import assert_says

KEYS = ("train_50SMG_2.7z", "train_51SMG_2.7z", "val_50SMG_2.7z")
OPTIONS = ("--record", RECORD, "--file", "*.7z")


@pytest.fixture(scope="module")
def undisturbed(archives, tmp_path_factory) -> dict[str, Path]:
    """Stores that ``s2ct convert`` makes of the same archives, by suffix."""
    folder = tmp_path_factory.mktemp("undisturbed")
    sources = folder / "archives"
    sources.mkdir()
    for key in KEYS:
        (sources / key).write_bytes(archives[key])
    for suffix in ("zarr", "h5"):
        s2ct_convert.convert(sources, folder / f"x.{suffix}")
    return {suffix: folder / f"x.{suffix}" for suffix in ("zarr", "h5")}


def assert_same(store: Path, other: Path) -> None:
    """Compare every array of every unit and the store digest; in a Zarr store also the files of the units."""
    assert plain.store_digest(store) == plain.store_digest(other)
    for unit in plain.unit_names(other):
        one, two = plain.arrays(store, unit), plain.arrays(other, unit)
        assert {name: array.tobytes() for name, array in one.items()} == {
            name: array.tobytes() for name, array in two.items()
        }
        if store.is_dir():
            assert plain.file_bytes(store / unit) == plain.file_bytes(other / unit)


def here(store: Path) -> set[str]:
    """Archives beside a store, whole or partial."""
    folder = store.with_name(f"{store.name}.archives")
    return {path.name for path in folder.iterdir() if ".7z" in path.name and not path.name.endswith(".lease")}


def watched(zenodo, store: Path) -> list[int]:
    """The number of archives on disk at each request of a file, including the requested one."""
    seen: list[int] = []

    def watch(handler: Handler, data: bytes, start: int) -> None:
        key = next(key for key in KEYS if key in handler.path)
        others = {name for name in here(store) if not name.startswith(key)}
        seen.append(len(others) + 1)
        good(handler, data, start)

    for key in KEYS:
        zenodo.vices[key] = [watch] * 9
    return seen


@pytest.mark.parametrize(
    ("suffix", "most", "jobs"), first_quick([("zarr", 3, 2), ("h5", 2, 1), ("zarr", 1, 1)], quick=2)
)
def test_build_makes_the_store_of_convert_with_few_archives_on_disk(
    run, zenodo, undisturbed, tmp_path, suffix, most, jobs
):
    store = tmp_path / f"x.{suffix}"
    seen = watched(zenodo, store)
    done = run("build", store, *OPTIONS, "--archives", most, "-j", jobs)
    assert done.returncode == 0, done.stderr
    assert_same(store, undisturbed[suffix])
    assert len(seen) == 3
    assert max(seen) <= most
    assert here(store) == set()
    assert "units         3 converted" in done.stdout
    assert len(zenodo.requests) == 1 + 3
    again = run("build", store, *OPTIONS)
    assert again.returncode == 0, again.stderr
    assert "0 converted, 3 done before" in again.stdout
    assert len(zenodo.requests) == 1 + 3, "a complete store needs no request"


def test_keep_archives_keeps_all_and_existing_ones_are_not_downloaded(run, zenodo, archives, tmp_path):
    store = tmp_path / "x.zarr"
    folder = tmp_path / "x.zarr.archives"
    folder.mkdir()
    (folder / KEYS[0]).write_bytes(archives[KEYS[0]])
    done = run("build", store, *OPTIONS, "--keep-archives", "--archives", "1", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["complete"]
    assert {key: (folder / key).read_bytes() for key in KEYS} == {key: archives[key] for key in KEYS}
    assert [len(zenodo.asked(key)) for key in KEYS] == [0, 1, 1]


def test_a_selection_is_built_and_the_rest_can_follow(run, zenodo, undisturbed, tmp_path):
    store = tmp_path / "x.zarr"
    done = run("build", store, *OPTIONS, "--split", "val")
    assert done.returncode == 0, done.stderr
    assert plain.unit_names(store) == ["val/50SMG"]
    done = run("build", store, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert [len(zenodo.asked(key)) for key in KEYS] == [1, 1, 1]
    assert_same(store, undisturbed["zarr"])


def test_a_failed_download_does_not_stop_the_others(run, zenodo, undisturbed, tmp_path):
    store = tmp_path / "x.zarr"
    zenodo.vices[KEYS[1]] = [lambda handler, data, start: handler.answer(404, b"{}")] * 20
    done = run("build", store, *OPTIONS)
    assert_says(done, EXIT_INCOMPLETE, "train/51SMG: FAILED", KEYS[1], "run the same command again")
    assert sorted(plain.unit_names(store)) == ["train/50SMG", "val/50SMG"]
    zenodo.vices.clear()
    done = run("build", store, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert [len(zenodo.asked(key)) for key in (KEYS[0], KEYS[2])] == [1, 1]
    assert_same(store, undisturbed["zarr"])


def test_bytes_with_another_md5_are_never_converted(run, zenodo, archives, tmp_path):
    store = tmp_path / "x.zarr"
    wrong = bytearray(archives[KEYS[0]])
    wrong[40] ^= 1

    def lie(handler: Handler, data: bytes, start: int) -> None:
        good(handler, bytes(wrong), start)

    zenodo.vices[KEYS[0]] = [lie] * 20
    done = run("build", store, "--record", RECORD, "--file", KEYS[0])
    assert done.returncode == 4, done.stderr
    assert "md5" in done.stderr
    assert not list(store.glob("*/*/image"))
    assert not list((tmp_path / "x.zarr.s2ct" / "units").iterdir())


def test_an_archive_that_changes_after_its_check_is_not_converted(zenodo, archives, tmp_path):
    """Its receipt is valid but its bytes have changed: the md5 of the bytes that were read decides."""
    store = tmp_path / "x.zarr"
    folder = tmp_path / "x.zarr.archives"
    zenodo.files[KEYS[0]] = archives[KEYS[0]] + bytes(9)  # unpackers ignore bytes after an archive
    s2ct_convert.download(folder, record=RECORD, files=[KEYS[0]], base_url=zenodo.url)
    status = (folder / KEYS[0]).stat()
    with open(folder / KEYS[0], "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    os.utime(folder / KEYS[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(s2ct_convert.UnitsFailed) as failed:
        s2ct_convert.build(store, record=RECORD, files=[KEYS[0]], base_url=zenodo.url)
    assert failed.value.exit_code == EXIT_SOURCE
    assert not list((tmp_path / "x.zarr.s2ct" / "units").iterdir())
    assert (folder / KEYS[0]).exists()


def test_one_callback_gets_file_and_unit_events_one_at_a_time(zenodo, tmp_path):
    """The callback blocks on the start of the second file, while the first is converted; no other call may overlap."""
    events, inside, met = [], threading.Lock(), threading.Event()

    def on_event(event: Event) -> None:
        if not inside.acquire(blocking=False):
            met.set()
            return
        events.append(event)
        if isinstance(event, FileStarted) and sum(isinstance(one, FileStarted) for one in events) == 2:
            met.wait(2.0)
        inside.release()

    s2ct_convert.build(tmp_path / "x.zarr", record=RECORD, files=["*.7z"], base_url=zenodo.url, on_event=on_event)
    assert not met.is_set()
    assert {event.key for event in events if isinstance(event, FileStarted)} == set(KEYS)
    assert sorted(event.entry.source_file for event in events if isinstance(event, UnitDone)) == sorted(KEYS)


def test_progress_reaches_the_total_when_a_file_holds_no_unit(zenodo, archives, tmp_path):
    """The bytes of a file that is damaged or holds no unit are skipped, so that the time left is right."""
    zenodo.files[KEYS[0]], events = archives[KEYS[0]][:-9], []
    with pytest.raises(s2ct_convert.UnitsFailed):
        s2ct_convert.build(tmp_path / "x.zarr", record=RECORD, base_url=zenodo.url, on_event=events.append)
    planned = sum(event.bytes for event in events if isinstance(event, UnitsPlanned))
    assert planned == sum(map(len, zenodo.files.values()))
    assert planned == sum(event.bytes for event in events if isinstance(event, UnitProgress | SourceSkipped))
    skipped = [event.bytes for event in events if isinstance(event, SourceSkipped)]
    assert sorted(skipped) == sorted([len(zenodo.files[KEYS[0]]), len(archives["about.txt"])])


def test_wrong_usage_writes_no_store(run, zenodo, tmp_path):
    for options, part in (
        (("x.unknown",), "--format zarr or --format hdf5"),
        (("x.zarr", "--tile", "31TCJ"), "the record has no tile 31TCJ"),
    ):
        done = run("build", tmp_path / options[0], *options[1:], *OPTIONS)
        assert_says(done, EXIT_USAGE, part)
    assert not list(tmp_path.glob("x.*/zarr.json"))


class Building:
    """A build in its own process group, which a test can interrupt."""

    def __init__(self, store: Path, url: str) -> None:
        command = [sys.executable, "-m", "s2ct_convert", "build", str(store), *OPTIONS, "-j2", "--archives", "2"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "S2CT_ZENODO_URL": url},
        )

    def read_to(self, word: str) -> str:
        assert self.process.stderr is not None
        seen = ""
        for line in self.process.stderr:
            seen += line
            if word in line:
                return seen
        raise AssertionError(f"{word!r} was never printed:\n{seen}")


def stalls(handler: Handler, data: bytes, start: int) -> None:
    """Send half of the data, then stall."""
    handler.head(200, len(data), {})
    handler.wfile.write(data[: len(data) // 2])
    handler.wfile.flush()
    handler.server.stand_in.release.wait(60)
    handler.close_connection = True


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_build_resumes_after_a_signal(run, zenodo, archives, undisturbed, tmp_path, number, code, word):
    store = tmp_path / "x.zarr"
    _, *others = sorted(KEYS, key=lambda key: len(archives[key]))  # the smallest is fetched first
    largest, last = sorted(others, key=lambda key: -len(archives[key]))
    zenodo.vices[last] = [stalls]
    building = Building(store, zenodo.url)
    building.read_to(f"{'/'.join(largest.split('_')[:2])}: done")
    building.process.send_signal(number)
    _, stderr = building.process.communicate(timeout=60)
    assert building.process.returncode == code, stderr
    assert word in stderr
    assert "Traceback" not in stderr
    zenodo.release.set()
    before = len(zenodo.asked(largest))
    done = run("build", store, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert len(zenodo.asked(largest)) == before, "its unit was already done"
    assert zenodo.asked(last)[-1] > 0, "the download resumes"
    assert_same(store, undisturbed["zarr"])
    assert here(store) == set()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_repeated_kills_give_the_same_store_without_repeated_downloads(run, zenodo, undisturbed, tmp_path, suffix):
    """Send SIGKILL after a random number of lines, until all units are done."""
    chance = random.Random(20181026)
    for n in range(8):
        store = tmp_path / str(n) / f"x.{suffix}"
        store.parent.mkdir()
        zenodo.requests.clear()
        for _ in range(30):
            units = store.with_name(f"{store.name}.s2ct") / "units"
            done = {path.stem for path in units.glob("*.json")} if units.exists() else set()
            asked = {key: len(zenodo.asked(key)) for key in KEYS}
            building = Building(store, zenodo.url)
            assert building.process.stderr is not None
            for _, _line in zip(range(chance.randrange(1, 9)), building.process.stderr, strict=False):
                pass
            os.killpg(building.process.pid, signal.SIGKILL)
            building.process.communicate()
            for key in KEYS:
                if key.removesuffix("_2.7z") in done:
                    assert len(zenodo.asked(key)) == asked[key], "nothing is downloaded for a finished unit"
            if len(done) == 3:
                break
        last = run("build", store, *OPTIONS)
        assert last.returncode == 0, last.stderr
        assert_same(store, undisturbed[suffix])
        assert here(store) == set()
