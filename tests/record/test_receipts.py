"""Receipts: a second run uses stat and reads nothing, except files whose stat has changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from servers.zenodo import RECORD, StandIn, serving

from s2ct_convert.processes import owner_tag
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import Report, download
from s2ct_convert.record.events import Checked, Checking
from s2ct_convert.record.local import State, look, survey
from s2ct_convert.record.manifest import RecordFile
from s2ct_convert.record.receipts import FOLDER, has_receipt, write_receipt

from .test_fetching import QUICK, command, left

RNG = np.random.default_rng(61)
KEY = "train_50SMG_2.7z"
DATA = RNG.bytes(3_000_000)
MD5 = hashlib.md5(DATA).hexdigest()
FILE = RecordFile(KEY, MD5, len(DATA))


@pytest.fixture
def zenodo():
    with serving({KEY: DATA}) as stand_in:
        yield stand_in


def fetch(zenodo: StandIn, folder: Path, **options: object) -> tuple[Report, int]:
    """Download; returns the report and the bytes read of existing files."""
    read = 0

    def on_event(event: object) -> None:
        nonlocal read
        read += event.bytes if isinstance(event, Checked) else 0

    options = {"policy": QUICK, "budget": Budget(limit=10_000), "on_event": on_event, **options}
    return download(folder, record=RECORD, base_url=zenodo.url, **options), read


def change_in_secret(path: Path) -> bytes:
    """Change a byte but keep size, time and inode."""
    status, inode = path.stat(), path.stat().st_ino
    with open(path, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (inode, status.st_mtime_ns)
    return path.read_bytes()


def test_a_second_run_of_72_files_reads_none_of_them(tmp_path):
    files = {f"train_{zone:02}SMG_{n}.7z": RNG.bytes(5000 + n) for zone in range(1, 37) for n in (1, 2)}
    with serving(files) as zenodo:
        fetch(zenodo, tmp_path, jobs=4)
        changed = {path.name: change_in_secret(path) for path in tmp_path.glob("*.7z")}
        zenodo.requests.clear()
        report, read = fetch(zenodo, tmp_path)
        assert (len(report.before), len(report.done), read, zenodo.requests) == (72, 0, 0, [])
        assert {path.name: path.read_bytes() for path in tmp_path.glob("*.7z")} == changed
        report, read = fetch(zenodo, tmp_path, paranoid=True, jobs=4)
        assert (len(report.before), len(report.done), read) == (0, 72, sum(map(len, files.values())))
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.7z")} == files
    for key, wrong in changed.items():
        assert (tmp_path / f"{key}.bad-{hashlib.md5(wrong).hexdigest()}").read_bytes() == wrong


@pytest.mark.slow
def test_paranoid_finds_a_hidden_change(zenodo, tmp_path, s2ct):
    fetch(zenodo, tmp_path)
    wrong = change_in_secret(tmp_path / KEY)
    arguments = command(zenodo, tmp_path)[3:]
    assert s2ct(*arguments).returncode == 0
    assert (tmp_path / KEY).read_bytes() == wrong
    assert s2ct(*arguments, "--paranoid").returncode == 0
    assert (tmp_path / KEY).read_bytes() == DATA


def rewritten(path: Path) -> None:
    """Replace the file by a copy."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    copy.rename(path)


def touched(path: Path) -> None:
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [rewritten, touched])
def test_a_file_with_another_inode_or_time_is_read_again(zenodo, tmp_path, change: Callable[[Path], None]):
    fetch(zenodo, tmp_path)
    change(tmp_path / KEY)
    assert look(tmp_path, FILE).state is State.UNCHECKED
    zenodo.requests.clear()
    assert fetch(zenodo, tmp_path)[1] == len(DATA)
    assert zenodo.requests == []
    assert fetch(zenodo, tmp_path)[1] == 0
    assert left(tmp_path) == {KEY}


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (DATA[:-1], State.PARTIAL),
        (DATA + b"x", State.WRONG),
        (DATA[:-1] + b"?", State.UNCHECKED),
        (None, State.MISSING),
    ],
)
def test_other_content_is_detected_and_replaced(zenodo, tmp_path, content, state):
    fetch(zenodo, tmp_path)
    (tmp_path / KEY).unlink()
    if content is not None:
        (tmp_path / KEY).write_bytes(content)
    assert look(tmp_path, FILE).state is state
    fetch(zenodo, tmp_path)
    assert (tmp_path / KEY).read_bytes() == DATA
    assert look(tmp_path, FILE).state is State.OK


