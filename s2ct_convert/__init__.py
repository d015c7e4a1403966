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
    from .errors import S2ctError, StoreDamaged
    from .reading.epoch import Shard, read_epoch
    from .reading.select import Selection
    from .reading.store import Store, open_store
    from .reading.table import Samples
    from .reading.unit import Sample, Unit
    from .sample import sample_sources
    from .show.croissant import write_croissant
    from .show.preview import preview
    from .source.read import read_examples
    from .verify.against import verify_against
    from .verify.sources import verify_sources
    from .verify.store import verify_store

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
    "Samples": "reading.table",
    "Selection": "reading.select",
    "Shard": "reading.epoch",
    "read_epoch": "reading.epoch",
    "StoreDamaged": "errors",
    "verify_against": "verify.against",
    "verify_sources": "verify.sources",
    "verify_store": "verify.store",
    "write_croissant": "show.croissant",
}

__all__ = [
    "S2ctError",
    "Sample",
    "Samples",
    "Selection",
    "Shard",
    "Store",
    "StoreDamaged",
    "Summary",
    "Unit",
    "UnitsFailed",
    "__version__",
    "convert",
    "open_store",
    "preview",
    "read_epoch",
    "read_examples",
    "sample_sources",
    "verify_against",
    "verify_sources",
    "verify_store",
    "write_croissant",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
