"""Lists of ``s2ct verify checksums --write``: md5sum accepts them, and they appear only when complete."""

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
    """A folder with a lock, a correct file and a wrong file."""
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


def test_md5sum_accepts_the_written_list(s2ct, tmp_path):
    (tmp_path / "a b").mkdir()
    paths = [tmp_path / "a b" / name for name in ODD_NAMES]
    for path in paths:
        path.write_bytes(path.name.encode())
    odd = os.fsencode(tmp_path) + b"/a b/no utf-8 \xe9"
    try:
        Path(os.fsdecode(odd)).write_bytes(b"odd")
        paths.append(Path(os.fsdecode(odd)))
    except OSError:
        pass  # this file system does not allow such a name
    done = s2ct("verify", "checksums", *paths, "--write", "sums ü.txt", cwd=tmp_path)
    assert done.returncode == EXIT_DIFFERENCE  # no file belongs to the record
    md5 = subprocess.run(["md5sum", "--strict", "-c", "sums ü.txt"], cwd=tmp_path, capture_output=True)
    assert md5.returncode == 0, md5.stdout + md5.stderr
    assert md5.stdout.count(b": OK") == len(paths)


def test_a_written_list_can_be_read(s2ct, folder, tmp_path):
    s2ct("verify", "checksums", folder / OK, folder / WRONG, "--write", folder / "sums")
    written = {file.key: file.md5 for file in read_manifest(folder / "sums").files}
    assert written == {OK: MD5[OK], WRONG: hashlib.md5(b"wrong").hexdigest()}
    assert s2ct("verify", "checksums", folder / WRONG, "--manifest", folder / "sums").returncode == 0


def test_names_are_relative_to_the_list(s2ct, folder, tmp_path):
    (tmp_path / "lists").mkdir()
    s2ct("verify", "checksums", folder / OK, "--write", tmp_path / "lists" / "sums")
    done = subprocess.run(["md5sum", "-c", "sums"], cwd=tmp_path / "lists", capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_list_is_replaced_atomically(s2ct, folder, tmp_path):
    (tmp_path / "sums").write_text("x" * 10_000)
    inode = (tmp_path / "sums").stat().st_ino
    with open(tmp_path / "sums") as reader:
        s2ct("verify", "checksums", folder / OK, "--write", tmp_path / "sums")
        assert reader.read() == "x" * 10_000  # an open file still shows the old list
    assert (tmp_path / "sums").stat().st_ino != inode
    assert (tmp_path / "sums").read_text() == md5sum_line(MD5[OK], f"archives/{OK}")
    assert {path.name for path in tmp_path.iterdir()} == {"sums", "archives"}


def test_a_list_can_be_written_to_a_pipe(s2ct, folder):
    done = s2ct("verify", "checksums", folder / OK, "--json", "--write", "/dev/stderr")
    assert md5sum_line(MD5[OK], os.path.relpath(folder / OK, "/dev")) in done.stderr
    assert not stat.S_ISREG(os.lstat("/dev/stderr").st_mode)


def test_an_md5sum_file_may_contain_any_name(tmp_path):
    names = ["a\u2028b", "a\x85b", "a\u00a0b", "a  b", "*a", "a*"]
    (tmp_path / "m").write_text("".join(f"{MD5[OK]}  {name}\n" for name in names), encoding="utf-8")
    assert {file.key for file in read_manifest(tmp_path / "m").files} == set(names)
