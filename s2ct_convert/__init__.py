"""Labelled Sentinel-2 cloud time series, from 7z-packed TFRecords to Zarr and HDF5.

Everything the command line does can be done from the names here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .conversion.run import convert
    from .conversion.summary import Summary, UnitsFailed
    from .errors import S2ctError
    from .reading.store import Store, open_store
    from .reading.unit import Sample, Unit
    from .sample import sample_sources
    from .show.preview import preview
    from .source.read import read_examples

# Loaded when first used: `s2ct --help` needs none of numpy, zarr and h5py.
_HOME = {
    "convert": "conversion.run",
    "Summary": "conversion.summary",
    "UnitsFailed": "conversion.summary",
    "S2ctError": "errors",
    "preview": "show.preview",
    "sample_sources": "sample",
    "read_examples": "source.read",
    "open_store": "reading.store",
    "Sample": "reading.unit",
    "Store": "reading.store",
    "Unit": "reading.unit",
}

__all__ = [
    "S2ctError",
    "Sample",
    "Store",
    "Summary",
    "Unit",
    "UnitsFailed",
    "__version__",
    "convert",
    "open_store",
    "preview",
    "read_examples",
    "sample_sources",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
