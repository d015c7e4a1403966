"""Python packages for HDF5 (h5py, h5netcdf, netCDF4, xarray) read every array bit for bit."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from .expected import assert_equal

GROUPS = ("train/31TCJ", "train/34VFN", "val/31TCJ", "val/34VFN", "index")
TIMES = ("time", "time_first", "time_last")
KINDS = ("gzip", "blosc", "linked")


def with_h5py(path, group, names):
    with h5py.File(path) as file:
        return {name: file[f"{group}/{name}"][...] for name in names}


def with_h5netcdf(path, group, names):
    h5netcdf = pytest.importorskip("h5netcdf", reason="h5netcdf is not installed")
    with h5netcdf.File(path) as file:
        node = file[group] if group else file
        return {name: node.variables[name][...] for name in names}


def with_netcdf4(path, group, names):
    netcdf4 = pytest.importorskip("netCDF4", reason="netCDF4 is not installed")
    with netcdf4.Dataset(path) as file:
        file.set_auto_mask(False)
        node = file[group] if group else file
        assert set(node.variables) == set(names)
        return {name: node.variables[name][...] for name in names}


# h5netcdf and links: see test_h5netcdf_does_not_follow_the_links_of_a_linked_store.
EACH = [(read, kind) for read in (with_h5py, with_netcdf4) for kind in KINDS]
EACH += [(with_h5netcdf, "gzip"), (with_h5netcdf, "blosc")]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("read", "kind"), EACH)
def test_every_array_is_equal(stores, expected, read, kind, group):
    found = read(stores[kind], group, list(expected[group]))
    for name, wanted in expected[group].items():
        assert_equal(found[name], wanted, name)


@pytest.mark.parametrize("read", [with_h5py, with_h5netcdf, with_netcdf4])
def test_a_unit_file_is_equal(unit_file, expected, read):
    wanted = expected["train/34VFN"]
    found = read(unit_file, "", list(wanted))
    for name, array in wanted.items():
        assert_equal(found[name], array, name)


def test_h5netcdf_does_not_follow_the_links_of_a_linked_store(stores, expected):
    """If this fails, update docs/readers.md."""
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed")
    with pytest.raises((KeyError, ValueError, RuntimeError)):
        with_h5netcdf(stores["linked"], "train/34VFN", list(expected["train/34VFN"]))


ENGINES = [(kind, "netcdf4") for kind in KINDS] + [("gzip", "h5netcdf"), ("blosc", "h5netcdf")]


def assert_dataset(dataset, wanted):
    assert set(dataset.variables) == set(wanted)
    for name, array in wanted.items():
        if name in TIMES:
            assert np.array_equal(dataset[name].values, array.astype("datetime64[D]")), name
        else:
            assert_equal(dataset[name].values, array, name)


def engine_of_xarray(engine):
    pytest.importorskip("netCDF4" if engine == "netcdf4" else engine, reason=f"{engine} is not installed")
    return pytest.importorskip("xarray", reason="xarray is not installed")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("kind", "engine"), ENGINES)
def test_xarray_is_equal_with_dates_decoded(stores, expected, kind, engine, group):
    with engine_of_xarray(engine).open_dataset(stores[kind], group=group, engine=engine) as dataset:
        assert_dataset(dataset, expected[group])


@pytest.mark.parametrize(("kind", "engine"), ENGINES)
def test_xarray_opens_the_tree(stores, expected, kind, engine):
    with engine_of_xarray(engine).open_datatree(stores[kind], engine=engine) as tree:
        assert set(tree.groups) == {"/", "/train", "/val", *(f"/{group}" for group in GROUPS)}
        for group in GROUPS:
            assert_dataset(tree[group].to_dataset(inherit=False), expected[group])


def test_an_image_with_a_changed_byte_is_refused(stores, tmp_path):
    """HDF5's fletcher32 detects it, with gzip and with Blosc."""
    for kind in ("gzip", "blosc"):
        path = tmp_path / f"{kind}.h5"
        content = bytearray(stores[kind].read_bytes())
        with h5py.File(stores[kind]) as file:
            chunk = file["val/34VFN/image"].id.get_chunk_info(0)
        content[chunk.byte_offset + chunk.size // 2] ^= 1
        path.write_bytes(content)
        with h5py.File(path) as file, pytest.raises(OSError, match=r"(?i)filter"):
            file["val/34VFN/image"][...]
