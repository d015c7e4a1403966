"""The bundled sample in every store format, and its expected arrays."""

from __future__ import annotations

import hdf5plugin  # noqa: F401  # before netCDF4, whose own Blosc filter can read but not write
import numpy as np
import pytest
from makers import FIRST_DAY, Group, write_tfrecord

import s2ct_convert

from . import expected as truth

KINDS = ("zarr", "gzip", "blosc", "linked")


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Paths of ``zarr``, ``gzip``, ``blosc`` and ``linked`` (the last three are HDF5). Tests must not change them."""
    folder = tmp_path_factory.mktemp("readers")
    paths = {kind: folder / kind / f"clouds.{'zarr' if kind == 'zarr' else 'h5'}" for kind in KINDS}
    for kind, path in paths.items():
        path.parent.mkdir()
        codec = "blosc" if kind == "blosc" else None
        s2ct_convert.convert(s2ct_convert.sample_sources(), path, codec=codec, linked=kind == "linked")
    return paths


@pytest.fixture(scope="session")
def expected():
    """Every array by group, computed from the sources."""
    return truth.store_arrays(s2ct_convert.sample_sources())


@pytest.fixture(scope="session")
def unit_file(stores):
    """The file of one unit of the linked store: a complete netCDF-4 file."""
    return stores["linked"].with_name("clouds.h5.units") / "train_34VFN.h5"


@pytest.fixture(scope="session")
def long_unit(tmp_path_factory):
    """A Zarr store and its images. Its only unit, ``train/50SMG``, has two shards and a partly filled last chunk."""
    folder, rng = tmp_path_factory.mktemp("long"), np.random.default_rng(4096)
    images = np.repeat(rng.integers(0, 10_000, (4100, 4, 42, 1), np.uint16), 42, axis=3)
    groups = [
        Group(n, images[i : i + 100], np.zeros(len(rows), np.int8), FIRST_DAY + rows, np.ones(len(rows), np.float32))
        for n, i in enumerate(range(0, 4100, 100))
        for rows in [np.arange(len(images[i : i + 100]))]
    ]
    store = folder / "long.zarr"
    s2ct_convert.convert([write_tfrecord(folder, groups, unit="train_50SMG")], store)
    return store, images
