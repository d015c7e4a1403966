"""Decides whether a damaged source may make a unit, and notes what such a unit lacks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import DuplicateUnit, TFRecordDamaged
from ..gaps import Gap
from ..missing import NO_NUMBER
from ..source.find import Source
from ..source.read import SourceExamples
from ..source.salvage import SalvagedExamples, all_gaps
from ..source.table import SourceTable
from .entries import UnitEntry
from .resume import source_of


class NothingWhole(TFRecordDamaged):
    """A damaged source has no whole example."""


def check_may_salvage(entry: UnitEntry | None, source: Source, *, overwrite: bool) -> None:
    """Refuse a damaged source of a unit in the store. Not even ``overwrite`` lets it replace a whole unit.

    Raises
    ------
    DuplicateUnit
    """
    if entry is None or (entry.salvaged and overwrite):
        return
    if entry.salvaged:
        raise DuplicateUnit(
            f"the source is damaged, and the store has {entry.unit} salvaged from another source",
            where=source.where,
            found=f"{entry.unit} has {entry.examples:,} examples of {entry.source_path or source_of(entry)}",
            todo=f"to see what it has: s2ct verify sources --salvage-report; to take it: --overwrite-unit {entry.unit}",
        )
    raise DuplicateUnit(
        f"the source is damaged, and the store has {entry.unit} whole; a salvaged unit never replaces a whole one",
        where=source.where,
        found=f"{entry.unit} was made from {entry.source_path or source_of(entry)}",
        todo="leave this source out, or salvage it to another store",
    )


def check_has_all(before: UnitEntry | None, examples: int, source: Source, *, overwrite: bool) -> None:
    """Refuse a source with fewer examples than were salvaged of its unit: nothing proves that it is whole.

    Raises
    ------
    DuplicateUnit
    """
    if before is None or not before.salvaged or overwrite or examples >= before.examples:
        return
    raise DuplicateUnit(
        f"the source has fewer examples than the store has of {before.unit}, which was salvaged from another source",
        where=source.where,
        expected=f"at least {before.examples:,} examples",
        found=f"{examples:,}; a TFRecord that ends after a whole record may be cut",
        todo=f"leave this source out, or replace the unit: --overwrite-unit {before.unit}",
    )


def refuse_salvaged(source: Source) -> None:
    """Refuse a TFRecord that was salvaged from a damaged source: it is valid, but not the whole source.

    Raises
    ------
    TFRecordDamaged
    """
    if source.is_salvaged:
        raise TFRecordDamaged(
            "by its name, this file was salvaged from a damaged source: examples are missing",
            where=source.where,
            todo="convert the source itself; or give --salvage to make a salvaged unit of this file",
        )


def what_is_lost(
    examples: SourceExamples | SalvagedExamples, source: Source, table: SourceTable
) -> tuple[npt.NDArray[np.int32] | None, tuple[Gap, ...] | None]:
    """Numbers of the examples in the source (-1 where unknown), and the gaps; None and None for a good source.

    Raises
    ------
    NothingWhole
        If no example was found.
    """
    if isinstance(examples, SourceExamples):
        return None, None
    if not examples.numbers:
        raise NothingWhole("there is no whole example to salvage", where=source.where)
    numbers = np.array([NO_NUMBER if one is None else one for one in examples.numbers], np.int32)
    return numbers, all_gaps(examples, source, len(table.localid), table.images)
