"""Files of a browser, wget or aria2: adopted if the md5 is right, resumed if partial, otherwise left alone."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers.zenodo import RECORD, StandIn, serving

from s2ct_convert.errors import EXIT_INCOMPLETE
from s2ct_convert.events import Message
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import FilesFailed, download
from s2ct_convert.record.events import Checked
from s2ct_convert.record.manifest import RecordFile
from s2ct_convert.record.partial import partial_path

from .test_fetching import QUICK, cut_after, left

RNG = np.random.default_rng(62)
KEY = "train_50SMG_2.7z"
DATA = RNG.bytes(700_000)
FILE = RecordFile(KEY, hashlib.md5(DATA).hexdigest(), len(DATA))
WRONG = DATA[:-1] + bytes([DATA[-1] ^ 1])


@pytest.fixture
def zenodo() -> Iterator[StandIn]:
    with serving({KEY: DATA}) as stand_in:
        yield stand_in


def fetch(zenodo: StandIn, folder: Path) -> list[object]:
    """Download everything; returns the events."""
    events: list[object] = []
    download(folder, record=RECORD, base_url=zenodo.url, policy=QUICK, budget=Budget(10_000), on_event=events.append)
    assert {key: (folder / key).read_bytes() for key in zenodo.files} == zenodo.files
    return events


ODD = [
    f"{KEY}?download=1",
    "train_50SMG_2 (1).7z",
    "train_50SMG_2(2).7z",
    f"{KEY}.1",
    f"{KEY}.part",
    "train_50SMG_2.Xy12AbCd.7z.part",
    f"{KEY}.crdownload",
    "Unconfirmed 814523.crdownload",
    "content",
    ".hidden",
    "-rf",
    " ",
    "new\nline",
    "наука.bin",
    "TRAIN_50smg_2.7Z",
    "val_50SMG_2.7z",
]


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_a_file_with_the_right_md5_is_adopted_under_any_name(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA)
    inode = (tmp_path / name).stat().st_ino
    events = fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == []
    assert left(tmp_path) == {KEY}
    assert (tmp_path / KEY).stat().st_ino == inode
    assert any(isinstance(event, Message) and name in event.text and KEY in event.text for event in events)
    assert not any(isinstance(event, Checked) for event in fetch(zenodo, tmp_path))


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_a_file_with_the_wrong_md5_is_left_alone(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(WRONG)
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [0]
    assert left(tmp_path) == {KEY, name}
    assert (tmp_path / name).read_bytes() == WRONG


def test_mixed_up_names_are_corrected(tmp_path):
    files = {f"train_{zone}SMG_2.7z": RNG.bytes(5000) for zone in range(10, 14)}
    names = [f"download ({i})" for i in range(4)]
    for name, data in zip(names, files.values(), strict=True):
        (tmp_path / name).write_bytes(data)
    with serving(files) as zenodo:
        fetch(zenodo, tmp_path)
        assert len(zenodo.requests) == 1
    assert left(tmp_path) == set(files)


def test_one_of_two_copies_is_adopted(zenodo, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(DATA)
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == []
    assert len(left(tmp_path)) == 2


def test_links_and_files_in_folders_are_not_adopted(zenodo, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "copy").write_bytes(DATA)
    (tmp_path / "link").symlink_to(tmp_path / "below" / "copy")
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [0]
    assert left(tmp_path) == {KEY, "below", "link"}
    assert (tmp_path / "link").is_symlink()


PARTIAL = [
    KEY,
    f"{KEY}.1",
    f"{KEY}.part",
    f"{KEY}.crdownload",
    f"{KEY}.download",
    f"{KEY}.partial",
    f"{KEY}.tmp",
    f"{KEY}?download=1",
    f"{KEY}?download=1.1",
    "train_50SMG_2.Xy12AbCd.7z.part",
    f"{KEY}?download=1.part",
    f"{KEY}@download=1",
    f"{KEY}%3Fdownload%3D1",
    "train_50SMG_2 (1).7z",
    "train_50SMG_2(1).7z.part",
    "train_50SMG_2 (12).7z.crdownload",
]


@pytest.mark.parametrize("name", PARTIAL)
def test_a_partial_file_of_another_program_is_resumed(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA[:123_456])
    events = fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [123_456]
    assert left(tmp_path) == {KEY}
    assert any(isinstance(event, Message) and "123,456 of 700,000 bytes" in event.text for event in events)


@pytest.mark.parametrize("name", PARTIAL)
def test_a_false_partial_file_costs_only_bandwidth(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>something else</html>")
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [27, 0]
    assert left(tmp_path) == {KEY}


@pytest.mark.parametrize(
    "name", ["train_50SMG_3.7z.part", "train_50SMG_2.7z.torrent", "x" + KEY, "train_50SMG_2.zip", "notes.txt", "train"]
)
def test_a_file_with_another_name_is_not_resumed(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA[:5])
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [0]
    assert left(tmp_path) == {KEY, name}
    assert (tmp_path / name).read_bytes() == DATA[:5]


def test_the_longest_partial_file_is_adopted(zenodo, tmp_path):
    for name, have in ((f"{KEY}.part", 100), (f"{KEY}.1", 3000), ("train_50SMG_2 (1).7z", 200)):
        (tmp_path / name).write_bytes(DATA[:have])
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [3000]
    assert left(tmp_path) == {KEY, f"{KEY}.part", "train_50SMG_2 (1).7z"}


@pytest.mark.parametrize("name", [KEY, f"{KEY}.part"])
def test_a_longer_partial_file_of_ours_is_resumed(zenodo, tmp_path, name):
    partial_path(tmp_path / KEY, FILE).write_bytes(DATA[:5000])
    (tmp_path / name).write_bytes(DATA[:3000])
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [5000]


class TestAria2:
    """aria2 writes pieces in any order, so its partial files are not resumed while its control file exists."""

    def holes(self) -> bytes:
        """A file of full length in which only the last part was written."""
        return bytes(400_000) + DATA[400_000:]

    @pytest.mark.parametrize("allocated", [True, False])
    def test_the_file_itself_is_left_alone_while_it_has_a_control_file(self, zenodo, tmp_path, allocated):
        theirs = self.holes() if allocated else DATA[:50_000]
        (tmp_path / KEY).write_bytes(theirs)
        (tmp_path / f"{KEY}.aria2").write_bytes(b"control")
        with pytest.raises(FilesFailed) as caught:
            fetch(zenodo, tmp_path)
        assert caught.value.exit_code == EXIT_INCOMPLETE
        assert "another program is downloading this file" in caught.value.report.failed[0].message
        assert zenodo.asked(KEY) == []
        assert (tmp_path / KEY).read_bytes() == theirs
        (tmp_path / KEY).write_bytes(DATA)
        (tmp_path / f"{KEY}.aria2").unlink()
        fetch(zenodo, tmp_path)
        assert zenodo.asked(KEY) == []

    @pytest.mark.parametrize("name", [f"{KEY}.1", f"{KEY}?download=1"])
    @pytest.mark.parametrize("allocated", [True, False])
    def test_a_file_in_progress_is_not_resumed_and_not_lost(self, zenodo, tmp_path, name, allocated):
        theirs = self.holes() if allocated else DATA[:50_000]
        (tmp_path / name).write_bytes(theirs)
        (tmp_path / f"{name}.aria2").write_bytes(b"control")
        fetch(zenodo, tmp_path)
        assert zenodo.asked(KEY) == [0]
        assert theirs in [path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and path.name != KEY]
        assert (tmp_path / f"{name}.aria2").read_bytes() == b"control"

    def test_a_finished_file_is_adopted(self, zenodo, tmp_path):
        (tmp_path / KEY).write_bytes(DATA)
        fetch(zenodo, tmp_path)
        assert zenodo.asked(KEY) == []

    def test_only_the_file_with_a_control_file_is_left_alone(self, zenodo, tmp_path):
        (tmp_path / f"{KEY}.1").write_bytes(DATA[:3000])
        (tmp_path / f"{KEY}.1.aria2").write_bytes(b"control")
        (tmp_path / f"{KEY}.part").write_bytes(DATA[:2000])
        fetch(zenodo, tmp_path)
        assert zenodo.asked(KEY) == [2000]


@pytest.mark.parametrize("name", [KEY, f"{KEY}.part"])
def test_a_growing_file_is_left_alone(zenodo, tmp_path, name):
    path, over, grew = tmp_path / name, threading.Event(), threading.Event()
    path.write_bytes(b"")

    def write() -> None:
        with open(path, "ab", buffering=0) as file:
            for i in itertools.count():
                file.write(DATA[i : i + 1])
                grew.set()
                if over.wait(0.001):
                    return

    writer = threading.Thread(target=write)
    writer.start()
    grew.wait()
    try:
        if name == KEY:
            with pytest.raises(FilesFailed) as caught:
                fetch(zenodo, tmp_path)
            assert "it grows" in caught.value.report.failed[0].message
        else:
            events = fetch(zenodo, tmp_path)
            assert any(isinstance(one, Message) and "left alone" in one.text for one in events)
        assert path.exists()
    finally:
        over.set()
        writer.join()
    assert DATA.startswith(path.read_bytes())


COMMANDS = {
    "wget": ["wget", "-q", "-t", "1", "--no-proxy"],
    "wget -O": ["wget", "-q", "-t", "1", "--no-proxy", "-O", KEY],
    "curl -O": ["curl", "-s", "--noproxy", "*", "-o", KEY],
}


@pytest.mark.parametrize("program", COMMANDS)
@pytest.mark.parametrize("comes", [250_000, len(DATA)])
def test_files_of_real_downloaders_are_adopted(zenodo, tmp_path, program, comes):
    command = COMMANDS[program]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    zenodo.vices[KEY] = [cut_after(comes)]
    url = f"{zenodo.url}/records/{RECORD}/files/{KEY}?download=1"
    done = subprocess.run([*command, url], cwd=tmp_path, capture_output=True, timeout=60)
    assert (done.returncode == 0) == (comes == len(DATA))
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [comes]
    zenodo.requests.clear()
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == ([comes] if comes < len(DATA) else [])
    assert left(tmp_path) == {KEY}
