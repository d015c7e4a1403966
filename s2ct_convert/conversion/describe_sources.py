"""The documents of ``s2ct info``: of an archive, a TFRecord, a folder of sources."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..archives.archive import count_lzma2_blocks, read_archive
from ..dataset import DATASET
from ..errors import NotAStore, S2ctError
from ..kinds import fits, kind_of
from ..missing import NO_DAY
from ..names import UnitName
from ..source.find import Source, find_sources
from ..source.read import open_source
from ..source.table import TableBuilder
from ..units.understand import name_counts, understand

Document = dict[str, Any]


def describe_archive(path: Path, unit: str | None) -> Document:
    """The headers of an archive; nothing is unpacked."""
    archive = read_archive(path)
    return {
        "format": "7z",
        "path": str(path),
        "bytes": archive.bytes,
        "methods": list(archive.methods),
        "blocks": archive.blocks,
        "solid": archive.solid,
        "files": [
            {
                "name": m.name,
                "bytes": m.size,
                "crc32": None if m.crc32 is None else f"{m.crc32:08x}",
                "lzma2_blocks": count_lzma2_blocks(path, m.name),
            }
            for m in archive.members
        ],
        "units": [_named(source) for source in _sources(path, unit)],
    }


def _sources(path: Path, unit: str | None) -> Iterator[Source]:
    try:
        yield from find_sources([path], unit=_unit_name(unit)).sources
    except S2ctError:
        return  # archives without sources are described too


def _named(source: Source) -> Document:
    """What the name gives; nothing is unpacked."""
    return {"split": source.unit.split, "tile": source.unit.tile, "name_count": source.name_count}


def _unit_name(unit: str | None) -> UnitName | None:
    return UnitName.from_user(unit) if unit else None


def describe_folder(path: Path, unit: str | None) -> Document:
    """The sources in a folder, by their names."""
    found = find_sources([path], unit=_unit_name(unit))
    if not found.sources and not found.unusable:
        kind = kind_of(path)
        raise NotAStore(
            f"this is {kind}" if kind else "not a store, and not a folder with archives or TFRecords",
            where=str(path),
            todo=fits(path, kind) if kind else "give a store, an archive, a TFRecord or a folder of them",
        )
    return {
        "format": "sources",
        "path": str(path),
        "bytes": sum(source.size() for source in found.sources),
        "units": [
            {**_named(source), "source_file": os.path.relpath(str(source.path), path)} for source in found.sources
        ],
        "problems": [str(unusable.error) for unusable in found.unusable],
    }


def describe_tfrecord(path: Path, unit: str | None) -> Document:
    """Describe a TFRecord. Reads all of it, since a TFRecord has no table of contents."""
    found = find_sources([path], unit=_unit_name(unit))
    for unusable in found.unusable:
        raise unusable.error
    (source,) = found.sources
    builder = TableBuilder()
    with open_source(source) as examples:
        for example in examples:
            builder.add(example)
    table = understand(builder, source, None)
    time, label = table.columns["time"], table.columns["label"]
    days = time[time != NO_DAY].tolist()
    described = {
        "split": source.unit.split,
        "tile": source.unit.tile,
        "examples": table.examples,
        "name_count": source.name_count,
        "name_counts": name_counts(source, table),
        "samples": len(table.localid),
        "observations": table.images,
        "time_first": min(days, default=None),
        "time_last": max(days, default=None),
        "label_count": [int(np.count_nonzero(label == k)) for k in range(len(DATASET.classes))],
        "label_side": table.label_side,
        "date_encoding": table.encoding,
        "notes": [note.document() for note in table.notes],
        "digest": None,
    }
    return {
        "format": "tfrecord",
        "path": str(path),
        "bytes": path.stat().st_size,
        "units": [described],
        "samples": described["samples"],
        "observations": described["observations"],
        "digest": None,
    }
