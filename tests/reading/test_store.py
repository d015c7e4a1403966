from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import plain
import pytest
import zarr

import s2ct_convert
from s2ct_convert.errors import Incomplete, NotAStore, StoreDamaged, WrongUsage
from s2ct_convert.reading.opening import open_store
from s2ct_convert.reading.sample import Sample
from s2ct_convert.units.events import UnitDone

KINDS = ("zarr", "h5", "blosc", "linked")
UNITS = ("train/49RGN", "train/50SMG", "val/50SMG")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def store(made, kind):
    with open_store(made[kind]) as opened:
        yield opened


@pytest.fixture(params=["zarr", "h5"])
def own(request, made, tmp_path) -> Path:
    """A copy of a store that the test may change, in both formats."""
    copy = shutil.copytree if request.param == "zarr" else shutil.copy
    return Path(copy(made[request.param], tmp_path / f"own.{request.param}"))


def set_root_attribute(path: Path, name: str, value: object) -> None:
    """Set an attribute of the root; None deletes it."""
    if path.is_dir():
        node = json.loads((path / "zarr.json").read_text())
        node["attributes"][name] = value
        if value is None:
            del node["attributes"][name]
        (path / "zarr.json").write_text(json.dumps(node))
        return
    with h5py.File(path, "r+") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value


class TestStore:
    def test_a_store_has_format_path_state_and_digest(self, store, made, kind):
        assert store.path == made[kind]
        assert store.format == ("zarr" if kind == "zarr" else "hdf5")
        assert store.complete
        assert store.digest == plain.store_digest(made[kind])
        assert store.attributes["s2ct_layout_version"] == 2
        assert "train/50SMG" in repr(store)

    def test_units_are_sorted_by_name(self, store):
        assert tuple(store.units) == UNITS
        assert [str(store[name].name) for name in UNITS] == list(UNITS)
        assert store.tiles == ("49RGN", "50SMG")

    @pytest.mark.every_variant
    def test_an_unknown_unit_raises_with_the_existing_units(self, store):
        with pytest.raises(KeyError, match="no unit 'val/49RGN'; it has train/49RGN, train/50SMG, val/50SMG"):
            store["val/49RGN"]

    @pytest.mark.every_variant
    @pytest.mark.parametrize("as_path", [str, Path, os.fspath])
    def test_a_path_may_be_text_or_a_path(self, made, kind, as_path):
        with open_store(as_path(made[kind])) as opened:
            assert opened.complete

    def test_leaving_the_context_closes_the_file(self, made):
        with open_store(made["h5"]) as opened:
            file = opened["val/50SMG"].group.node.file
            assert file
        assert not file
        with pytest.raises(WrongUsage, match="the store is closed"):
            opened["val/50SMG"]["example"]
        with pytest.raises(WrongUsage, match="the store is closed"):
            _ = opened.index


