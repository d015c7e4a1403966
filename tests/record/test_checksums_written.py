"""Lists that ``s2ct verify checksums --write`` writes: md5sum itself accepts them, and no half of one is ever there."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from s2ct_convert.errors import EXIT_DIFFERENCE
from s2ct_convert.record.manifest import Manifest, RecordFile, md5sum_line, read_manifest, write_lock

OK, WRONG = "train_50SMG_2.7z", "val_50SMG_2.7z"
MD5 = {OK: hashlib.md5(b"right").hexdigest(), WRONG: hashlib.md5(b"as it should be").hexdigest()}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a lock, a right and a wrong file."""
    folder = tmp_path / "archives"
    folder.mkdir()
    (folder / OK).write_bytes(b"right")
    (folder / WRONG).write_bytes(b"wrong")
    write_lock(folder, Manifest.of("4711", [RecordFile(key, md5) for key, md5 in MD5.items()]))
    return folder


ODD_NAMES = [
    "with space.7z",
    " before and after ",
    "ü ö 北京.7z",
    "back\\slash",
    "new\nline",
    "cr\rhere",
    "*star",
    "-c",
    "#x",
]


def test_md5sum_accepts_what_is_written(s2ct, tmp_path):
    (tmp_path / "a b").mkdir()
    paths = [tmp_path / "a b" / name for name in ODD_NAMES]
    for path in paths:
        path.write_bytes(path.name.encode())
    odd = os.fsencode(tmp_path) + b"/a b/no utf-8 \xe9"
    try:
        Path(os.fsdecode(odd)).write_bytes(b"odd")
        paths.append(Path(os.fsdecode(odd)))
    except OSError:
        pass  # this file system takes no such name
    done = s2ct("verify", "checksums", *paths, "--write", "sums ü.txt", cwd=tmp_path)
    assert done.returncode == EXIT_DIFFERENCE  # none is of the record
    md5 = subprocess.run(["md5sum", "--strict", "-c", "sums ü.txt"], cwd=tmp_path, capture_output=True)
    assert md5.returncode == 0, md5.stdout + md5.stderr
    assert md5.stdout.count(b": OK") == len(paths)


def test_what_is_written_is_read_again(s2ct, folder, tmp_path):
    s2ct("verify", "checksums", folder / OK, folder / WRONG, "--write", folder / "sums")
    written = {file.key: file.md5 for file in read_manifest(folder / "sums").files}
    assert written == {OK: MD5[OK], WRONG: hashlib.md5(b"wrong").hexdigest()}
    assert s2ct("verify", "checksums", folder / WRONG, "--manifest", folder / "sums").returncode == 0


def test_names_are_as_seen_from_the_list(s2ct, folder, tmp_path):
    (tmp_path / "lists").mkdir()
    s2ct("verify", "checksums", folder / OK, "--write", tmp_path / "lists" / "sums")
    done = subprocess.run(["md5sum", "-c", "sums"], cwd=tmp_path / "lists", capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_list_is_replaced_as_a_whole_and_nothing_else_stays(s2ct, folder, tmp_path):
    (tmp_path / "sums").write_text("x" * 10_000)
    inode = (tmp_path / "sums").stat().st_ino
    with open(tmp_path / "sums") as reader:
        s2ct("verify", "checksums", folder / OK, "--write", tmp_path / "sums")
        assert reader.read() == "x" * 10_000  # a reader at work sees the old one to its end
    assert (tmp_path / "sums").stat().st_ino != inode
    assert (tmp_path / "sums").read_text() == md5sum_line(MD5[OK], f"archives/{OK}")
    assert {path.name for path in tmp_path.iterdir()} == {"sums", "archives"}


def test_to_a_pipe_it_is_written_as_it_comes(s2ct, folder):
    done = s2ct("verify", "checksums", folder / OK, "--json", "--write", "/dev/stderr")
    assert md5sum_line(MD5[OK], os.path.relpath(folder / OK, "/dev")) in done.stderr
    assert not stat.S_ISREG(os.lstat("/dev/stderr").st_mode)


def test_a_manifest_of_md5sum_may_hold_any_name(tmp_path):
    names = ["a\u2028b", "a\x85b", "a\u00a0b", "a  b", "*a", "a*"]
    (tmp_path / "m").write_text("".join(f"{MD5[OK]}  {name}\n" for name in names), encoding="utf-8")
    assert {file.key for file in read_manifest(tmp_path / "m").files} == set(names)
