"""The index matches an independent computation from the units; finalising again changes nothing."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import plain
import pytest
from makers import FIRST_DAY, Group, random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import Incomplete
from s2ct_convert.names import UnitName
from s2ct_convert.units.finalise import finalise
from s2ct_convert.units.ledger import Ledger
from s2ct_convert.units.unit import open_container

KINDS = {"zarr": ("x.zarr", False), "hdf5": ("x.h5", False), "linked": ("x.h5", True)}
EMPTY = {"image": "<u2", "labels": "i1", "dates": "<i8", "weights": "<f4"}
COMMAND = "s2ct convert in x"


def empty_group(localid: int) -> Group:
    return Group(localid, *(np.empty(0, dtype) for dtype in EMPTY.values()))


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    """A tile in both splits, tiles that sort differently from splits, empty samples in all places, odd labels."""
    rng = np.random.default_rng(31)
    folder = tmp_path_factory.mktemp("in")
    odd = random_group(rng, 4, 5)
    odd.labels[:] = [0, -1, 6, 127, 5]
    early = random_group(rng, -7, 4, first_day=FIRST_DAY - 800)  # also a negative localid
    return [
        write_tfrecord(folder, [empty_group(1), random_group(rng, 5, 7), empty_group(9), random_group(rng, 5, 2)]),
        write_tfrecord(folder, [odd, empty_group(3), early], unit="val_50SMG"),
        write_tfrecord(folder, [random_group(rng, 2, 3, label_pixels=36), empty_group(8)], unit="train_31TCJ"),
        write_tfrecord(folder, [empty_group(2), empty_group(1)], unit="val_31TCJ"),
    ]


@pytest.fixture(scope="module")
def made(sources, tmp_path_factory) -> dict[str, Path]:
    stores = {}
    for kind, (name, linked) in KINDS.items():
        stores[kind] = tmp_path_factory.mktemp(kind) / name
        s2ct_convert.convert(sources, stores[kind], linked=linked, command=COMMAND)
    return stores


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def store(kind, made, tmp_path) -> Path:
    """A complete store of this kind, which a test may change."""
    shutil.copytree(made[kind].parent, tmp_path / "mine")
    return tmp_path / "mine" / made[kind].name


def again(store: Path) -> str:
    ledger = Ledger(store)
    return finalise(open_container(store, ledger.options()), ledger, COMMAND, ledger.planned())


def content(store: Path) -> dict[str, bytes]:
    """The store and its linked units, without the ledger."""
    return {name: data for name, data in plain.file_bytes(store.parent).items() if ".s2ct/" not in name}


def index_by_hand(store: Path) -> plain.Arrays:
    """The index, observation by observation, from ``sample_index``; the program uses the row starts."""
    names = [name.split("/") for name in plain.unit_names(store)]
    tiles = sorted({tile for _, tile in names})
    rows = []
    for split, tile in sorted(names):
        unit = plain.arrays(store, f"{split}/{tile}")
        for i, localid in enumerate(unit["localid"]):
            mine = np.flatnonzero(unit["sample_index"] == i)
            times, labels = unit["time"][mine], unit["label"][mine].ravel()
            rows.append(
                {
                    "split": ("train", "val").index(split),
                    "tile": tiles.index(tile),
                    "localid": localid,
                    "row_start": mine[0] if len(mine) else np.count_nonzero(unit["sample_index"] < i),
                    "row_size": len(mine),
                    "time_first": times.min() if len(mine) else -(2**31),
                    "time_last": times.max() if len(mine) else -(2**31),
                    "label_count": [sum(int(label) == k for label in labels) for k in range(6)],
                }
            )
    dtypes = {"split": "i1", "tile": "i2", "localid": "i8", "row_start": "i8"}
    return {name: np.array([row[name] for row in rows], dtypes.get(name, "i4")) for name in rows[0]}


def test_the_index_matches_the_units(made, kind):
    index = plain.arrays(made[kind], "index")
    plain.assert_same(index, index_by_hand(made[kind]))
    assert index["localid"].tolist() == [2, 8, 1, 5, 9, 1, 2, -7, 3, 4]
    assert index["label_count"].sum() == 3 * 36 + 9 + 4 + 2  # two of the five odd labels have a class
    assert plain.attributes(made[kind], "index/tile")["flag_meanings"] == "31TCJ 50SMG"


def test_the_root_has_unit_count_digest_and_history(made, kind):
    root = plain.attributes(made[kind])
    assert (root["state"], root["number_of_units"]) == ("complete", 4)
    assert root["content_digest"] == plain.store_digest(made[kind])
    assert root["history"].endswith(COMMAND)


def test_finalising_again_gives_the_same_bytes(store, monkeypatch):
    """An HDF5 store has no unit files any more; its units are copied from the store itself."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    digest = again(store)
    first = content(store)
    assert again(store) == digest == plain.attributes(store)["content_digest"]
    assert content(store) == first
    assert not list((store.parent / f"{store.name}.s2ct" / "work").iterdir())


