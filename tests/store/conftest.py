"""Stores of generated units. Tests only read them."""

from __future__ import annotations

import hdf5plugin  # noqa: F401  # before netCDF4, whose own Blosc filter can read but not write
import numpy as np
import pytest
from makers import Group

FORMATS = {"zarr": "zarr", "h5": "hdf5"}


@pytest.fixture(params=["zarr", "hdf5"])
def format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def empty_group(localid: int) -> Group:
    """An example without timestamps."""
    return Group(localid, *(np.empty(0, dtype) for dtype in ("<u2", "i1", "<i8", "<f4")))
