"""Destinations that exist, are read-only or run full; existing files are never lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from makers import random_group, write_tfrecord

from s2ct_convert.errors import EXIT_MACHINE, EXIT_USAGE

from .helpers import assert_no_store, assert_says, assert_tidy, right_source, state, tree


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return right_source(tmp_path / "in")


def _file(path: Path) -> None:
    path.write_bytes(b"years of work\n")


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_bytes(b"years of work\n")


def _zarr(path: Path, zarr_format: int = 3) -> None:
    group = zarr.create_group(path, zarr_format=zarr_format, attributes={"title": "years of work"})
    group.create_array("sst", shape=(3,), dtype="f4")


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["sst"] = np.arange(3)


FOREIGN: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a file": ("x.zarr", _file),
    "a folder with things": ("x.zarr", _folder),
    "a Zarr of someone else": ("x.zarr", _zarr),
    "a Zarr v2 of someone else": ("x.zarr", lambda path: _zarr(path, 2)),
    "a file for HDF5": ("x.h5", _file),
    "a folder for HDF5": ("x.h5", _folder),
    "an HDF5 of someone else": ("x.h5", _hdf5),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_an_existing_destination_is_kept_and_reported(run, tmp_path, source, case):
    name, make = FOREIGN[case]
    store = tmp_path / name
    make(store)
    before = tree(tmp_path)
    assert_says(run("convert", source, store), EXIT_USAGE, f"{store}: the destination exists", "to do:")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("case", FOREIGN)
def test_overwrite_deletes_only_s2ct_stores(run, tmp_path, source, case):
    name, make = FOREIGN[case]
    store = tmp_path / name
    make(store)
    before = tree(tmp_path)
    assert_says(run("convert", source, store, "--overwrite"), EXIT_USAGE, str(store))
    assert tree(tmp_path) == before


def test_a_message_suggests_only_what_works(run, tmp_path, source):
    """A user who follows "give --overwrite" must not be refused a second time."""
    _folder(tmp_path / "x.zarr")
    done = run("convert", source, tmp_path / "x.zarr")
    assert "choose another destination" in done.stderr
    assert "--overwrite" not in done.stderr


@pytest.mark.parametrize("gone", ["nothing", "the ledger"])
def test_overwrite_replaces_an_s2ct_store(run, tmp_path, source, suffix, gone):
    store = tmp_path / f"x.{suffix}"
    assert run("convert", source, store).returncode == 0
    if gone == "the ledger":
        subprocess.run(["rm", "-r", f"{store}.s2ct"], check=True)
    other = right_source(tmp_path / "in", "val_31TCJ", (1,))
    done = run("convert", other, store, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert list(state(store)) == ["val/31TCJ"]
    assert_tidy(store)


def test_an_overwrite_with_wrong_arguments_keeps_the_store(run, tmp_path, source):
    store = tmp_path / "x.zarr"
    assert run("convert", source, store).returncode == 0
    before = tree(store)
    assert_says(run("convert", tmp_path / "nowhere", store, "--overwrite"), EXIT_USAGE, "nowhere")
    assert_says(run("convert", source, store, "--overwrite", "--codec", "zip"), EXIT_USAGE, "zip")
    assert tree(store) == before


def test_a_store_without_its_ledger_stays_unchanged(run, tmp_path, source, suffix):
    store = tmp_path / f"x.{suffix}"
    assert run("convert", source, store).returncode == 0
    subprocess.run(["rm", "-r", f"{store}.s2ct"], check=True)
    before = tree(tmp_path)
    assert_says(run("convert", source, store), EXIT_USAGE, f"{store}: the destination exists", "--overwrite")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "options", [["--codec", "fast"], ["--format", "hdf5"]], ids=["another codec", "another format"]
)
def test_a_resume_with_other_options_is_refused_and_shows_both(run, tmp_path, source, options):
    store = tmp_path / "x.zarr"
    assert run("convert", source, store).returncode == 0
    before = tree(tmp_path)
    done = run("convert", source, store, *options)
    parts = (f"{store}: ", "other options", "expected: --format zarr --codec balanced", " ".join(options), "to do:")
    assert_says(done, EXIT_USAGE, *parts)
    assert tree(tmp_path) == before


def test_an_empty_folder_is_a_valid_destination(run, tmp_path, source):
    store = tmp_path / "x.zarr"
    store.mkdir()
    assert run("convert", source, store).returncode == 0
    assert list(state(store)) == ["train/50SMG"]


def test_parent_folders_of_the_store_are_created(run, tmp_path, source, suffix):
    store = tmp_path / "a" / "b" / f"x.{suffix}"
    assert run("convert", source, store).returncode == 0
    assert list(state(store)) == ["train/50SMG"]


def test_a_destination_below_a_file_is_a_machine_error_with_advice(run, tmp_path, source, suffix):
    below = tmp_path / "file"
    below.write_text("not a folder")
    done = run("convert", source, below / f"x.{suffix}")
    assert_says(done, EXIT_MACHINE, str(below / f"x.{suffix}"), "Not a directory", "to do:")
    assert below.read_text() == "not a folder"


def test_a_read_only_disk_is_reported_with_advice(run, source, disk, suffix):
    store = disk("ro") / f"x.{suffix}"
    done = run("convert", source, store)
    assert_says(done, EXIT_MACHINE, str(store), "Read-only file system", "choose a path on a writable file system")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three incompressible sources of 0.85 MB."""
    rng, folder = np.random.default_rng(21), tmp_path_factory.mktemp("noise")
    paths = []
    for unit in ("train_31TCJ", "train_50SMG", "val_50SMG"):
        group = random_group(rng, 4, 60)
        group.image = rng.integers(0, 65536, group.image.shape, dtype=np.uint16)
        paths.append(write_tfrecord(folder, [group], unit=unit))
    return paths


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_keeps_finished_units_and_the_same_command_resumes(run, noise, disk, suffix, jobs):
    folder = disk("size=1400k")
    store = folder / f"x.{suffix}"
    command = ("convert", *noise, store, "-j", jobs)
    done = run(*command)
    parts = ("No space left on device", "free some space", "the same command", str(store))
    assert_says(done, EXIT_MACHINE, *parts)
    assert_no_store(store)
    finished = {path.stem: path.read_bytes() for path in (folder / f"{store.name}.s2ct" / "units").iterdir()}
    assert len(finished) == (1 if jobs == 1 else len(finished))
    subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True)
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert f"{3 - len(finished)} converted" in done.stdout
    assert sorted(state(store)) == ["train/31TCJ", "train/50SMG", "val/50SMG"]
    for stem, entry in finished.items():
        assert (folder / f"{store.name}.s2ct" / "units" / f"{stem}.json").read_bytes() == entry
    assert_tidy(store)


def test_a_disk_that_fills_during_the_merge_keeps_all_units(run, noise, disk):
    folder = disk("size=1400k")
    store = folder / "x.h5"
    done = run("convert", noise[0], store)
    assert_says(done, EXIT_MACHINE, str(store), "No space left on device", "free some space", "the same command")
    assert_no_store(store)
    subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True)
    done = run("convert", noise[0], store)
    assert done.returncode == 0, done.stderr
    assert "0 converted, 1 done before" in done.stdout
    assert list(state(store)) == ["train/31TCJ"]
    assert_tidy(store)