def test_a_wrong_or_missing_index_is_written_again(store, kind):
    right = plain.arrays(store, "index")
    if kind == "zarr":
        shutil.rmtree(store / "index")
    else:
        plain.edit(store, "index/localid", lambda localid: localid + 1)
    again(store)
    plain.assert_same(plain.arrays(store, "index"), right)


def test_finalising_does_not_change_units(store, kind):
    before = {name: plain.arrays(store, name) for name in plain.unit_names(store)}
    attributes = {name: plain.attributes(store, name) for name in before}
    again(store)
    for name, arrays in before.items():
        plain.assert_same(plain.arrays(store, name), arrays)
        assert plain.attributes(store, name).keys() == attributes[name].keys()
        assert plain.attributes(store, name)["content_digest"] == attributes[name]["content_digest"]


@pytest.mark.every_variant
def test_a_unit_without_an_entry_prevents_finalising(store):
    Ledger(store).forget(UnitName("val", "31TCJ"))
    before = content(store)
    with pytest.raises(Incomplete, match="val/31TCJ"):
        again(store)
    assert content(store) == before


def test_the_digest_does_not_depend_on_the_container(made):
    assert len({plain.attributes(store)["content_digest"] for store in made.values()}) == 1


def test_a_unit_that_differs_from_its_entry_is_refused(store):
    """Two processes with different sources may both have made the unit; finalise checks which one is in the store."""
    ledger = Ledger(store)
    right, before = again(store), content(store)
    for unit in ledger.planned():
        entry = ledger.entry(unit)
        ledger.write(dataclasses.replace(entry, digest="sha256:" + "0" * 64))
        with pytest.raises(Incomplete, match=str(unit)):
            again(store)
        assert content(store) == before
        assert ledger.entry(unit) is None  # not done
        ledger.write(entry)
    assert again(store) == right


@pytest.mark.parametrize(("left", "gone"), [("train/.zarr.json.1.s2ct-tmp", True), ("notes.txt", False)])
def test_leftovers_in_a_zarr_store_are_deleted_and_user_files_stay(made, tmp_path, left, gone):
    shutil.copytree(made["zarr"].parent, tmp_path / "mine")
    store = tmp_path / "mine" / "x.zarr"
    (store / left).write_text("{")
    again(store)
    assert (store / left).exists() != gone
    assert plain.strict_json(store / "zarr.json")["attributes"]["state"] == "complete"


def test_a_split_without_units_has_no_group(tmp_path, sources):
    """Even if there is a folder with the name of the split."""
    for splits in ({"train", "val"}, {"train"}):
        s2ct_convert.convert(sources, tmp_path / "x.zarr", splits=splits, overwrite=True)
        (tmp_path / "x.zarr" / "val").mkdir(exist_ok=True)
        again(tmp_path / "x.zarr")
        folders = {path.name for path in (tmp_path / "x.zarr").iterdir() if path.is_dir()}
        assert folders == {*splits, "index"}


def test_a_failure_during_finalise_leaves_the_store_unchanged(made, tmp_path):
    shutil.copytree(made["hdf5"].parent, tmp_path / "mine")
    store = tmp_path / "mine" / "x.h5"
    with h5py.File(store, "r+") as file:
        del file["val/50SMG/image"]
    before = content(store)
    with pytest.raises(KeyError, match="image"):
        again(store)
    assert content(store) == before
    assert not list((tmp_path / "mine" / "x.h5.s2ct" / "work").iterdir())
