"""Other programs read the same values from a store as plain zarr and plain h5py."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import plain
import pytest

netCDF4 = pytest.importorskip("netCDF4")
h5netcdf = pytest.importorskip("h5netcdf")
xr = pytest.importorskip("xarray")

UNITS = ("train/49RGN", "train/50SMG", "val/50SMG")
GROUPS = (*UNITS, "index")
TIMES = ("time", "time_first", "time_last")
ENGINES = [("zarr", "zarr"), ("h5", "netcdf4"), ("h5", "h5netcdf"), ("blosc", "netcdf4"), ("blosc", "h5netcdf")]
LINKED = [("linked", "netcdf4")]  # h5netcdf does not follow dimension scales through external links


def as_dates(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[D]")


def assert_dataset(dataset, arrays):
    """Assert that an xarray dataset has these arrays and dtypes, with times decoded to dates."""
    assert sorted(map(str, dataset.variables)) == sorted(arrays)
    for name, expected in arrays.items():
        found = dataset[name].values
        if name in TIMES:
            assert found.dtype.kind == "M", name
            assert np.array_equal(found.astype("datetime64[D]"), as_dates(expected)), name
        else:
            assert (found.dtype.newbyteorder("="), found.shape) == (expected.dtype.newbyteorder("="), expected.shape), (
                name
            )
            assert found.astype(expected.dtype).tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("kind", "engine"), ENGINES + LINKED)
def test_xarray_keeps_dtypes_and_decodes_dates_in_every_group(made, kind, engine, group):
    with xr.open_dataset(made[kind], group=group, engine=engine) as dataset:
        assert_dataset(dataset, plain.arrays(made[kind], group))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("consolidated", [None, True, False])
def test_xarray_open_zarr_opens_each_unit_with_its_dimensions(made, unit, consolidated):
    arrays = plain.arrays(made["zarr"], unit)
    with xr.open_zarr(made["zarr"], group=unit, consolidated=consolidated, chunks=None) as dataset:
        assert_dataset(dataset, arrays)
        assert dataset["image"].dims == ("obs", "band", "y", "x")
        assert "time" in dataset["image"].coords
        pixels = ("obs", "label_y", "label_x") if unit == "train/49RGN" else ("obs",)
        assert dataset["label"].dims == pixels


@pytest.mark.parametrize(("kind", "engine"), ENGINES + LINKED)
def test_xarray_opens_the_whole_store_as_a_tree(made, kind, engine):
    with xr.open_datatree(made[kind], engine=engine) as tree:
        units = ["/train", *(f"/{unit}" for unit in UNITS), "/val"]
        kept = ["/train/50SMG/published", "/train/50SMG/published/weights"]
        assert sorted(tree.groups) == sorted(["/", "/index", *units, *kept])
        assert tree.attrs["state"] == "complete"
        for group in GROUPS:
            assert_dataset(tree[group].to_dataset(inherit=False), plain.arrays(made[kind], group))
        assert (
            tree["train/50SMG"].attrs["content_digest"] == plain.attributes(made[kind], "train/50SMG")["content_digest"]
        )


def test_xarray_returns_the_values_0_and_65535_unchanged(made):
    extreme = plain.arrays(made["zarr"], "train/50SMG")
    rows = np.flatnonzero(np.isin(extreme["image"].reshape(len(extreme["image"]), -1).max(axis=1), (0, 65535)))
    assert len(rows) >= 4
    for kind, engine in ENGINES:
        if (kind, engine) == ("blosc", "netcdf4") and not has_blosc(made[kind]):
            continue
        with xr.open_dataset(made[kind], group="train/50SMG", engine=engine) as dataset:
            assert np.array_equal(dataset["image"].isel(obs=rows).values, extreme["image"][rows]), (kind, engine)


def has_blosc(path: Path) -> bool:
    """Whether the wheel of netCDF4 has the filter; 1.7.2 has not."""
    with netCDF4.Dataset(path) as file:
        return bool(file.has_blosc_filter())


@pytest.mark.every_variant
@pytest.mark.parametrize("kind", ["h5", "blosc", "linked"])
@pytest.mark.parametrize("group", GROUPS)
def test_netcdf4_python_reads_every_array_and_its_dimensions(made, kind, group):
    if kind == "blosc" and not has_blosc(made[kind]):
        pytest.skip("this netCDF4 has no filter for Blosc")
    with netCDF4.Dataset(made[kind]) as file:
        file.set_auto_mask(False)
        node = file[group]
        arrays = plain.arrays(made[kind], group)
        assert sorted(node.variables) == sorted(arrays)
        plain.assert_same({name: native(variable[...]) for name, variable in node.variables.items()}, arrays)
        for name, variable in node.variables.items():
            assert not [dim for dim in variable.dimensions if dim.startswith("phony_dim")], name


@pytest.mark.parametrize("kind", ["h5", "blosc"])
@pytest.mark.parametrize("group", GROUPS)
def test_h5netcdf_reads_every_array_and_its_dimensions(made, kind, group):
    with h5netcdf.File(made[kind]) as file:
        node = file[group]
        plain.assert_same(
            {name: variable[...] for name, variable in node.variables.items()}, plain.arrays(made[kind], group)
        )
        sizes = {name: dimension.size for name, dimension in node.dimensions.items()}
        for name, variable in node.variables.items():
            assert tuple(sizes[dim] for dim in variable.dimensions) == variable.shape, name


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_a_unit_file_of_a_linked_store_opens_alone(made, tmp_path, engine):
    alone = shutil.copy(made["linked"].parent / "made.h5.units" / "train_49RGN.h5", tmp_path)
    with xr.open_dataset(alone, engine=engine) as dataset:
        assert_dataset(dataset, plain.arrays(made["h5"], "train/49RGN"))


@pytest.mark.parametrize("engine", ["netcdf4", "h5py"])
def test_a_moved_linked_store_opens_with_its_units(made, tmp_path, engine):
    shutil.copytree(made["linked"].parent, tmp_path / "moved")
    expected = plain.arrays(made["h5"], "val/50SMG")["image"]
    opened = netCDF4.Dataset if engine == "netcdf4" else h5py.File
    with opened(tmp_path / "moved/made.h5") as file:
        assert np.array_equal(file["val"]["50SMG"]["image"][...], expected)


def native(array: np.ndarray) -> np.ndarray:
    return np.asarray(array)


@pytest.mark.skipif(shutil.which("ncdump") is None, reason="ncdump (netcdf-bin) is not installed")
@pytest.mark.parametrize("kind", ["h5", "blosc", "linked"])
def test_ncdump_shows_the_header(made, kind):
    header = subprocess.run(["ncdump", "-h", made[kind]], capture_output=True, text=True, check=True, timeout=60).stdout
    for text in (
        "ushort image(obs, band, y, x) ;",
        "byte label(obs, label_y, label_x) ;",
        "int label_count(sample, class) ;",
    ):
        assert text in header
    assert "phony_dim" not in header


@pytest.mark.skipif(shutil.which("ncdump") is None, reason="ncdump (netcdf-bin) is not installed")
def test_ncdump_shows_dates_and_pixels(made):
    arrays = plain.arrays(made["h5"], "val/50SMG")
    command = ["ncdump", "-t", "-v", "/val/50SMG/time,/val/50SMG/label", made["h5"]]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    out = out[out.index("group: val") :]
    for text in (f'"{as_dates(arrays["time"])[0]}"', f"label = {arrays['label'][0]}, {arrays['label'][1]},"):
        assert text in out


WITHOUT_HDF5PLUGIN = """
import sys
sys.modules["hdf5plugin"] = None  # importing it raises
import hashlib, h5py
assert not h5py.h5z.filter_avail(32001)
with h5py.File(sys.argv[1]) as file:
    print(hashlib.sha256(file["train/50SMG/image"][...].tobytes()).hexdigest())
"""


def read_without_hdf5plugin(path, monkeypatch):
    monkeypatch.delenv("HDF5_PLUGIN_PATH", raising=False)
    command = [sys.executable, "-c", WITHOUT_HDF5PLUGIN, path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_gzip_file_opens_without_hdf5plugin(made, monkeypatch):
    import hashlib

    done = read_without_hdf5plugin(made["h5"], monkeypatch)
    assert done.stdout.strip() == hashlib.sha256(plain.arrays(made["h5"], "train/50SMG")["image"]).hexdigest()


def test_a_blosc_file_opens_only_with_hdf5plugin(made, monkeypatch):
    pytest.importorskip("hdf5plugin")
    assert "OSError" in read_without_hdf5plugin(made["blosc"], monkeypatch).stderr
    plain.assert_same(plain.arrays(made["blosc"], "train/50SMG"), plain.arrays(made["zarr"], "train/50SMG"))
