"""Conversions with a 7-Zip program: equal stores, the unpacker in the ledger, and no leftovers of a failed unit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import plain
import pytest
from archives.native_programs import PROGRAM, needs_7zip, script, wait_until_gone, without_a_wheel
from makers import random_group, tfrecord_bytes, write_archive, write_tfrecord
from twins import first_quick, zarr_first

import s2ct_convert
from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_SOURCE, UnpackerWarning, WrongUsage
from s2ct_convert.names import UnitName
from s2ct_convert.units.ledger import Ledger

UNIT = "train_50SMG_1"


@pytest.fixture(scope="module")
def data() -> bytes:
    return tfrecord_bytes([random_group(np.random.default_rng(4), 5, 40)])


@pytest.fixture
def archive(tmp_path, data) -> Path:
    return write_archive(tmp_path / f"{UNIT}.7z", {UNIT: data})


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Make a script the first 7-Zip program on the PATH."""

    def make(body: str) -> None:
        script(tmp_path / "bin", body)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return make


@needs_7zip
@pytest.mark.parametrize("jobs", first_quick([2, 1]))
@zarr_first
def test_the_store_has_the_same_bytes_with_every_unpacker(tmp_path, suffix, jobs, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    stores = {}
    for unpacker in ("python", "7zz", "auto"):
        store = tmp_path / unpacker / f"x.{suffix}"
        store.parent.mkdir()
        sources = s2ct_convert.sample_sources()
        summary = s2ct_convert.convert(sources, store, unpacker=unpacker, jobs=jobs, command="c")
        by = "python" if unpacker == "python" else PROGRAM.name
        assert summary.unpackers == (by,)
        entries = [Ledger(store).entry(UnitName.from_path(entry.unit)) for entry in summary.converted]
        assert [entry.unpacker for entry in entries] == [by] * len(sources)
        stores[unpacker] = plain.file_bytes(store)
    assert stores["python"] == stores["7zz"] == stores["auto"]


@needs_7zip
def test_a_member_with_an_unsafe_name_is_unpacked_by_python(tmp_path, data):
    path = write_archive(tmp_path / f"{UNIT}.7z", {f"Wälder/{UNIT}": data, "notes": b"text"})
    (entry,) = s2ct_convert.convert(path, tmp_path / "x.zarr").converted
    assert entry.unpacker == "python, because its name has slashes or special characters"
    with pytest.raises(s2ct_convert.UnitsFailed, match="1 of 1") as failed:
        s2ct_convert.convert(path, tmp_path / "y.zarr", unpacker="7zz")
    assert "use --unpacker auto or python" in failed.value.summary.failures[0].message


def test_a_bare_tfrecord_has_no_unpacker(tmp_path, rng):
    summary = s2ct_convert.convert(write_tfrecord(tmp_path, [random_group(rng, 1, 3)]), tmp_path / "x.zarr")
    assert (summary.converted[0].unpacker, summary.unpackers) == (None, ())


def test_an_entry_without_an_unpacker_is_valid(tmp_path, archive):
    store = tmp_path / "x.zarr"
    s2ct_convert.convert(archive, store)
    (path,) = (tmp_path / "x.zarr.s2ct" / "units").iterdir()
    entry = json.loads(path.read_text())
    del entry["unpacker"]
    path.write_text(json.dumps(entry))
    assert [old.unpacker for old in s2ct_convert.convert(archive, store).skipped] == [None]


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ("tr a b <DATA", EXIT_SOURCE, "checksum|CRC32"),
        ("head -c -1 DATA", EXIT_SOURCE, "1 bytes too few"),
        ("cat DATA DATA", EXIT_SOURCE, "too many"),
        ("cat DATA; exit 2", EXIT_SOURCE, "exit code 2"),
        ("cat DATA; kill -9 $$", EXIT_INCOMPLETE, "SIGKILL"),
    ],
)
def test_a_failure_of_the_required_program_fails_the_unit(tmp_path, archive, data, only, body, code, word):
    (tmp_path / "data").write_bytes(data)
    only(body.replace("DATA", str(tmp_path / "data")))
    store = tmp_path / "x.zarr"
    with pytest.raises(s2ct_convert.UnitsFailed) as failed:
        s2ct_convert.convert(archive, store, unpacker="7zz")
    (failure,) = failed.value.summary.failures
    assert failure.exit_code == code
    assert any(part in failure.message for part in word.split("|")), failure.message
    assert not list(store.glob("*/*/*"))
    assert not list((tmp_path / "x.zarr.s2ct" / "units").iterdir())
    assert not list((tmp_path / "x.zarr.s2ct" / "work").iterdir())
    assert s2ct_convert.convert(archive, store, unpacker="python").digest


