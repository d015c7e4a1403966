"""A second run makes only missing or changed units, and never harms foreign files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import flip, random_group, tfrecord_bytes, write_archive, write_tfrecord
from twins import first_quick

import s2ct_convert
from s2ct_convert.errors import DestinationExists, WrongUsage
from s2ct_convert.units.events import Finalising, UnitDone, UnitFailed, UnitsPlanned, UnitStarted

KINDS = {"zarr": ("x.zarr", False), "hdf5": ("x.h5", False), "linked": ("x.h5", True)}
UNITS = ("train_31TCJ", "train_50SMG", "val_50SMG")


@pytest.fixture
def sources(tmp_path) -> list[Path]:
    """Three units of one size; a test may change them."""
    rng = np.random.default_rng(43)
    return [write_tfrecord(tmp_path / "in", [random_group(rng, i, 3) for i in (2, 5)], unit=unit) for unit in UNITS]


@pytest.fixture(params=first_quick(["zarr", "hdf5", "linked"], quick=2))
def kind(request) -> str:
    return request.param


@pytest.fixture
def store(tmp_path, kind) -> Path:
    return tmp_path / "out" / KINDS[kind][0]


@pytest.fixture
def convert(store, kind):
    """Convert into the store; return the names of the converted and of the skipped units."""

    def run(sources: object, **options: object) -> tuple[list[str], list[str]]:
        summary = s2ct_convert.convert(sources, store, linked=KINDS[kind][1], command="s2ct convert", **options)
        return tuple([entry.unit for entry in entries] for entries in (summary.converted, summary.skipped))

    return run


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file; a file replaced by an equal one has another time."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_writes_nothing(sources, store, convert):
    convert(sources)
    before = tree(store.parent)
    events = []
    assert convert(sources, on_event=events.append) == ([], ["train/31TCJ", "train/50SMG", "val/50SMG"])
    assert events == [UnitsPlanned(0, 0, 3)]
    assert tree(store.parent) == before


def test_a_changed_source_replaces_its_old_content(sources, store, convert, rng):
    convert(sources)
    group = random_group(rng, 7, 9)
    changed = write_tfrecord(sources[0].parent, [group, random_group(rng, 8, 1)], unit=UNITS[0])
    assert convert(sources) == (["train/31TCJ"], ["train/50SMG", "val/50SMG"])
    assert changed == sources[0]
    with s2ct_convert.open_store(store) as opened:
        assert opened["train/31TCJ"].localid.tolist() == [7, 8]
        assert opened["train/31TCJ"].sample(7).image.tobytes() == group.image.tobytes()
        assert opened.index["localid"].tolist() == [7, 8, 2, 5, 2, 5]
        assert opened.digest == plain.store_digest(store)


def test_a_touched_tfrecord_is_compared_by_its_checksum(sources, store, convert, rng):
    convert(sources)
    os.utime(sources[1], (1, 1))
    assert convert(sources)[0] == []
    sources[1].write_bytes(tfrecord_bytes([random_group(rng, localid, 3) for localid in (2, 5)]))  # of the same size
    assert convert(sources)[0] == ["train/50SMG"]


def test_the_md5_detects_an_archive_of_equal_size_with_other_content(tmp_path, rng):
    """The size is equal; the different time makes s2ct compute the md5."""
    paths = [
        write_archive(
            tmp_path / name / "train_50SMG_1.7z", {"train_50SMG_1": tfrecord_bytes([random_group(rng, i, 2)])}
        )
        for i, name in enumerate("ab")
    ]
    size = max(path.stat().st_size for path in paths)
    for path in paths:  # bytes behind the end of an archive are ignored
        path.write_bytes(path.read_bytes() + bytes(size - path.stat().st_size))
        os.utime(path, (1, 1) if path is paths[0] else (2, 2))
    s2ct_convert.convert(paths[0], tmp_path / "x.zarr")
    os.replace(paths[1], paths[0])
    assert len(s2ct_convert.convert(paths[0], tmp_path / "x.zarr").converted) == 1
    with s2ct_convert.open_store(tmp_path / "x.zarr") as store:
        assert store["train/50SMG"].localid.tolist() == [1]


def test_a_deleted_unit_is_made_again(sources, store, convert, kind):
    """A user deletes a suspicious unit and expects the same command to make it again."""
    if kind == "hdf5":
        pytest.skip("a single file cannot lose one unit")
    convert(sources)
    right = plain.store_digest(store)
    home = {"zarr": store / "train" / "50SMG", "linked": store.with_name("x.h5.units") / "train_50SMG.h5"}[kind]
    shutil.rmtree(home) if home.is_dir() else home.unlink()
    assert convert(sources) == (["train/50SMG"], ["train/31TCJ", "val/50SMG"])
    assert plain.store_digest(store) == right


@pytest.mark.parametrize("lost", ["store", "ledger and store"])
def test_a_deleted_store_is_made_again(sources, store, convert, kind, lost):
    convert(sources)
    right = plain.arrays(store, "val/50SMG")
    shutil.rmtree(store) if store.is_dir() else store.unlink()
    if lost != "store":
        shutil.rmtree(f"{store}.s2ct")
        shutil.rmtree(f"{store}.units", ignore_errors=True)
    converted, skipped = convert(sources)
    assert len(converted) == (0 if kind == "linked" and lost == "store" else 3)
    assert len(converted) + len(skipped) == 3
    plain.assert_same(plain.arrays(store, "val/50SMG"), right)


def test_a_damaged_source_keeps_its_unit_and_a_repair_completes_it(sources, store, convert):
    convert(sources)
    right, good = plain.store_digest(store), sources[0].read_bytes()
    flip(sources[0], -1)
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        convert(sources)
    assert caught.value.exit_code == 3
    assert (caught.value.summary.missing, caught.value.summary.refused) == ((), (sources[0].name,))
    root = plain.attributes(store)
    assert (root["state"], root["refused_sources"], "missing_units" in root) == ("partial", sources[0].name, False)
    assert plain.store_digest(store) == right
    sources[0].write_bytes(good)
    assert convert(sources) == ([], ["train/31TCJ", "train/50SMG", "val/50SMG"])  # the unit was made of this content
    assert plain.attributes(store)["state"] == "complete"
    assert plain.store_digest(store) == right


@pytest.mark.parametrize("jobs", [1, 2])
def test_only_the_failed_unit_is_tried_again(sources, store, convert, jobs):
    good = sources[1].read_bytes()
    flip(sources[1], len(good) // 2)
    events = []
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        convert(sources, jobs=jobs, on_event=events.append)
    assert [type(event) for event in events].count(UnitDone) == 2
    assert [type(event) for event in events].count(Finalising) == 1
    (failure,) = caught.value.summary.failures
    assert (failure.unit, failure.source, failure.bug) == ("train/50SMG", str(sources[1]), False)
    assert "example" in failure.message
    assert plain.attributes(store)["missing_units"] == "train/50SMG"
    sources[1].write_bytes(good)
    events.clear()
    assert convert(sources, jobs=jobs, on_event=events.append)[0] == ["train/50SMG"]
    assert [type(e) for e in events if isinstance(e, UnitStarted | UnitDone | UnitFailed)] == [UnitStarted, UnitDone]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"tiles": ["50SMG"]}, ["train/50SMG", "val/50SMG"]),
        ({"tiles": ["T31TCJ"]}, ["train/31TCJ"]),
        ({"splits": ["val"]}, ["val/50SMG"]),
        ({"tiles": ("50SMG", "31TCJ"), "splits": ("train",)}, ["train/31TCJ", "train/50SMG"]),
        ({"tiles": (tile for tile in ["50SMG"]), "splits": iter(["train"])}, ["train/50SMG"]),
    ],
)
def test_only_the_chosen_tiles_and_splits_are_converted(tmp_path, sources, filters, expected):
    s2ct_convert.convert(sources, tmp_path / "x.zarr", **filters)
    assert plain.unit_names(tmp_path / "x.zarr") == expected
    summary = s2ct_convert.convert(sources, tmp_path / "x.zarr")
    assert len(summary.skipped) == len(expected)
    assert len(plain.unit_names(tmp_path / "x.zarr")) == 3


@pytest.mark.parametrize(
    "filters", [{"tiles": ["32UQD"]}, {"splits": ["test"]}, {"tiles": ["31TCJ"], "splits": ["val"]}]
)
def test_unknown_tiles_and_splits_are_refused_and_nothing_written(tmp_path, sources, filters):
    with pytest.raises(WrongUsage):
        s2ct_convert.convert(sources, tmp_path / "out" / "x.zarr", **filters)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("there", ["folder of files", "git", "file", "zarr group of another", "hdf5 of another"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_files_are_never_deleted(tmp_path, sources, there, overwrite):
    """With any content and any option: `x` may be a typing error for a folder with years of work."""
    import h5py
    import zarr

    path, format = tmp_path / "x", "hdf5" if there == "hdf5 of another" else "zarr"
    if there == "file":
        path.write_text("mine")
    elif there == "hdf5 of another":
        with h5py.File(path, "w") as file:
            file["mine"] = 1
    else:
        path.mkdir()
        (path / "mine").write_text("mine")
        if there == "git":
            (path / ".git").mkdir()
        if there == "zarr group of another":
            zarr.create_group(path, attributes={"mine": 1})
    before = plain.file_bytes(path)
    with pytest.raises(DestinationExists):
        s2ct_convert.convert(sources, path, format=format, overwrite=overwrite)
    assert plain.file_bytes(path) == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in", "x"]


def test_overwrite_leaves_nothing_of_the_old_store(sources, store, convert):
    convert(sources)
    assert convert(sources[2:], overwrite=True) == (["val/50SMG"], [])
    assert plain.unit_names(store) == ["val/50SMG"]
    with s2ct_convert.open_store(store) as opened:
        assert opened.tiles == ("50SMG",)
    units = store.with_name(f"{store.name}.units")
    assert not units.exists() or [path.name for path in units.iterdir()] == ["val_50SMG.h5"]