class TestUnit:
    @pytest.mark.parametrize("name", UNITS)
    def test_a_unit_has_the_arrays_of_the_layout(self, store, made, kind, name):
        arrays = plain.arrays(made[kind], name)
        unit = store[name]
        plain.assert_same({array: np.asarray(unit[array][...]) for array in arrays}, arrays)
        plain.assert_same(
            {"localid": unit.localid, "row_start": unit.row_start},
            {key: arrays[key] for key in ("localid", "row_start")},
        )
        assert unit.observations == len(arrays["time"])

    @pytest.mark.every_variant
    def test_attributes_of_a_unit_name_its_source(self, store, made_sources):
        source = made_sources[0]
        attributes = store["train/50SMG"].attributes
        assert attributes["source_file"] == source.name
        assert attributes["source_bytes"] == source.stat().st_size
        assert attributes["source_examples"] == 4
        assert attributes["date_encoding"] == "ordinal"
        assert (attributes["split"], attributes["tile"]) == ("train", "50SMG")
        assert store["train/50SMG"].digest == attributes["content_digest"]

    @pytest.mark.parametrize("name", UNITS)
    def test_every_sample_has_its_rows_of_every_array(self, store, made, kind, name):
        arrays, unit = plain.arrays(made[kind], name), store[name]
        for i, localid in enumerate(arrays["localid"]):
            rows = slice(*arrays["row_start"][i : i + 2].tolist())
            assert unit.rows(int(localid)) == rows
            found = unit.sample(localid)
            assert isinstance(found, Sample)
            plain.assert_same(found._asdict(), {field: arrays[field][rows] for field in Sample._fields})

    @pytest.mark.parametrize(
        ("name", "localid", "n", "label_shape"), [("train/50SMG", 412, 130, ()), ("train/49RGN", 9, 25, (6, 6))]
    )
    def test_a_sample_has_the_documented_dtypes_and_shapes(self, store, name, localid, n, label_shape):
        image, label, time, weight = store[name].sample(localid)
        assert (image.dtype, image.shape) == (np.uint16, (n, 4, 42, 42))
        assert (label.dtype, label.shape) == (np.int8, (n, *label_shape))
        assert (time.dtype, time.shape) == (np.int32, (n,))
        assert (weight.dtype, weight.shape) == (np.float32, (n,))

    def test_dates_are_datetime64_days(self, store):
        sample = store["val/50SMG"].sample(1)
        assert sample.dates.dtype == "datetime64[D]"
        assert sample.dates[:2].tolist() == [np.datetime64(day).astype(object) for day in ("2018-01-02", "2018-01-07")]

    def test_missing_weights_are_nan(self, store):
        assert np.isnan(store["train/50SMG"].sample(37).weight).all()
        assert not np.isnan(store["train/50SMG"].sample(412).weight).any()

    @pytest.mark.every_variant
    @pytest.mark.parametrize("localid", [-(2**62), 0, 38, 413, 2**62])
    def test_an_unknown_localid_raises_key_error(self, store, localid):
        for find in (store["train/50SMG"].sample, store["train/50SMG"].rows):
            with pytest.raises(KeyError, match=f"train/50SMG has no sample with localid {localid}"):
                find(localid)


def index_of(store):
    """The expected index, computed only from the arrays of the units."""
    rows = []
    for name in sorted(store.units):
        split, tile = name.split("/")
        unit = {
            array: np.asarray(store[name][array][...])
            for array in ("localid", "row_start", "row_size", "time", "label")
        }
        for i, localid in enumerate(unit["localid"]):
            of_sample = slice(*unit["row_start"][i : i + 2].tolist())
            time, label = unit["time"][of_sample], unit["label"][of_sample].ravel()
            rows.append(
                (
                    ("train", "val").index(split),
                    ("49RGN", "50SMG").index(tile),
                    localid,
                    of_sample.start,
                    unit["row_size"][i],
                    time[0],
                    time[-1],
                    [np.count_nonzero(label == k) for k in range(6)],
                )
            )
    names = ("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last", "label_count")
    dtypes = ("i1", "i2", "i8", "i8", "i4", "i4", "i4", "i4")
    return {
        name: np.array(column, dtype)
        for name, column, dtype in zip(names, zip(*rows, strict=True), dtypes, strict=True)
    }


class TestIndex:
    def test_the_index_agrees_with_the_units(self, store):
        plain.assert_same(store.index, index_of(store))

    def test_the_index_is_sorted_by_split_tile_and_localid(self, store):
        index = store.index
        assert np.array_equal(
            np.lexsort((index["localid"], index["tile"], index["split"])), np.arange(len(index["localid"]))
        )
        assert len(index["localid"]) == 7

    def test_rows_of_the_index_locate_the_images(self, store):
        index = store.index
        for i in range(len(index["localid"])):
            name = f"{('train', 'val')[index['split'][i]]}/{store.tiles[index['tile'][i]]}"
            rows = slice(index["row_start"][i], index["row_start"][i] + index["row_size"][i])
            sample = store[name].sample(index["localid"][i])
            assert np.array_equal(store[name]["image"][rows], sample.image)


