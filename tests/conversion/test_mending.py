"""A damaged file is mended from the service: the md5 is right in the end, and only the damage is fetched again."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from archives.sevenzip import handmade, needs_7zip, seven_zip
from makers import flip, random_group, tfrecord_bytes, write_archive
from record.test_fetching import QUICK, all_of_it
from servers.zenodo import RECORD, Handler, StandIn, good, serving

import s2ct_convert
from s2ct_convert.conversion.mending import find_damage
from s2ct_convert.events import Message
from s2ct_convert.record.events import FileDamaged, FileDone, FileRepairing, FilesPlanned
from s2ct_convert.record.manifest import RecordFile
from s2ct_convert.record.partial import partial_path
from s2ct_convert.record.receipts import has_receipt

MEMBER = "train_50SMG_30"
KEY = f"{MEMBER}.7z"
LZMA2 = [{"id": 33, "preset": 0}]


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def records() -> bytes:
    """A TFRecord of 30 examples of 140 kB."""
    rng = np.random.default_rng(15)
    return tfrecord_bytes([random_group(rng, localid, 10) for localid in range(30)])


@pytest.fixture(scope="module")
def data(records, tmp_path_factory) -> bytes:
    """An archive of one LZMA2 block, 3 MB."""
    path = tmp_path_factory.mktemp("mend") / KEY
    data = write_archive(path, {MEMBER: records}, filters=LZMA2).read_bytes()
    assert 2_500_000 < len(data) < 4_200_000
    return data


@pytest.fixture
def zenodo(data) -> Iterator[StandIn]:
    with serving({KEY: data}) as stand_in:
        yield stand_in


def repair(zenodo: StandIn, folder: Path, **options: object) -> s2ct_convert.Report:
    options = {"policy": QUICK, "repair": True, **options}
    return s2ct_convert.download(folder, record=RECORD, base_url=zenodo.url, **options)


def put(folder: Path, data: bytes, key: str = KEY) -> Path:
    (folder / key).write_bytes(data)
    return folder / key


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def with_bytes(data: bytes, new: bytes, at: int) -> bytes:
    return data[:at] + new + data[at + len(new) :]


NOISE = np.random.default_rng(6).bytes(200_000)
# Damage at a place, then the most requests and bytes that mending may take; `rest`: the bytes from there to the end.
DAMAGE = {
    "a bit": (flipped, 1, 500_000),
    "a zeroed page": (lambda data, at: with_bytes(data, bytes(4096), at), 1, 500_000),
    "noise": (lambda data, at: with_bytes(data, NOISE, at), 3, 1_200_000),
    "a missing byte": (lambda data, at: data[:at] + data[at + 1 :], 7, "rest"),
    "an extra byte": (lambda data, at: data[:at] + b"?" + data[at:], 6, "rest"),
    "two bits": (lambda data, at: flipped(flipped(data, at), at // 3), 2, 1_000_000),
}
PLACES = (0.3, 0.5, 0.8)


def assert_mends(data: bytes, kind: str, place: float, folder: Path, key: str = KEY) -> None:
    damage, requests, most = DAMAGE[kind]
    at = int(len(data) * place)
    path = put(folder, damage(data, at), key)
    with serving({key: data}) as zenodo:
        (done,) = repair(zenodo, folder).done
    assert path.read_bytes() == data
    assert 0 < len(zenodo.asked(key)) <= requests
    assert zenodo.sent == done.fetched
    assert done.fetched <= (len(data) - at + 600_000 if most == "rest" else most)
    assert done.repaired == done.fetched - (1 if kind == "a missing byte" else 0)
    assert {one.name for one in folder.iterdir()} == {key, f"{RECORD}.lock.json", ".s2ct-receipts"}
    assert has_receipt(folder, key, hashlib.md5(data).hexdigest())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_in_one_block_is_mended_with_few_bytes(data, tmp_path, kind, place):
    assert_mends(data, kind, place, tmp_path)


@pytest.mark.slow
@needs_7zip
@pytest.mark.parametrize("method", ["-m0=LZMA2:d=1m:c=1m", "-m0=LZMA2:d=16m", "-m0=LZMA", "-m0=Copy"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_mended_whatever_7zip_packed(records, tmp_path, kind, method):
    data = seven_zip(tmp_path / "x.7z", {MEMBER: records}, "-mx=1", method).read_bytes()
    (tmp_path / "here").mkdir()
    assert_mends(data, kind, 0.6, tmp_path / "here")


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_in_a_bare_tfrecord_is_mended(records, tmp_path, kind):
    assert_mends(records, kind, 0.6, tmp_path, MEMBER)


@pytest.mark.slow
@pytest.mark.parametrize("member", ["notes.txt", MEMBER])
def test_damage_in_other_members_is_mended_from_errors_of_the_decoder(tmp_path, member):
    words = np.random.default_rng(3).choice([b"cloud", b"shadow", b"snow", b"clear"], 1_400_000)
    texts = {"first.txt": b"a small one", member: b" ".join(words.tolist())}
    data = write_archive(tmp_path / "x.7z", texts, filters=LZMA2).read_bytes()
    (tmp_path / "here").mkdir()
    damaged = put(tmp_path / "here", flipped(data, len(data) // 2), "x.7z")
    found = find_damage(damaged, "x.7z", never)
    if member == MEMBER:  # a TFRecord by its name, which it is not: nothing good to start from
        assert found is None or found.start == 0
    else:
        assert found.start <= len(data) // 2 < found.end
        with serving({"x.7z": data}) as zenodo:
            (done,) = repair(zenodo, tmp_path / "here").done
        assert 0 < done.repaired < len(data) // 2


HEADERS = {
    "signature": lambda data: flipped(data, 0),
    "checksum of the start header": lambda data: flipped(data, 9),
    "start header": lambda data: bytes(32) + data[32:],
    "first page": lambda data: bytes(4096) + data[4096:],
    "last byte": lambda data: flipped(data, len(data) - 1),
    "end header": lambda data: data[:-30] + bytes(30),
    "last page": lambda data: data[:-4096] + bytes(4096),
}


@pytest.mark.parametrize("plain", [False, pytest.param(True, marks=needs_7zip)])
@pytest.mark.parametrize("case", HEADERS)
def test_a_damaged_header_is_mended(data, records, tmp_path, case, plain):
    if plain:  # 7-Zip leaves small headers plain, py7zr packs them
        data = seven_zip(tmp_path / "x.7z", {MEMBER: records}, "-mx=1", "-mhc=off").read_bytes()
    (tmp_path / "here").mkdir()
    path = put(tmp_path / "here", HEADERS[case](data))
    with serving({KEY: data}) as zenodo:
        (done,) = repair(zenodo, tmp_path / "here").done
    assert path.read_bytes() == data
    assert 0 < done.repaired == zenodo.sent <= 900_000


@pytest.mark.slow
def test_the_packed_form_of_a_header_is_mended(data, tmp_path):
    """py7zr packs the end header; its packed bytes are before the header that locates them."""
    start = 32 + int.from_bytes(data[12:20], "little")
    assert data[start] == 0x17
    put(tmp_path, flipped(data, start - 20))
    found = find_damage(tmp_path / KEY, KEY, never)
    assert found.start < start - 20 < found.end == len(data)


def test_no_damage_is_found_in_a_right_file(data, records, tmp_path):
    for key, right in ((KEY, data), (MEMBER, records), ("about.txt", b"what this is\n"), ("empty", b"")):
        assert find_damage(put(tmp_path, right, key), key, never) is None


@pytest.mark.slow
def test_no_damage_is_found_in_a_member_that_is_wrapped(records, tmp_path):
    path = write_archive(tmp_path / KEY, {MEMBER: gzip.compress(records, 1)}, filters=LZMA2)
    assert find_damage(path, KEY, never) is None


@pytest.mark.slow
def test_of_a_small_file_no_stretch_is_found(records, tmp_path):
    """Half of it or more would be fetched again: then all of it is."""
    path = write_archive(tmp_path / KEY, {MEMBER: records[:400_000]}, filters=LZMA2)
    assert find_damage(flip(path, 200_000), KEY, never) is None


def test_the_search_for_damage_stops_when_asked(data, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        find_damage(put(tmp_path, data), KEY, lambda: True)


def test_a_download_that_came_damaged_is_mended(data, zenodo, tmp_path):
    zenodo.vices[KEY] = [lambda handler, data, start: good(handler, flipped(data, 2_000_000), start)]
    events: list[object] = []
    (done,) = repair(zenodo, tmp_path, repair=False, on_event=events.append).done
    assert (tmp_path / KEY).read_bytes() == data
    assert done.fetched == zenodo.sent == len(data) + done.repaired
    (stretch,) = (one for one in events if isinstance(one, FileRepairing))
    assert zenodo.asked(KEY) == [0, stretch.start]
    assert isinstance(events[events.index(stretch) + 1], FileDone), "no progress: the file is whole"
    assert stretch.start <= 2_000_000 < stretch.start + stretch.bytes
    assert done.repaired == stretch.bytes < 500_000
    assert [one.md5 for one in events if isinstance(one, FileDamaged)] == [
        hashlib.md5(flipped(data, 2_000_000)).hexdigest()
    ]


def test_repair_reads_files_that_were_checked_before(data, zenodo, tmp_path):
    """The bits rot on the disk: neither size nor time of the file change."""
    repair(zenodo, tmp_path)
    before = (tmp_path / KEY).stat()
    flip(tmp_path / KEY, 1_000_000)
    os.utime(tmp_path / KEY, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert s2ct_convert.download(tmp_path, record=RECORD, base_url=zenodo.url).before == (KEY,)
    (done,) = repair(zenodo, tmp_path).done
    assert done.repaired == done.fetched < 500_000
    assert (tmp_path / KEY).read_bytes() == data


def test_a_server_without_ranges_sends_the_whole_file_and_this_is_said(data, zenodo, tmp_path):
    wrong = flipped(data, 2_000_000)
    path = put(tmp_path, wrong)
    zenodo.vices[KEY] = [all_of_it] * 9
    events: list[object] = []
    (done,) = repair(zenodo, tmp_path, on_event=events.append).done
    assert path.read_bytes() == data
    assert done.repaired == 0
    assert len(zenodo.asked(KEY)) == 3, "both URLs for the stretch, then the whole file"
    messages = [one.text for one in events if isinstance(one, Message)]
    assert f"{KEY}: damaged, and the service sends only whole files" in messages


def test_a_linked_file_is_repaired_where_it_is(data, zenodo, tmp_path):
    (tmp_path / "real").mkdir()
    real = put(tmp_path / "real", flipped(data, 3))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / KEY).symlink_to(real)
    (done,) = repair(zenodo, tmp_path / "in").done
    assert done.repaired
    assert (tmp_path / "in" / KEY).is_symlink()
    assert real.read_bytes() == data


def test_a_stretch_is_requested_at_the_other_url_too(data, zenodo, tmp_path):
    path = put(tmp_path, flipped(data, 3))
    zenodo.vices[KEY] = [all_of_it]
    (done,) = repair(zenodo, tmp_path).done
    assert path.read_bytes() == data
    assert 0 < done.repaired == zenodo.sent - len(data) < 200_000, "the first URL answered with the whole file"


@pytest.mark.slow
def test_bytes_missing_at_the_start_are_mended_without_a_second_download(data, tmp_path):
    path = put(tmp_path, data[:1000] + data[1001:])
    with serving({KEY: data}) as zenodo:
        repair(zenodo, tmp_path)
    assert path.read_bytes() == data
    assert zenodo.sent < len(data) + 300_000


def test_a_connection_that_breaks_in_a_stretch_goes_on_where_it_was(data, zenodo, tmp_path):
    path = put(tmp_path, flipped(data, 2_000_000))

    def cut(handler: Handler, right: bytes, start: int) -> None:
        handler.head(206, handler.stop - start, {"Content-Range": f"bytes {start}-{handler.stop - 1}/{len(right)}"})
        handler.wfile.write(right[start : start + 100_000])
        handler.hang_up()

    zenodo.vices[KEY] = [cut]
    repair(zenodo, tmp_path)
    assert path.read_bytes() == data
    first, second = zenodo.asked(KEY)
    assert second == first + 100_000


def test_a_damaged_copy_at_the_service_ends_in_an_error(data, zenodo, tmp_path):
    wrong = flipped(data, 2_000_000)
    zenodo.vices[KEY] = [lambda handler, _, start: good(handler, wrong, start)] * 99
    with pytest.raises(s2ct_convert.FilesFailed, match="1 of 1 files") as caught:
        repair(zenodo, tmp_path)
    (failed,) = caught.value.report.failed
    assert (failed.exit_code, "wrong md5 after two complete downloads" in failed.message) == (4, True)
    assert len(zenodo.asked(KEY)) == 3, "the file, the stretch with the damage, the file"
    assert not (tmp_path / KEY).exists()


@pytest.mark.slow
def test_a_file_that_cannot_be_mended_keeps_its_name_after_the_error(data, zenodo, tmp_path):
    mine = flipped(data, 2_000_000)
    path = put(tmp_path, mine)
    zenodo.vices[KEY] = [lambda handler, _, start: good(handler, flipped(data, 2_000_100), start)] * 99
    with pytest.raises(s2ct_convert.FilesFailed) as caught:
        repair(zenodo, tmp_path)
    assert "wrong md5 after a complete download" in caught.value.report.failed[0].message
    assert path.read_bytes() == mine


@pytest.mark.slow
def test_shifted_bytes_in_every_answer_are_bounded(data, zenodo, tmp_path, monkeypatch):
    """Mending never takes more bytes than the file has, and the spare bytes."""
    monkeypatch.setattr("s2ct_convert.record.mend.SPARE_BYTES", 0)
    path = put(tmp_path, flipped(data, 300_000))
    shift = iter(range(1, 99))

    def shifted(handler: Handler, right: bytes, start: int) -> None:
        if handler.stop is None:
            good(handler, right, start)
            return
        body = (right[start : start + 9] + b"?" * next(shift) + right[start:])[: handler.stop - start]
        handler.answer(206, body, {"Content-Range": f"bytes {start}-{handler.stop - 1}/{len(right)}"})

    zenodo.vices[KEY] = [shifted] * 99
    (done,) = repair(zenodo, tmp_path).done
    assert path.read_bytes() == data
    assert done.repaired == 0
    assert len(data) < zenodo.sent <= 2 * len(data)


@pytest.mark.slow
def test_new_damage_in_every_answer_is_bounded(data, zenodo, tmp_path):
    rng = np.random.default_rng(8)

    def noisy(handler: Handler, right: bytes, start: int) -> None:
        good(handler, flipped(right, start + int(rng.integers(0, 200_000))), start)

    put(tmp_path, flipped(data, 2_000_000))
    zenodo.vices[KEY] = [noisy] * 99
    with pytest.raises(s2ct_convert.FilesFailed):
        repair(zenodo, tmp_path)
    assert len(zenodo.asked(KEY)) < 40
    assert zenodo.sent < 4 * len(data)


@pytest.mark.slow
def test_the_damaged_file_stays_until_the_repaired_one_is_right(data, zenodo, tmp_path):
    wrong = flipped(data, 2_000_000)
    path = put(tmp_path, wrong)
    seen: list[bytes] = []

    def look(handler: Handler, right: bytes, start: int) -> None:
        seen.append(path.read_bytes())
        good(handler, right, start)

    zenodo.vices[KEY] = [look]
    repair(zenodo, tmp_path)
    assert seen == [wrong]
    assert path.read_bytes() == data


def test_without_room_for_a_copy_the_file_is_mended_in_place(data, zenodo, tmp_path, monkeypatch):
    path = put(tmp_path, flipped(data, 2_000_000) + b"extra")
    inode = path.stat().st_ino
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=1000))
    events: list[object] = []
    (done,) = repair(zenodo, tmp_path, on_event=events.append).done
    assert (path.read_bytes(), path.stat().st_ino) == (data, inode)
    assert done.fetched < 500_000
    (planned,) = (one for one in events if isinstance(one, FilesPlanned))
    assert planned.have == planned.bytes == len(data), "the bytes too many do not count"


@pytest.mark.slow
def test_in_place_a_file_that_cannot_be_mended_is_kept_beside_the_new_one(data, zenodo, tmp_path, monkeypatch):
    monkeypatch.setattr("s2ct_convert.record.partial.ROOM_BYTES", 1 << 60)
    path = put(tmp_path, b"not an archive at all, but of the right size".ljust(len(data), b"!"))
    zenodo.vices[KEY] = [all_of_it] * 9
    wrong = path.read_bytes()
    repair(zenodo, tmp_path)
    assert path.read_bytes() == data
    assert (tmp_path / f"{KEY}.bad-{hashlib.md5(wrong).hexdigest()}").read_bytes() == wrong


@pytest.mark.slow
def test_a_copy_that_was_not_finished_is_continued(data, zenodo, tmp_path):
    path = put(tmp_path, flipped(data, 2_000_000))
    file = RecordFile(KEY, hashlib.md5(data).hexdigest(), len(data))
    partial_path(path, file).write_bytes(data[:1_000_000])
    (done,) = repair(zenodo, tmp_path).done
    assert path.read_bytes() == data
    assert done.fetched < 500_000


@pytest.mark.slow
@pytest.mark.parametrize("room", [True, False])
@pytest.mark.parametrize("sent", [0, 70_000, 300_000])
def test_a_killed_repair_is_continued_and_right(data, zenodo, tmp_path, sent, room):
    """Killed with SIGKILL in the middle of a stretch, with the damaged file copied or in place."""
    wrong = with_bytes(data, NOISE, 2_000_000)
    path = put(tmp_path, wrong)
    pids: list[int] = []

    def there(start: int, n: int) -> bytes:
        (part,) = tmp_path.glob("*.part")
        return part.read_bytes()[start : start + n]

    def kill(handler: Handler, right: bytes, start: int) -> None:
        body = right[start : handler.stop]
        handler.head(206, len(body), {"Content-Range": f"bytes {start}-{start + len(body) - 1}/{len(right)}"})
        handler.wfile.write(body[:sent])
        handler.wfile.flush()
        deadline = time.monotonic() + 20
        while there(start, sent) != body[:sent] and time.monotonic() < deadline:
            time.sleep(0.005)  # polls: no event reports the writes of another process
        os.kill(pids[0], signal.SIGKILL)
        handler.hang_up()

    zenodo.vices[KEY] = [kill]
    code = "import s2ct_convert.record.partial as p; from s2ct_convert.cli import main; "
    code += "main()" if room else "p.ROOM_BYTES = 1 << 60; main()"
    command = [sys.executable, "-c", code, "download", str(tmp_path), "--repair", "--record", RECORD]
    command += ["--base-url", zenodo.url]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        pids.append(process.pid)
    assert process.returncode == -signal.SIGKILL
    assert path.exists() == room
    if room:
        assert path.read_bytes() == wrong
    (part,) = tmp_path.glob("*.part")
    assert part.stat().st_size == len(data)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == data
    assert zenodo.sent < 1_500_000
    assert [one.name for one in tmp_path.iterdir() if "bad-" in one.name or one.suffix == ".part"] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_random_damage_is_always_mended_or_fetched_again(data, tmp_path, seed):
    rng = np.random.default_rng(seed)
    damaged = data
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.choice([one for one in DAMAGE if one != "two bits"])
        damaged = DAMAGE[kind][0](damaged, int(rng.integers(0, len(damaged) - 1)))
    if damaged == data:
        pytest.skip("an extra and a missing byte")
    path = put(tmp_path, damaged)
    with serving({KEY: data}) as zenodo:
        repair(zenodo, tmp_path)
    assert path.read_bytes() == data
    assert zenodo.sent <= 2 * len(data)


@pytest.mark.slow
def test_build_mends_what_it_downloads(data, zenodo, tmp_path):
    zenodo.vices[KEY] = [lambda handler, data, start: good(handler, flipped(data, 2_000_000), start)]
    summary = s2ct_convert.build(tmp_path / "x.zarr", record=RECORD, base_url=zenodo.url, policy=QUICK)
    assert [str(unit.unit) for unit in summary.converted] == ["train/50SMG"]
    assert len(data) < zenodo.sent < len(data) + 500_000
    assert len(zenodo.asked(KEY)) == 2


@pytest.mark.slow
def test_the_command_says_what_it_repaired(s2ct, data, zenodo, tmp_path):
    put(tmp_path, flipped(data, 2_000_000))
    service = ["--record", RECORD, "--base-url", zenodo.url]
    done = s2ct("download", tmp_path, "--repair", *service)
    assert done.returncode == 0, done.stderr
    n = f"{zenodo.sent / 1e3:.1f} kB"
    assert f"{KEY}: complete, but with the wrong md5; looking for the damage\n" in done.stderr
    assert f"{KEY}: fetching {n} again, from byte {zenodo.asked(KEY)[0]:,}\n" in done.stderr
    assert f"{KEY}: repaired, fetched {n} of {len(data) / 1e6:.1f} MB again\n" in done.stderr
    assert f"repaired    1 file, {n} fetched again\n" in done.stdout
    flip(tmp_path / KEY, 1_000_000)
    before = zenodo.sent
    document = json.loads(s2ct("download", tmp_path, "--repair", "--json", *service).stdout)
    assert [one["repaired"] for one in document["fetched"]] == [zenodo.sent - before] != [0]


MEMORY = """
import resource, sys
from pathlib import Path
from s2ct_convert.conversion.mending import find_damage
find_damage(Path(sys.argv[1]), "train_50SMG_1.7z", lambda: False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert find_damage(Path(sys.argv[2]), "train_50SMG_1.7z", lambda: False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_the_search_needs_no_more_memory_for_a_large_file(records, data, tmp_path):
    small = put(tmp_path, data, "small")
    large = put(tmp_path, handmade({MEMBER: records * 20}), "large")  # 85 MB, not compressed
    flip(large, 80_000_000)
    command = [sys.executable, "-c", MEMORY, str(small), str(large)]
    more = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) << 10
    assert more < 8 << 20
