"""A path of the wrong kind: the message says what it is and which command fits, and nothing is written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import s2ct_convert
from s2ct_convert.errors import NotAStore

from .helpers import RECORDS, assert_says, right_source, tree


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sample_stores: dict[str, Path]) -> Path:
    """A folder with everything that a command may be given."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "archives").mkdir()
    shutil.copy(s2ct_convert.sample_sources()[0], folder / "archives" / "train_31TCJ_4.7z")
    right_source(folder)
    (folder / "odd name").write_bytes(RECORDS)
    shutil.copytree(sample_stores["zarr"], folder / "x.zarr")
    shutil.copy(sample_stores["h5"], folder / "x.h5")
    shutil.copytree(sample_stores["zarr"].with_name("sample.zarr.s2ct"), folder / "x.zarr.s2ct")
    (folder / "stores").mkdir()
    shutil.copy(folder / "x.h5", folder / "stores")
    return folder


CASES = {
    "verify store archives": ("a folder of archives or TFRecords", "s2ct verify sources archives"),
    "verify store train_50SMG_2": ("a TFRecord", "s2ct verify sources train_50SMG_2"),
    "verify store stores": ("a folder with stores in it", "stores/x.h5"),
    "verify sources x.zarr": ("a Zarr store", "s2ct verify store x.zarr"),
    "verify sources x.h5": ("an HDF5 file", "s2ct verify store x.h5"),
    "verify checksums x.zarr": ("a Zarr store", "s2ct verify store x.zarr"),
    "convert x.zarr y.h5": ("a Zarr store", "s2ct export"),
    "convert archives x.h5 y.zarr": ("x.h5: this is an HDF5 file", "s2ct export"),
    "convert x.zarr archives": ("a folder of archives or TFRecords; the store is missing", "s2ct convert SOURCE..."),
    "convert train_50SMG_2 archives/train_31TCJ_4.7z": ("a 7z archive; the store is missing", "clouds.zarr"),
    "plan x.h5 y.zarr": ("an HDF5 file", "s2ct verify store x.h5"),
    "info stores": ("a folder with stores in it", "stores/x.h5"),
    "info x.zarr.s2ct": ("the ledger of a store", "give the store itself: x.zarr"),
    "extract train_50SMG_2 out": ("a TFRecord", "s2ct convert train_50SMG_2"),
    "extract odd~name out": ("a TFRecord", "s2ct convert 'odd name'"),
    "extract x.zarr out": ("a Zarr store", "s2ct verify store x.zarr"),
    "extract archives/train_31TCJ_4.7z": ("the folder to unpack to is missing", "s2ct extract ARCHIVE... FOLDER"),
    "extract a.7z archives/train_31TCJ_4.7z": ("the folder to unpack to is missing", "FOLDER"),
    "export archives out": ("a folder of archives or TFRecords", "s2ct convert archives"),
    "preview archives/train_31TCJ_4.7z": ("a 7z archive", "s2ct convert archives/train_31TCJ_4.7z"),
}


@pytest.mark.every_variant
@pytest.mark.parametrize("words", CASES)
def test_a_path_of_the_wrong_kind_leads_to_the_right_command(run, place, words):
    before = tree(place)
    done = run(*(word.replace("~", " ") for word in words.split()), cwd=place)
    assert_says(done, 2, *CASES[words])
    assert tree(place) == before


def test_open_store_says_what_an_archive_is(place):
    with pytest.raises(NotAStore, match=r"this is a 7z archive, not a store\n.*s2ct convert"):
        s2ct_convert.open_store(place / "archives" / "train_31TCJ_4.7z")


def test_a_folder_with_another_zarr_json_is_not_called_a_store(tmp_path):
    (tmp_path / "zarr.json").write_text("{}")
    with pytest.raises(NotAStore, match="this folder is not a Zarr v3 group"):
        s2ct_convert.open_store(tmp_path)


def test_extract_takes_folders(run, place, tmp_path):
    done = run("extract", place / "archives", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train_31TCJ_4"]


@pytest.mark.parametrize(
    "words", ["export {store} {out} --overwrite", "convert {archives} {out}.zarr -j1", "plan {archives} x.zarr"]
)
@pytest.mark.parametrize("given", ["--tile 31tcj,t34vfn --split VAL", "--tile 31TCJ --tile 34VFN --split val"])
def test_tiles_and_splits_are_lists_in_any_case(run, sample_stores, tmp_path, words, given):
    names = {
        "store": sample_stores["zarr"],
        "out": tmp_path / "out",
        "archives": s2ct_convert.sample_sources()[0].parent,
    }
    done = run(*words.format(**names).split(), *given.split(), "--json")
    assert done.returncode == 0, done.stderr
    units = re.findall(r"\b(?:train|val)[/_]\d\d[A-Z]{3}", done.stdout)
    assert {unit.replace("_", "/") for unit in units} == {"val/31TCJ", "val/34VFN"}


@pytest.mark.every_variant
@pytest.mark.parametrize("split", ["val,test", ",", "val,"])
def test_a_split_that_is_not_in_the_store_is_refused(run, sample_stores, tmp_path, split):
    done = run("export", sample_stores["zarr"], tmp_path / "out", "--split", split)
    assert_says(done, 2, "--split")


def test_preview_chooses_from_several_tiles(run, sample_stores, tmp_path):
    words = ["--tile", "34vfn,31tcj", "--split", "val", "-o", tmp_path / "x.png"]
    done = run("preview", sample_stores["zarr"], *words)
    assert done.returncode == 0, done.stderr
    assert "of val/" in done.stdout


def test_verify_alone_suggests_what_fits_the_path(run, sample_stores):
    done = run("verify", sample_stores["zarr"])
    assert done.returncode == 2
    assert f"Did you mean 's2ct verify store {sample_stores['zarr']}'?" in done.stderr