class TestOpening:
    def test_an_incomplete_store_needs_allow_incomplete(self, own):
        set_root_attribute(own, "state", "incomplete")
        with pytest.raises(Incomplete, match="has not finished"):
            open_store(own)
        with open_store(own, allow_incomplete=True) as opened:
            assert not opened.complete
            assert tuple(opened.units) == UNITS

    def test_an_unfinished_zarr_store_has_its_finished_units(self, made_sources, tmp_path):
        def stop(event: object) -> None:
            if isinstance(event, UnitDone):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):  # the larger unit is converted first
            s2ct_convert.convert(made_sources[:2], tmp_path / "x.zarr", on_event=stop)
        with pytest.raises(Incomplete):
            open_store(tmp_path / "x.zarr")
        with open_store(tmp_path / "x.zarr", allow_incomplete=True) as opened:
            assert list(opened.units) == ["train/50SMG"]
            assert opened.digest == ""
            assert len(opened["train/50SMG"].sample(412).time) == 130

    def test_a_store_is_a_mapping_of_its_units(self, own):
        with open_store(own) as store:
            assert list(store) == list(store.units)
            assert len(store) == 3
            assert "train/50SMG" in store
            assert "train/31TCJ" not in store

    def test_a_future_layout_is_refused_before_units_are_read(self, own):
        set_root_attribute(own, "s2ct_layout_version", 3)
        if own.is_dir():
            shutil.rmtree(own / "train/50SMG/localid")
        else:
            with h5py.File(own, "r+") as file:
                del file["train/50SMG/localid"]
        with pytest.raises(NotAStore, match="layout version 3"):
            open_store(own)

    @pytest.mark.every_variant
    @pytest.mark.parametrize("attribute", ["s2ct_layout_version", "state"])
    def test_a_store_without_s2ct_attributes_is_not_an_s2ct_store(self, own, attribute):
        set_root_attribute(own, attribute, None)
        with pytest.raises(NotAStore, match="not an s2ct store"):
            open_store(own)

    def test_a_linked_store_without_units_names_the_missing_file(self, made, tmp_path):
        alone = shutil.copy(made["linked"], tmp_path)
        message = r"unit train/49RGN is missing(.|\n)*keep made\.h5\.units beside made\.h5"
        with pytest.raises(StoreDamaged, match=message):
            open_store(alone)


def missing(path: Path) -> None:
    pass


def empty_folder(path: Path) -> None:
    path.mkdir()


def text(path: Path) -> None:
    path.write_text("tile,localid\n")


def empty_file(path: Path) -> None:
    path.touch()


def foreign_zarr_group(path: Path) -> None:
    zarr.create_group(path, attributes={"title": "x"}).create_array("a", shape=(2,), dtype="int8")


def zarr_array(path: Path) -> None:
    zarr.create_array(path, shape=(2,), dtype="int8")


def zarr_of_format_2(path: Path) -> None:
    zarr.create_group(path, zarr_format=2)


def zarr_with_broken_metadata(path: Path) -> None:
    path.mkdir()
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_')


def foreign_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["images"] = [1, 2]


def foreign_hdf5_with_a_train_group(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["train/images"] = [1, 2]


def foreign_hdf5_with_unit_groups(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["train/50SMG/pixels"] = [1, 2]


def truncated_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["images"] = np.arange(10_000)
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.every_variant
@pytest.mark.parametrize(
    "make",
    [
        missing,
        empty_folder,
        text,
        empty_file,
        foreign_zarr_group,
        zarr_array,
        zarr_of_format_2,
        foreign_hdf5,
        foreign_hdf5_with_a_train_group,
        foreign_hdf5_with_unit_groups,
    ],
)
def test_a_path_without_a_store_raises_not_a_store(tmp_path, make):
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(NotAStore) as caught:
        open_store(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("make", [zarr_with_broken_metadata, truncated_hdf5])
def test_an_unreadable_root_raises_store_damaged(tmp_path, make):
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(StoreDamaged) as caught:
        open_store(path)
    assert caught.value.where.startswith(str(path))
