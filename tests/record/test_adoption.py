"""Files that a browser, wget or aria2 brought: taken if their md5 is right, continued if they were begun, else left."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers.zenodo import RECORD, StandIn, serving

from s2ct_convert.events import Message
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import download
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
    """A run that ends well; what it told."""
    told: list[object] = []
    download(folder, record=RECORD, base_url=zenodo.url, policy=QUICK, budget=Budget(10_000), on_event=told.append)
    assert {key: (folder / key).read_bytes() for key in zenodo.files} == zenodo.files
    return told


ODD = [
    f"{KEY}?download=1",
    "train_50SMG_2 (1).7z",
    "train_50SMG_2(2).7z",
    f"{KEY}.1",
    f"{KEY}.part",
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
def test_a_right_md5_under_an_odd_name_is_taken_and_not_read_again(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA)
    inode = (tmp_path / name).stat().st_ino
    told = fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == []
    assert left(tmp_path) == {KEY}
    assert (tmp_path / KEY).stat().st_ino == inode
    assert any(isinstance(event, Message) and name in event.text and KEY in event.text for event in told)
    assert not any(isinstance(event, Checked) for event in fetch(zenodo, tmp_path))


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_a_wrong_md5_is_left_where_it_is(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(WRONG)
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [0]
    assert left(tmp_path) == {KEY, name}
    assert (tmp_path / name).read_bytes() == WRONG


def test_names_that_were_mixed_up_are_put_right(tmp_path):
    files = {f"train_{zone}SMG_2.7z": RNG.bytes(5000) for zone in range(10, 14)}
    names = [f"download ({i})" for i in range(4)]
    for name, data in zip(names, files.values(), strict=True):
        (tmp_path / name).write_bytes(data)
    with serving(files) as zenodo:
        fetch(zenodo, tmp_path)
        assert len(zenodo.requests) == 1
    assert left(tmp_path) == set(files)


def test_one_of_two_copies_is_taken(zenodo, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(DATA)
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == []
    assert len(left(tmp_path)) == 2


def test_links_and_files_in_folders_are_nobody_elses_business(zenodo, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "copy").write_bytes(DATA)
    (tmp_path / "link").symlink_to(tmp_path / "below" / "copy")
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [0]
    assert left(tmp_path) == {KEY, "below", "link"}
    assert (tmp_path / "link").is_symlink()


BEGUN = [
    KEY,
    f"{KEY}.1",
    f"{KEY}.part",
    f"{KEY}.crdownload",
    f"{KEY}.download",
    f"{KEY}.partial",
    f"{KEY}.tmp",
    f"{KEY}?download=1",
    f"{KEY}?download=1.1",
    f"{KEY}?download=1.part",
    f"{KEY}@download=1",
    f"{KEY}%3Fdownload%3D1",
    "train_50SMG_2 (1).7z",
    "train_50SMG_2(1).7z.part",
    "train_50SMG_2 (12).7z.crdownload",
]


@pytest.mark.parametrize("name", BEGUN)
def test_what_another_program_began_is_continued(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA[:123_456])
    told = fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [123_456]
    assert left(tmp_path) == {KEY}
    assert any(isinstance(event, Message) and "123,456 of 700,000 bytes" in event.text for event in told)


@pytest.mark.parametrize("name", BEGUN)
def test_what_is_no_beginning_costs_bandwidth_only(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>something else</html>")
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [27, 0]
    assert left(tmp_path) == {KEY}


@pytest.mark.parametrize(
    "name", ["train_50SMG_3.7z.part", "train_50SMG_2.7z.torrent", "x" + KEY, "train_50SMG_2.zip", "notes.txt", "train"]
)
def test_what_is_of_another_name_is_not_taken_for_a_beginning(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA[:5])
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [0]
    assert left(tmp_path) == {KEY, name}
    assert (tmp_path / name).read_bytes() == DATA[:5]


def test_the_longest_beginning_is_taken(zenodo, tmp_path):
    for name, have in ((f"{KEY}.part", 100), (f"{KEY}.1", 3000), ("train_50SMG_2 (1).7z", 200)):
        (tmp_path / name).write_bytes(DATA[:have])
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [3000]
    assert left(tmp_path) == {KEY, f"{KEY}.part", "train_50SMG_2 (1).7z"}


@pytest.mark.parametrize("name", [KEY, f"{KEY}.part"])
def test_of_ours_and_theirs_the_longer_is_continued(zenodo, tmp_path, name):
    partial_path(tmp_path / KEY, FILE).write_bytes(DATA[:5000])
    (tmp_path / name).write_bytes(DATA[:3000])
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [5000]


@pytest.mark.parametrize("kept_before", [0, 1, 2])
def test_what_is_left_alone_takes_the_place_of_nothing(zenodo, tmp_path, kept_before):
    before = {f"{KEY}.left-alone" + (f".{i}" if i else ""): str(i).encode() for i in range(kept_before)}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / KEY).write_bytes(DATA[:3000])
    (tmp_path / f"{KEY}.aria2").write_bytes(b"control")
    fetch(zenodo, tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*left-alone*")}
    assert kept.items() >= before.items()
    assert sorted(kept.values()) == sorted([*before.values(), DATA[:3000]])


class TestAria2:
    """It writes pieces in any order: what it began is no beginning, unless its control file is gone."""

    def holes(self) -> bytes:
        """The last third came first, into a file that has its full length."""
        return bytes(400_000) + DATA[400_000:]

    @pytest.mark.parametrize("name", [KEY, f"{KEY}.1", f"{KEY}?download=1"])
    @pytest.mark.parametrize("allocated", [True, False])
    def test_what_it_works_on_is_not_continued_and_nothing_is_lost(self, zenodo, tmp_path, name, allocated):
        theirs = self.holes() if allocated else DATA[:50_000]
        (tmp_path / name).write_bytes(theirs)
        (tmp_path / f"{name}.aria2").write_bytes(b"control")
        fetch(zenodo, tmp_path)
        assert zenodo.asked(KEY) == [0]
        assert theirs in [path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and path.name != KEY]
        assert (tmp_path / f"{name}.aria2").read_bytes() == b"control"

    def test_what_it_finished_is_taken(self, zenodo, tmp_path):
        (tmp_path / KEY).write_bytes(DATA)
        fetch(zenodo, tmp_path)
        assert zenodo.asked(KEY) == []

    def test_of_several_begun_files_only_its_own_is_left(self, zenodo, tmp_path):
        (tmp_path / f"{KEY}.1").write_bytes(DATA[:3000])
        (tmp_path / f"{KEY}.1.aria2").write_bytes(b"control")
        (tmp_path / f"{KEY}.part").write_bytes(DATA[:2000])
        fetch(zenodo, tmp_path)
        assert zenodo.asked(KEY) == [2000]


COMMANDS = {
    "wget": ["wget", "-q", "-t", "1", "--no-proxy"],
    "wget -O": ["wget", "-q", "-t", "1", "--no-proxy", "-O", KEY],
    "curl -O": ["curl", "-s", "--noproxy", "*", "-o", KEY],
}


@pytest.mark.parametrize("program", COMMANDS)
@pytest.mark.parametrize("comes", [250_000, len(DATA)])
def test_what_the_real_ones_leave_is_taken(zenodo, tmp_path, program, comes):
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