def receipt(folder: Path) -> Path:
    (path,) = (folder / FOLDER).iterdir()
    return path


@pytest.mark.parametrize("content", [b"", b"{", b'{"md5": "', b"[]", b"null", b"7", b"\xff\xfe", bytes(200), None])
def test_a_torn_receipt_is_replaced(zenodo, tmp_path, content):
    fetch(zenodo, tmp_path)
    whole = receipt(tmp_path).read_bytes()
    if content is None:
        receipt(tmp_path).unlink()
    else:
        receipt(tmp_path).write_bytes(content)
    zenodo.requests.clear()
    assert fetch(zenodo, tmp_path)[1] == len(DATA)
    assert zenodo.requests == []
    assert receipt(tmp_path).read_bytes() == whole


def test_an_unreadable_receipt_does_not_count(tmp_path):
    (tmp_path / KEY).write_bytes(DATA)
    (tmp_path / FOLDER / f"{KEY}.json").mkdir(parents=True)
    assert not has_receipt(tmp_path, KEY, MD5)


def test_a_receipt_is_for_one_md5(tmp_path):
    (tmp_path / KEY).write_bytes(DATA)
    write_receipt(tmp_path, KEY, MD5)
    assert has_receipt(tmp_path, KEY, MD5)
    assert not has_receipt(tmp_path, KEY, "0" * 32)
    assert not has_receipt(tmp_path, "other", MD5)


@pytest.mark.every_variant
@pytest.mark.parametrize(
    "key",
    ["a b.7z", "below/x.7z", "ü" * 100, "x" * 200, "a" * 200 + "/" + "b" * 200, "%2F", "a%2Fb", ".json"],
    ids=range(8),
)
def test_every_valid_name_has_its_own_receipt(tmp_path, key):
    for folder, name in ((tmp_path, key), (tmp_path, "a/b"), (tmp_path, key[:-1] + "_")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    write_receipt(tmp_path, key, MD5)
    assert has_receipt(tmp_path, key, MD5)
    assert not has_receipt(tmp_path, "a/b", MD5)
    assert not has_receipt(tmp_path, key[:-1] + "_", MD5)


def test_a_file_that_changes_during_reading_gets_no_receipt(tmp_path):
    """The bytes that were read are right; the file afterwards is not."""
    (tmp_path / KEY).write_bytes(DATA)
    changed = []

    def on_event(event: object) -> None:
        if isinstance(event, Checked) and not changed:
            changed.append(change_in_secret(tmp_path / KEY))
            touched(tmp_path / KEY)

    (found,) = survey(tmp_path, [FILE], paranoid=False, on_event=on_event)
    assert (tmp_path / KEY).read_bytes() == changed[0] != DATA
    assert found.state is not State.OK


def test_files_checked_before_a_stop_are_not_read_again(tmp_path):
    files = [RecordFile(f"x{i}", hashlib.md5(str(i).encode()).hexdigest(), len(str(i))) for i in range(300)]
    for i, file in enumerate(files):
        (tmp_path / file.key).write_text(str(i))
    read: list[int] = []

    def stop(event: object) -> None:
        if isinstance(event, Checked):
            read.append(event.bytes)
            if len(read) == 280:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(tmp_path, files, paranoid=False, on_event=stop)
    events: list[object] = []
    survey(tmp_path, files, paranoid=False, on_event=events.append)
    (checking,) = (event for event in events if isinstance(event, Checking))
    assert checking.files < 300
    assert all(look(tmp_path, file).state is State.OK for file in files)


def test_a_receipt_holds_md5_size_time_and_inode(zenodo, tmp_path):
    fetch(zenodo, tmp_path)
    status = (tmp_path / KEY).stat()
    held = {"md5": MD5, "size": len(DATA), "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}
    assert json.loads(receipt(tmp_path).read_text()) == held


def test_only_temporary_files_of_dead_processes_are_deleted(zenodo, tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    host, _, own = owner_tag().rpartition(".")
    (tmp_path / FOLDER).mkdir()
    for folder, name in ((tmp_path, f"{RECORD}.lock.json"), (tmp_path / FOLDER, f"{KEY}.json")):
        for pid in (dead.pid, own):
            (folder / f".{name}.0123abcd@{host}.{pid}.s2ct-tmp").write_bytes(b"{")
    fetch(zenodo, tmp_path)
    assert (
        sorted(path.name.rpartition("@")[2] for path in tmp_path.rglob("*.s2ct-tmp")) == [f"{host}.{own}.s2ct-tmp"] * 2
    )
