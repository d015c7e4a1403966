"""Sources with names and packings that are refused: the message has name, finding and advice."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from archives.sevenzip import put
from makers import write_archive

import s2ct_convert

from .helpers import assert_says
from .packing import (
    TRAIN,
    VOLUMES,
    WHOLE,
    A,
    B,
    Ids,
    archive,
    archive_bytes,
    converted,
    files,
    folders_only,
    several,
    tar_bytes,
    zip_bytes,
)

PARTIAL: dict[str, tuple[Callable[[Path], object], Ids, str]] = {
    "two archives of one unit": (
        several(archive("a", "train_50SMG_2.7z"), archive("a", "train_50SMG_1.7z", B)),
        {"train/50SMG": [8]},
        "train_50SMG_2.7z: a: another source of unit train/50SMG, with different content",
    ),
    "two members of one unit": (
        lambda f: write_archive(f / "x.7z", {"a/train_50SMG_2": A, "b/train_50SMG_1": B}),
        TRAIN,
        "x.7z: b/train_50SMG_1: another source of unit train/50SMG",
    ),
    "shards and a whole": (
        files(train_50SMG_2=A, **{"train_50SMG_1-00000-of-00001": B}),
        TRAIN,
        "train_50SMG_1-00000-of-00001: another source",
    ),
    "a damaged second download": (
        several(archive("a", "train_50SMG_2.7z"), files(**{"train_50SMG_2 (1).7z": WHOLE[:-9]})),
        TRAIN,
        "the archive is truncated",
    ),
    "a TFRecord without a name beside one that has one": (
        lambda f: write_archive(f / "x.7z", {"train_50SMG_2": A, "other": B}),
        TRAIN,
        "not understood",
    ),
    "an archive of another unit inside": (
        lambda f: write_archive(f / "x.7z", {"train_50SMG_2": A, "val_50SMG_1.7z": archive_bytes({"val_50SMG_1": B})}),
        TRAIN,
        "a 7z archive inside an archive",
    ),
    "a missing shard": (
        files(val_49RGN_1=B, **{"train_50SMG_3-00000-of-00003": A, "train_50SMG_3-00002-of-00003": B}),
        {"val/49RGN": [8]},
        "missing: 1",
    ),
    "a zip of another unit": (
        files(train_50SMG_2=A, **{"val_50SMG_1.zip": zip_bytes("val_50SMG_1", B)}),
        TRAIN,
        "this is a zip archive",
    ),
    "a later volume alone": (
        several(files(train_50SMG_2=A), files(**{"val_50SMG_1.7z.002": WHOLE[999:]})),
        TRAIN,
        "its first volume is missing",
    ),
}


@pytest.mark.parametrize("case", PARTIAL)
def test_unusable_sources_are_named_and_the_rest_is_converted(run, tmp_path, case):
    make, units, says = PARTIAL[case]
    make(tmp_path / "in")
    done = run("convert", tmp_path / "in", tmp_path / "x.zarr", "-j1")
    assert_says(done, 3, says)
    with s2ct_convert.open_store(tmp_path / "x.zarr", allow_incomplete=True) as opened:
        assert {name: unit.localid.tolist() for name, unit in opened.units.items()} == units


REFUSED: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "names that say nothing": (
        archive("data", "10613705.7z"),
        ("not understood", "a TFRecord named 'data'", "--as SPLIT/TILE"),
    ),
    "several names that say nothing": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"a": A, "b": B}),
        ("not understood", "several TFRecords", "s2ct extract ", "train_50SMG_2.7z FOLDER"),
    ),
    "a 7z inside": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"train_50SMG_2.7z": archive_bytes({"train_50SMG_2": A})}),
        ("holds another archive", "a 7z archive", "s2ct extract"),
    ),
    "a tar inside": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"train_50SMG_2.tar": tar_bytes("train_50SMG_2", A)}),
        ("holds another archive", "a tar archive"),
    ),
    "a zip inside under the name of a TFRecord": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"train_50SMG_2": zip_bytes("train_50SMG_2", A)}),
        ("this is a zip archive, not a TFRecord", "unpack it"),
    ),
    "a 7z in a tar": (
        files(**{"train_50SMG_2.tar": tar_bytes("train_50SMG_2.7z", WHOLE)}),
        ("a tar archive", "unpack it"),
    ),
    "a tar in a gzip": (
        files(**{"train_50SMG_2.tar.gz": gzip.compress(tar_bytes("train_50SMG_2", A))}),
        ("a tar archive", "unpack it"),
    ),
    "a zip named .7z": (files(**{"train_50SMG_2.7z": zip_bytes("a", A)}), ("not a 7z archive", "a zip archive")),
    "only text": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"a.txt": b"a", "b": b"b"}),
        ("holds no TFRecord",),
    ),
    "only folders": (
        lambda f: [put(f / ".x", b""), (f / "d" / "e").mkdir(parents=True), folders_only(f)],
        ("no file in this archive",),
    ),
    "a volume that is missing": (
        files(**{name: data for name, data in VOLUMES.items() if not name.endswith(".002")}),
        ("train_50SMG_2.7z.002 is missing",),
    ),
    "later volumes without the first": (
        files(**{name: data for name, data in VOLUMES.items() if not name.endswith(".001")}),
        ("its first volume is missing", "1 of 1 unit failed"),
    ),
    "a cut TFRecord in a whole archive": (
        archive("train_50SMG_2", "train_50SMG_2.7z", A[:-9]),
        ("the file ends inside", "the archive is whole", "report this to the authors"),
    ),
    "no TFRecord by its first bytes in a whole archive": (
        archive("train_50SMG_2", "train_50SMG_2.7z", bytes(len(A))),
        ("this file does not start like a TFRecord", "the archive is whole"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_not_a_source_is_reported_with_its_kind(run, tmp_path, case):
    make, says = REFUSED[case]
    make(tmp_path / "in")
    done = run("convert", tmp_path / "in", tmp_path / "x.zarr", "-j1")
    assert_says(done, 5, *says)
    assert "fetch it again" not in done.stderr


@pytest.mark.parametrize("name", ["train_50SMG_2.7z.part", "x.crdownload", "train_50SMG_2.7z.bad-" + 32 * "0"])
def test_an_unfinished_download_given_by_name_is_reported_as_such(run, tmp_path, name):
    done = run("convert", put(tmp_path / name, WHOLE[:999]), tmp_path / "x.zarr")
    assert_says(done, 5, "this is an unfinished download", "finish the download")
    assert "cut" not in done.stderr


@pytest.mark.slow
def test_any_volume_stands_for_the_whole_archive(run, tmp_path):
    paths = [put(tmp_path / name, data) for name, data in VOLUMES.items()]
    for i, given in enumerate([paths[:1], paths[1:2], paths[::-1]]):
        done = run("convert", *given, tmp_path / f"{i}.zarr")
        assert done.returncode == 0, done.stderr
        with s2ct_convert.open_store(tmp_path / f"{i}.zarr") as opened:
            assert opened["train/50SMG"].localid.tolist() == [3, 7]
    done = run("extract", paths[0], tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "train_50SMG_2").read_bytes() == A


class TestAs:
    def test_the_command_to_retry_includes_the_unit(self, run, tmp_path):
        source = put(tmp_path / "10613705", A[:-9])
        done = run("convert", source, tmp_path / "x.zarr", "--as", "test/50SMG")
        assert_says(done, 5, f"s2ct convert {source} {tmp_path / 'x.zarr'}", "--as test/50SMG")

    def test_as_names_a_source_in_every_command(self, run, tmp_path):
        source, store = write_archive(tmp_path / "in" / "10613705.7z", {"data": A}), tmp_path / "x.zarr"
        assert converted(run, tmp_path, 0, "--as", "Test/T50SMG") == {"test/50SMG": [3, 7]}
        for command in (
            ["verify", "sources", source],
            ["info", source],
            ["verify", "store", store, "--against", source],
            ["plan", source, tmp_path / "y.zarr"],
            ["batch", "init", source, tmp_path / "z.zarr"],
        ):
            done = run(*command, "--as", "test/50SMG")
            assert done.returncode == 0, done.stderr

    def test_as_overrides_the_name_of_a_single_source(self, run, tmp_path):
        put(tmp_path / "in" / "train_50SMG_2", A)
        assert converted(run, tmp_path, 0, "--as", "val/50SMG") == {"val/50SMG": [3, 7]}

    def test_as_names_the_only_unnamed_source(self, run, tmp_path):
        files(train_50SMG_2=A, data=B)(tmp_path / "in")
        assert converted(run, tmp_path, 0, "--as", "val/50SMG") == {**TRAIN, "val/50SMG": [8]}

    @pytest.mark.parametrize("names", [("train_50SMG_2", "val_50SMG_1"), ("a", "b"), ()])
    def test_as_without_exactly_one_candidate_is_wrong_usage(self, run, tmp_path, names):
        (tmp_path / "in").mkdir()
        files(**dict.fromkeys(names, A))(tmp_path / "in")
        done = run("convert", tmp_path / "in", tmp_path / "x.zarr", "--as", "dev/50SMG")
        assert_says(done, 2, "--as needs exactly one source to name")
        assert not (tmp_path / "x.zarr").exists()

    def test_an_invalid_unit_is_wrong_usage(self, run, tmp_path):
        done = run("convert", put(tmp_path / "data", A), tmp_path / "x.zarr", "--as", "train")
        assert_says(done, 2, "this is not a unit", "SPLIT/TILE")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_folder_is_skipped_with_a_note(run, tmp_path):
    put(tmp_path / "in" / "train_50SMG_2", A)
    os.mkfifo(tmp_path / "in" / "val_50SMG_2.7z")
    done = run("convert", tmp_path / "in", tmp_path / "x.zarr")
    assert done.returncode == 0, done.stderr
    assert "skipped val_50SMG_2.7z (a pipe (FIFO))" in done.stderr