def test_without_a_7zip_program_nothing_is_written(tmp_path, archive, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(without_a_wheel(tmp_path))
    store = tmp_path / "x.zarr"
    with pytest.raises(WrongUsage, match="no working 7-Zip program"):
        s2ct_convert.convert(archive, store, unpacker="7zz")
    assert not store.exists()
    assert s2ct_convert.convert(archive, store).unpackers == ("python",)


@pytest.mark.slow
def test_the_command_shows_the_unpacker(tmp_path, archive, s2ct, data):
    (tmp_path / "data").write_bytes(data)
    script(tmp_path / "bin", f"cat {tmp_path / 'data'}", version="77.01")
    with_it = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = s2ct("convert", archive, tmp_path / "x.zarr", env=with_it)
    assert "unpacked by   7zz 77.01" in done.stdout
    done = s2ct("convert", archive, tmp_path / "y.zarr", "--unpacker", "python", "--json", env=with_it)
    document = json.loads(done.stdout)
    assert (document["unpackers"], document["converted"][0]["unpacker"]) == (["python"], "python")
    site = f"{without_a_wheel(tmp_path)}:{os.environ.get('PYTHONPATH', '')}"
    without = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": site}
    done = s2ct("convert", archive, tmp_path / "z.zarr", "--unpacker", "7zz", env=without)
    assert done.returncode == 2
    assert "install 7-Zip" in done.stderr


@pytest.fixture
def silent(tmp_path) -> Iterator[Path]:
    """A 7-Zip program that writes its process id into the pipe SILENT and then sleeps."""
    script(tmp_path / "bin", 'echo $$ > "$SILENT"; exec sleep 1000')
    os.mkfifo(tmp_path / "pids")
    yield tmp_path / "pids"


SIGNALS = [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 2)]


@pytest.mark.parametrize(
    ("number", "code", "jobs"),
    first_quick([*SIGNALS, (signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 1)], quick=2),
)
def test_a_signal_leaves_no_child(tmp_path, data, silent, number, code, jobs):
    sources = [write_archive(tmp_path / f"{unit}_1.7z", {f"{unit}_1": data}) for unit in ("train_50SMG", "val_50SMG")]
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SILENT": str(silent)}
    command = [sys.executable, "-m", "s2ct_convert", "convert", *sources, tmp_path / "x.zarr", f"-j{jobs}"]
    with (
        open(os.open(silent, os.O_RDWR), "rb", buffering=0) as pipe,
        subprocess.Popen(
            [*map(str, command), "--unpacker", "7zz"], env=environment, start_new_session=True, stderr=subprocess.PIPE
        ) as process,
    ):
        pids = [int(pipe.readline()) for _ in range(jobs)]
        os.killpg(process.pid, number)  # to all its processes, as a terminal and SLURM do
        process.communicate(timeout=60)
    assert process.returncode == code
    for pid in pids:
        wait_until_gone(pid)


@pytest.mark.parametrize("body", ["exit 2", "exit 0", "echo wrong", "head -c 3000000 /dev/zero"])
def test_a_broken_program_is_not_taken_for_a_damaged_archive(tmp_path, archive, data, monkeypatch, body):
    script(tmp_path / "bin", body, version="77.01")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    said: list[object] = []
    summary = s2ct_convert.convert(archive, tmp_path / "x.zarr", on_event=said.append)
    assert summary.unpackers == ("python",)
    assert any("7zz 77.01 failed on an intact archive, which Python read" in str(one) for one in said)
    notes: list[str] = []
    (report,) = s2ct_convert.verify_sources(archive, on_note=notes.append)
    assert report.state == "ok"
    assert any("check " in note for note in notes)
    with pytest.warns(UnpackerWarning, match="which Python read"):
        (compared,) = s2ct_convert.verify_against(tmp_path / "x.zarr", archive)
    assert compared.differences == ()
    with pytest.warns(UnpackerWarning, match="which Python read"):
        (extracted,) = s2ct_convert.extract_archive(archive, tmp_path / "out")
    assert extracted.path.read_bytes() == data
    with pytest.raises(s2ct_convert.UnitsFailed):
        s2ct_convert.convert(archive, tmp_path / "y.zarr", unpacker="7zz")
