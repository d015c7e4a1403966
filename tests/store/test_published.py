"""Stores with published features, missing dates and labels of any size, read with common tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import example_bytes, record_bytes
from twins import zarr_first
from variations import bytes_list, changed, float_list, group, int64_list

import s2ct_convert
from s2ct_convert.store import layout
from s2ct_convert.verify.store import verify_store

xr = pytest.importorskip("xarray")
netCDF4 = pytest.importorskip("netCDF4")
h5netcdf = pytest.importorskip("h5netcdf")

UNIT, PLAIN = "train/50SMG", "val/50SMG"
LONG = 2**16 + 100  # too long for an HDF5 object header, where short attributes are stored
NAMES = ("a/b", "", "A", "a", "x" * 300, "y" * LONG, "\u96ea\U0001f328", "..", "-", "__x", "labels\n")
NO_DAY = -(2**31)
ENGINES = [("zarr", "zarr"), ("h5", "netcdf4"), ("h5", "h5netcdf")]


def write(folder: Path, name: str, payloads: list[bytes]) -> Path:
    path = folder / f"{name}_{len(payloads)}"
    path.write_bytes(b"".join(map(record_bytes, payloads)))
    return path


def payloads() -> list[bytes]:
    """Examples with features of all names and kinds, a missing date, a sample without dates, and 3 x 3 labels."""
    odd = {name: bytes_list(f"{name} of 0".encode()) for name in NAMES}
    kinds = {"ints": int64_list(1, -2), "floats": float_list(0.5), "list": bytes_list(b"a", b"b"), "none": b""}
    labels = bytes_list(bytes(np.arange(36, dtype=np.int8) % 6))
    dates = example_bytes(group(1, dates=np.array([736_700, 0, 736_702, 736_703]), labels=np.arange(36) % 6))
    return [changed(0, labels=labels, **odd, **kinds), dates, changed(2, labels=labels, dates=bytes_list(b"")), b"none"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    sources = [
        write(folder, "train_50SMG", payloads()),
        write(folder, "val_50SMG", [example_bytes(group(i)) for i in range(2)]),
    ]
    paths = {suffix: folder / f"x.{suffix}" for suffix in ("zarr", "h5")}
    for path in paths.values():
        s2ct_convert.convert(sources, path, jobs=1)
    return paths


def test_a_store_with_published_features_verifies(stores, suffix):
    assert [str(finding) for finding in verify_store(stores[suffix]).findings] == []


def test_features_of_any_name_and_kind_are_stored(stores, suffix):
    found = {(one.name, one.kind): one.values()[0] for one in plain.published(stores[suffix], UNIT)}
    for name in NAMES:
        assert found[name, "bytes"] == f"{name} of 0".encode()
    assert found["ints", "int64"] == np.array([1, -2], "<i8").tobytes()
    assert found["floats", "float"] == np.array([0.5], "<f4").tobytes()
    assert found["list", "feature"] == bytes_list(b"a", b"b")
    assert found["none", "feature"] == b""
    (record,) = (one for one in plain.published(stores[suffix], UNIT) if one.kind == "record")
    assert (record.name, record.values()) == ("", ["elsewhere"] * 3 + [b"none"])


def test_both_containers_have_equal_features(stores):
    one, other = (plain.published(path, UNIT) for path in stores.values())
    assert [feature[:3] for feature in one] == [feature[:3] for feature in other]
    for a, b in zip(one, other, strict=True):
        for name in ("state", "offset", "data"):
            assert getattr(a, name).dtype == getattr(b, name).dtype
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
    digests = {plain.attributes(path)["content_digest"] for path in stores.values()}
    assert digests == {plain.store_digest(path) for path in stores.values()}
    assert len(digests) == 1


def test_a_unit_without_published_features_has_no_group_for_them(stores, suffix):
    assert plain.published(stores[suffix], PLAIN) == []
    with plain.opened(stores[suffix]) as root:
        assert "published" not in root[PLAIN]


class TestReaders:
    @pytest.mark.parametrize(("kind", "engine"), ENGINES)
    def test_xarray_returns_nat_for_missing_dates_only(self, stores, kind, engine):
        with xr.open_dataset(stores[kind], group=UNIT, engine=engine) as dataset:
            days = plain.arrays(stores[kind], UNIT)["time"]
            assert np.array_equal(np.isnat(dataset["time"].values), days == NO_DAY)
            assert (days == NO_DAY).sum() == 5
            known = dataset["time"].values[days != NO_DAY].astype("datetime64[D]")
            assert np.array_equal(known, days[days != NO_DAY].astype("datetime64[D]"))
            assert dataset["label"].shape == (12, 3, 3)
            assert dataset["date"].dtype == np.int64
            for name in ("date", "label", "weight", "image", "example"):
                assert np.array_equal(dataset[name].values, plain.arrays(stores[kind], UNIT)[name]), name

    @pytest.mark.parametrize(("kind", "engine"), ENGINES)
    def test_time_stays_integer_in_units_without_missing_dates(self, stores, kind, engine):
        with xr.open_dataset(stores[kind], group=PLAIN, engine=engine, decode_times=False) as dataset:
            assert dataset["time"].dtype == np.int32
        with xr.open_dataset(stores[kind], group=UNIT, engine=engine, decode_times=False) as dataset:
            assert dataset["time"].dtype.kind == "f"  # xarray converts to float because of the fill value

    @pytest.mark.parametrize(("kind", "engine"), ENGINES)
    def test_the_index_has_nat_for_samples_without_dates(self, stores, kind, engine):
        with xr.open_dataset(stores[kind], group="index", engine=engine) as dataset:
            lonely = np.isnat(dataset["time_first"].values)
            assert np.array_equal(lonely, np.isnat(dataset["time_last"].values))
            assert dataset["split"].values[lonely].tolist() == [0, 0]
            assert dataset["localid"].values[lonely].tolist() == [-1, 2]

    @pytest.mark.parametrize(("kind", "engine"), ENGINES)
    def test_xarray_opens_the_tree(self, stores, kind, engine):
        with xr.open_datatree(stores[kind], engine=engine) as tree:
            groups = {group for group in tree.groups if group.startswith(f"/{UNIT}/published/")}
            assert len(groups) == len(plain.published(stores[kind], UNIT))
            for one in plain.published(stores[kind], UNIT):
                dataset = tree[f"/{UNIT}/published/{one.key}"].to_dataset(inherit=False)
                assert dataset["data"].values.tobytes() == one.data.tobytes()
                assert dataset["data"].attrs["name"] == one.name

    @pytest.mark.parametrize("opened", [netCDF4.Dataset, h5netcdf.File], ids=["netCDF4", "h5netcdf"])
    def test_netcdf_readers_read_every_array(self, stores, opened):
        with opened(stores["h5"]) as file:
            for one in plain.published(stores["h5"], UNIT):
                group = file[f"{UNIT}/published/{one.key}"]
                for name in ("state", "offset", "data"):
                    variable = group.variables[name]
                    assert np.asarray(variable[...]).tobytes() == getattr(one, name).tobytes()
                    assert not any("phony" in dim for dim in variable.dimensions)

    @pytest.mark.skipif(shutil.which("ncdump") is None, reason="ncdump (netcdf-bin) is not installed")
    def test_ncdump_shows_published_features(self, stores):
        done = subprocess.run(["ncdump", "-h", stores["h5"]], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        for text in ("ubyte data(byte) ;", "byte state(source_example) ;", 'data :name = "a/b" ;', "time:_FillValue"):
            assert text in done.stdout
        assert done.stdout.count("time:_FillValue") == 1
        assert "phony_dim" not in done.stdout


@zarr_first
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_published_feature_may_span_several_chunks(tmp_path, suffix, rng, beyond):
    size = layout.PUBLISHED_CHUNK + beyond
    pieces = [rng.bytes(size // 2), b"", rng.bytes(size - size // 2)]
    source = write(tmp_path, "train_50SMG", [changed(i, more=bytes_list(piece)) for i, piece in enumerate(pieces)])
    path = tmp_path / f"x.{suffix}"
    s2ct_convert.convert([source], path, jobs=1)
    (one,) = plain.published(path, UNIT)
    assert one.values() == pieces
    with plain.opened(path) as root:
        assert root[f"{UNIT}/published/more/data"].chunks == (min(size, layout.PUBLISHED_CHUNK),)
    assert verify_store(path).ok
    assert [file.name for file in path.parent.glob("*.s2ct/work/*")] == []
    with s2ct_convert.open_store(path) as store:
        feature = store[UNIT].published["more"]
        assert [feature.get(i) for i in range(3)] == pieces
