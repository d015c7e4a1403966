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
    from .record.checksums import Check, Checksum, check_files
    from .record.download import FilesFailed, Report, download
    from .record.listing import list_files, list_urls
    from .record.local import Local, State
    from .sample import sample_sources
    from .source.extract import Extracted, extract_archive
    from .source.read import read_examples
    from .store.reader import Sample, Store, Unit, open_store

# Loaded when first used: `s2ct --help` needs none of numpy, zarr and h5py.
_HOME = {
    "convert": "conversion.run",
    "Summary": "conversion.summary",
    "UnitsFailed": "conversion.summary",
    "S2ctError": "errors",
    "download": "record.download",
    "Report": "record.download",
    "FilesFailed": "record.download",
    "list_files": "record.listing",
    "list_urls": "record.listing",
    "Local": "record.local",
    "State": "record.local",
    "check_files": "record.checksums",
    "Checksum": "record.checksums",
    "Check": "record.checksums",
    "sample_sources": "sample",
    "extract_archive": "source.extract",
    "Extracted": "source.extract",
    "read_examples": "source.read",
    "open_store": "store.reader",
    "Sample": "store.reader",
    "Store": "store.reader",
    "Unit": "store.reader",
}

__all__ = [
    "Check",
    "Checksum",
    "Extracted",
    "FilesFailed",
    "Local",
    "Report",
    "S2ctError",
    "Sample",
    "State",
    "Store",
    "Summary",
    "Unit",
    "UnitsFailed",
    "__version__",
    "check_files",
    "convert",
    "download",
    "extract_archive",
    "list_files",
    "list_urls",
    "open_store",
    "read_examples",
    "sample_sources",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
