"""Labelled Sentinel-2 cloud time series, from 7z-packed TFRecords to Zarr and HDF5.

Everything the command line does can be done from the names here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .conversion.build import build
    from .conversion.run import convert
    from .conversion.summary import Summary, UnitsFailed
    from .errors import PartialStoreWarning, S2ctError, StoreDamaged
    from .export.tfrecord import Exported, export_tfrecord
    from .reading.epoch import Shard, read_epoch
    from .reading.opening import open_store
    from .reading.select import Selection
    from .reading.store import Store
    from .reading.table import Samples
    from .reading.unit import Sample, Unit
    from .record.checksums import Check, Checksum, check_files
    from .record.download import FilesFailed, Report, download
    from .record.listing import list_files, list_urls
    from .record.local import Local, State
    from .sample import sample_sources
    from .show.croissant import write_croissant
    from .show.preview import preview
    from .source.extract import Extracted, extract_archive
    from .source.read import read_examples
    from .verify.against import verify_against
    from .verify.sources import verify_sources
    from .verify.store import verify_store

# Loaded when first used: `s2ct --help` needs none of numpy, zarr and h5py.
_HOME = {
    "build": "conversion.build",
    "convert": "conversion.run",
    "Summary": "conversion.summary",
    "UnitsFailed": "conversion.summary",
    "PartialStoreWarning": "errors",
    "S2ctError": "errors",
    "preview": "show.preview",
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
    "export_tfrecord": "export.tfrecord",
    "Exported": "export.tfrecord",
    "open_store": "reading.opening",
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
    "Check",
    "Checksum",
    "Exported",
    "Extracted",
    "FilesFailed",
    "Local",
    "PartialStoreWarning",
    "Report",
    "S2ctError",
    "Sample",
    "Samples",
    "Selection",
    "Shard",
    "State",
    "Store",
    "StoreDamaged",
    "Summary",
    "Unit",
    "UnitsFailed",
    "__version__",
    "build",
    "check_files",
    "convert",
    "download",
    "export_tfrecord",
    "extract_archive",
    "list_files",
    "list_urls",
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
