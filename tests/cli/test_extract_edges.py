"""Edge cases of ``s2ct extract`` and ``s2ct demo``."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import py7zr
import pytest
from archives.sevenzip import handmade, put
from makers import write_archive

import s2ct_convert
from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_MACHINE, EXIT_SOURCE, EXIT_USAGE

from .helpers import RECORDS, assert_says, failure_messages, tree

NAME = "train_50SMG_2"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "in" / f"{NAME}.7z", {NAME: RECORDS}, filters=[{"id": py7zr.FILTER_COPY}])


def test_json_is_alone_on_stdout_and_names_every_file(run, tmp_path, archive):
    other = write_archive(tmp_path / "in" / "more.7z", {"a/b.txt": b"b", "c.txt": b""})
    done = run("extract", archive, other, tmp_path / "out put", "--json", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["failed"] == []
    assert {file["path"]: file["bytes"] for file in document["files"]} == {
        str(tmp_path / "out put" / name): size for name, size in ((NAME, len(RECORDS)), ("a/b.txt", 1), ("c.txt", 0))
    }
    assert not any(file["was_there"] for file in document["files"])
    assert (tmp_path / "out put" / NAME).read_bytes() == RECORDS


def test_extract_prints_one_line_per_file_and_a_result(run, tmp_path, archive):
    done = run("extract", archive, tmp_path / "out")
    assert done.stderr == f"{tmp_path / 'out' / NAME}: 56.7 kB\n"
    assert done.stdout == f"1 file, 56.7 kB in {tmp_path / 'out'}\n"
    again = run("extract", archive, tmp_path / "out")
    assert again.stderr == f"{tmp_path / 'out' / NAME}: 56.7 kB, already there\n"


def test_convert_reads_the_same_from_extracted_files_and_archives(run, tmp_path, archive):
    assert run("extract", archive, tmp_path / "out").returncode == 0
    one = s2ct_convert.convert(tmp_path / "out", tmp_path / "file.zarr")
    other = s2ct_convert.convert(archive, tmp_path / "archive.zarr")
    assert one.digest == other.digest


BAD = {
    "a text": (lambda path: put(path, b"some text"), "a.7z: this is not a 7z archive"),
    "cut": (lambda path: put(path, handmade({NAME: RECORDS})[:-5]), "a.7z: the archive is truncated"),
    "encrypted": (lambda path: write_archive(path, {NAME: RECORDS}, password="p"), "a.7z: the archive is encrypted"),
    "empty": (lambda path: write_archive(path, {}), "a.7z: there is no file in this archive"),
    "a bit of the data flipped": (
        lambda path: put(path, handmade({NAME: RECORDS}).replace(RECORDS[:50], RECORDS[:49] + b"\x00")),
        "a.7z: train_50SMG_2: the CRC32 of the unpacked data does not match",
    ),
    "a name that is absolute": (lambda path: put(path, handmade({"/tmp/s2ct-evil": b"x"})), "out of the destination"),
    "a name that leads out": (lambda path: put(path, handmade({"../s2ct-evil": b"x"})), "out of the destination"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_reported_once_and_leaves_no_file(run, tmp_path, case):
    make, what = BAD[case]
    path = make(tmp_path / "in" / "a.7z")
    done = run("extract", path, tmp_path / "out", "--unpacker", "python")
    assert_says(done, EXIT_SOURCE, "s2ct: 1 of 1 archive failed")
    (message,) = failure_messages(done)
    assert what in message.splitlines()[0]
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert not Path("/tmp/s2ct-evil").exists()


def test_good_archives_are_extracted_beside_bad_ones(run, tmp_path, archive):
    bad = put(tmp_path / "in" / "a.7z", b"no")
    done = run("extract", bad, archive, tmp_path / "out", "--json")
    assert_says(done, EXIT_INCOMPLETE, "s2ct: 1 of 2 archives failed")
    document = json.loads(done.stdout)
    assert [file["path"] for file in document["files"]] == [str(tmp_path / "out" / NAME)]
    assert len(document["failed"]) == 1
    assert (tmp_path / "out" / NAME).read_bytes() == RECORDS


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "ARCHIVE"),
        (["in"], "FOLDER"),
        (["in/nowhere.7z", "out"], "in/nowhere.7z"),
        (["empty", "out"], "empty: there is no archive"),
    ],
    ids=["nothing", "no destination", "no such archive", "a folder"],
)
def test_wrong_usage_is_reported_and_writes_nothing(run, tmp_path, archive, arguments, word):
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    assert_says(run("extract", *arguments, cwd=tmp_path), EXIT_USAGE, word)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("below", ["", "/deeper"], ids=["a file", "below a file"])
def test_a_file_as_destination_is_reported_with_advice(run, tmp_path, archive, below):
    put(tmp_path / "out", b"mine")
    done = run("extract", archive, f"{tmp_path / 'out'}{below}")
    assert done.returncode in (EXIT_USAGE, EXIT_MACHINE)
    assert_says(done, done.returncode, str(tmp_path / "out"), "to do:")
    assert (tmp_path / "out").read_bytes() == b"mine"


@pytest.mark.slow
def test_the_demo_prints_working_commands_for_an_odd_folder_name(run, tmp_path):
    done = run("demo", "it's a demo", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    commands = [shlex.split(line) for line in done.stdout.partition("Open them:\n")[2].splitlines() if line.strip()]
    assert len(commands) == 3
    for command in (commands[0], commands[2]):
        shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert shown.returncode == 0, shown.stderr


def test_the_demo_below_a_file_is_reported_with_advice(run, tmp_path):
    put(tmp_path / "s2ct-demo", b"mine")
    done = run("demo", "-j1", cwd=tmp_path)
    assert_says(done, EXIT_MACHINE, "s2ct-demo", "Not a directory", "to do:")
    assert (tmp_path / "s2ct-demo").read_bytes() == b"mine"


def test_the_demo_keeps_a_store_made_by_another_program(run, tmp_path):
    import zarr

    zarr.create_group(tmp_path / "s2ct-demo" / "sample.zarr", attributes={"title": "years of work"})
    before = tree(tmp_path)
    assert_says(run("demo", "-j1", cwd=tmp_path), EXIT_USAGE, "sample.zarr")
    assert tree(tmp_path) == before


def test_a_full_disk_is_reported_with_the_file(run, tmp_path, archive, disk):
    full = disk("size=16k")
    done = run("extract", archive, full)
    assert_says(done, 6, f"{full}/", "No space left on device")
    assert not [path for path in full.rglob("*") if path.is_file()]
