"""Stores of made-up units that every test of this room may read."""

from __future__ import annotations

from pathlib import Path

import hdf5plugin  # noqa: F401  # before netCDF4, whose own Blosc filter can read but not write
import numpy as np
import pytest
from makers import Group, random_group, write_tfrecord

import s2ct_convert

FORMATS = {"zarr": "zarr", "h5": "hdf5"}


@pytest.fixture(params=["zarr", "hdf5"])
def format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def made_sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three units of two tiles: samples out of order and in pieces, both kinds of labels, extreme values."""
    rng = np.random.default_rng(7)
    folder = tmp_path_factory.mktemp("sources")
    smg = [random_group(rng, localid, n) for localid, n in ((412, 100), (37, 20), (-5, 1), (412, 30))]
    smg[1].image[:2], smg[1].image[2:4] = 0, 65535
    smg[1].weights = None
    val = [random_group(rng, localid, 20) for localid in (1, 2)]
    rgn = [random_group(rng, localid, 25, label_pixels=36) for localid in (8, 9)]
    return [
        write_tfrecord(folder, smg, unit="train_50SMG"),
        write_tfrecord(folder, val, unit="val_50SMG"),
        write_tfrecord(folder, rgn, unit="train_49RGN"),
    ]


@pytest.fixture(scope="session")
def made(made_sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores of them: ``zarr``, ``h5``, ``blosc`` (HDF5) and ``linked`` (HDF5). Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("made")
    stores = {"zarr": folder / "made.zarr", "h5": folder / "made.h5"}
    stores |= {kind: folder / kind / "made.h5" for kind in ("blosc", "linked")}
    for kind, path in stores.items():
        path.parent.mkdir(exist_ok=True)
        codec = "blosc" if kind == "blosc" else None
        s2ct_convert.convert(made_sources, path, codec=codec, linked=kind == "linked")
    return stores


def empty_group(localid: int) -> Group:
    """An example without timestamps."""
    return Group(localid, *(np.empty(0, dtype) for dtype in ("<u2", "i1", "<i8", "<f4")))
