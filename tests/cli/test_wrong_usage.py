"""Wrong usage: exit code 2, one message, and nothing written or deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2ct_convert.errors import EXIT_USAGE

from .helpers import assert_says, right_source, state, tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two valid sources in ``in``; commands run in it."""
    right_source(tmp_path / "in")
    right_source(tmp_path / "in", "val_50SMG")
    return tmp_path


CASES: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "no arguments": ([], ("Usage:", "convert [OPTIONS] SOURCE... STORE", "convert --help")),
    "no store": (["in"], ("Usage:", "Missing argument")),
    "a source that is not there": (["in", "in/nowhere.7z", "x.zarr"], ("in/nowhere.7z", "no such file", "to do:")),
    "an unknown format": (["in", "x.zarr", "--format", "tiff"], ("'tiff'", "zarr", "hdf5")),
    "no format at all": (
        ["in", "clouds"],
        ("clouds: the name of the store does not give", ".zarr", ".h5", "--format"),
    ),
    "an unknown suffix": (
        ["in", "clouds.tif"],
        ("clouds.tif: the name of the store does not give", "--format"),
    ),
    "an unknown codec": (["in", "x.zarr", "--codec", "zip"], ("'zip' for zarr", "fast", "balanced", "small")),
    "a codec of the other format": (["in", "x.h5", "--codec", "fast"], ("'fast' for hdf5", "gzip", "blosc")),
    "a split that no source has": (["in", "x.zarr", "--split", "test"], ("--split test", "train/50SMG", "val/50SMG")),
    "a linked zarr": (["in", "x.zarr", "--linked"], ("--linked is for HDF5",)),
    "a tile that no source has": (["in", "x.zarr", "--tile", "33UUU"], ("--tile 33UUU", "train/50SMG", "val/50SMG")),
    "one tile of two that no source has": (
        ["in", "x.zarr", "--tile", "50SMG", "--tile", "33UUU"],
        ("no source has this tile", "--tile 33UUU"),
    ),
    "no jobs": (["in", "x.zarr", "-j", "0"], ("--jobs", "x>=1")),
    "an unknown option": (["in", "x.zarr", "--fast"], ("--fast",)),
    "a folder of its sources as store": (["in", "in", "--format", "zarr"], ("in: a source is inside", "to do:")),
    "a store above its sources": (["in/train_50SMG_2", ".", "--format", "zarr"], ("a source is inside",)),
    "a source as store": (["in", "in/train_50SMG_2", "--format", "hdf5"], ("train_50SMG_2",)),
    "a store above its sources, to be overwritten": (
        ["in", ".", "--format", "zarr", "--overwrite"],
        ("a source is inside the destination",),
    ),
    "a source as store, to be overwritten": (
        ["in/val_50SMG_2", "in/val_50SMG_2", "--format", "hdf5", "--overwrite"],
        ("a source is inside the destination",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_usage_is_reported_and_changes_nothing(run, folder, case):
    arguments, parts = CASES[case]
    before = tree(folder)
    done = run("convert", *arguments, cwd=folder)
    assert_says(done, EXIT_USAGE, *parts)
    assert done.stdout == ""
    assert tree(folder) == before


def test_a_source_given_twice_is_one_source(run, folder):
    done = run("convert", "in", "in/train_50SMG_2", "x.zarr", "-j1", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert sorted(state(folder / "x.zarr")) == ["train/50SMG", "val/50SMG"]


def test_a_folder_without_sources_is_wrong_usage(run, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("nothing here")
    done = run("convert", "in", "x.zarr", cwd=tmp_path)
    assert_says(done, EXIT_USAGE, "in: nothing to convert", "no archive, no TFRecord")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_skipped_files_are_reported_even_when_quiet(run, folder):
    (folder / "in" / "README.txt").write_text("about the archives")
    done = run("convert", "in", "x.zarr", "-q", "-j1", cwd=folder)
    assert done.returncode == 0
    assert done.stderr == "note: in: skipped README.txt, neither .7z nor TFRecord\n"
