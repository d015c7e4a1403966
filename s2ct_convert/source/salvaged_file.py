"""Writes the whole records of a damaged archive or TFRecord to a new TFRecord, with a report of what is missing."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..durable import whole_file, write_atomic
from ..errors import DestinationExists, TFRecordDamaged
from ..gaps import Gap
from ..names import printable
from ..paths import check_outside_stores, check_path, check_readable
from .find import find_sources
from .found import SALVAGED_SUFFIX, Source
from .salvage import open_salvaged
from .tfrecord import write_raw_record

REPORT_SUFFIX = ".salvaged.json"


@dataclass(frozen=True)
class SalvagedFile:
    """A TFRecord with what was whole in a damaged source.

    Attributes
    ----------
    path, report : Path
        The TFRecord, and the JSON file on what is missing.
    examples, bytes : int
        Number of its records, and its size.
    gaps : tuple of Gap
    """

    path: Path
    report: Path
    examples: int
    bytes: int
    gaps: tuple[Gap, ...]


def salvage_tfrecord(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> list[SalvagedFile]:
    """Write every record with right checksums of a damaged archive or TFRecord to a new TFRecord.

    ``train_50SMG_462.7z`` becomes ``train_50SMG_462.salvaged.tfrecord``. ``train_50SMG_462.salvaged.json`` beside it
    has the gaps, and the number of each record in the source, null where it is not known. ``convert`` takes a file of
    this name only with ``salvage``, since examples are missing.

    Parameters
    ----------
    path : path-like
        An archive, the first of its volumes, or a bare TFRecord.
    folder : path-like
        Created if it does not exist.
    overwrite : bool
        Replace existing files.
    on_bytes : callable, optional
        Called with the number of bytes of the source read since the last call.

    Returns
    -------
    list of SalvagedFile
        One for each TFRecord in the archive.

    Raises
    ------
    DestinationExists
        If a file exists and `overwrite` is false.
    SourceError
        If nothing can be salvaged.

    Examples
    --------
    >>> import s2ct_convert
    >>> s2ct_convert.salvage_tfrecord("train_50SMG_462.7z", "salvaged/")  # doctest: +SKIP
    """
    path, folder = check_readable(path), check_path(folder)
    check_outside_stores(folder, "an unpacked file")
    found = find_sources([path], salvage=True)
    for unusable in found.unusable:
        raise unusable.error
    return [_write(source, folder, overwrite, on_bytes) for source in found.sources]


def _write(source: Source, folder: Path, overwrite: bool, on_bytes: Callable[[int], None] | None) -> SalvagedFile:
    base = Path(source.member).name if source.member else source.path.name.partition(".7z")[0]
    target, report = folder / f"{base}{SALVAGED_SUFFIX}", folder / f"{base}{REPORT_SUFFIX}"
    if not overwrite and (there := next((one for one in (target, report) if one.exists()), None)):
        raise DestinationExists(
            "this file exists", where=str(there), todo="choose another folder, or give --overwrite to replace it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file, open_salvaged(source, on_bytes) as examples:
        for payload in examples.payloads():
            write_raw_record(file, payload)
        if not examples.numbers:
            raise TFRecordDamaged("no whole example was found", where=source.where)
        size = file.tell()
    content = {
        "source": printable(source.path.name),
        "source_bytes": source.size(),
        "source_md5": examples.md5(),
        "examples": len(examples.numbers),
        "numbers": examples.numbers,
        "gaps": [dataclasses.asdict(gap) for gap in examples.gaps],
    }
    write_atomic(report, json.dumps(content, indent=1).encode() + b"\n")
    return SalvagedFile(target, report, len(examples.numbers), size, tuple(examples.gaps))
