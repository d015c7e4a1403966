"""Interprets a source that was read to its end: its table, its attributes, what the number in its name counts."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

from ..dataset import DATASET, Dataset
from ..gaps import Gap, gaps_to_text
from ..names import printable
from ..source.ends import has_end
from ..source.find import Source
from ..source.notes import Note
from ..source.table import SourceTable, TableBuilder
from ..store.extent import tile_extent
from ..store.layout import GAPS, SALVAGED


def understand(
    builder: TableBuilder,
    source: Source,
    md5: str | None,
    dataset: Dataset = DATASET,
    *,
    salvaged: bool = False,
    proven: bool = False,
) -> SourceTable:
    """The table of a source that was read to its end. ``md5`` is the MD5 of its archive.

    ``salvaged``: examples are missing, so that the number in the name need not be theirs. ``proven``: the file had the
    md5 of its record.
    """
    is_published = md5 is not None and _is_of_record(md5, dataset)
    table = builder.finish(dataset.published if is_published else datetime.datetime.now(datetime.UTC).date())
    if salvaged:
        return table
    counts, notes = name_counts(source, table), table.notes
    place = f"{source.where}: {table.examples:,} example{'' if table.examples == 1 else 's'}"
    if counts not in ("", "examples"):
        notes = (Note(f"number_counts_{counts}", 1, place), *notes)
    if not (proven or _counts_to_the_end(counts, table) or has_end(source)):
        notes = (Note("end_unproven", 1, place), *notes)
    return dataclasses.replace(table, notes=notes)


def _counts_to_the_end(counts: str, table: SourceTable) -> bool:
    """Whether the number in the name would differ if examples were missing at the end.

    A number of samples says nothing about the last examples of a sample that has several.
    """
    one_each = table.examples == len(table.localid)
    return counts in ("examples", "observations") or (counts == "samples" and one_each)


def _is_of_record(md5: str, dataset: Dataset) -> bool:
    from ..record.manifest import published  # slow to import, and only archives need it

    return any(one.md5 == md5 for one in published(dataset.record))


def name_counts(source: Source, table: SourceTable) -> str:
    """What the number in the name counts; empty if there is no number."""
    return "" if source.name_count is None else table.counts(source.name_count)


def unit_attributes(
    source: Source,
    md5: str | None,
    size: int,
    table: SourceTable,
    dataset: Dataset = DATASET,
    gaps: Sequence[Gap] | None = None,
) -> dict[str, str | float]:
    """Attributes of the unit's group; they do not depend on when or where the unit was made.

    ``gaps``: of a salvaged unit; None for others.
    """
    attributes: dict[str, str | float] = {
        "split": source.unit.split,
        "tile": source.unit.tile,
        "source_file": printable(source.path.name),
        "source_member": printable(source.member or ""),
        "source_md5": md5 or "",
        "source_bytes": size,
        "source_examples": table.examples,
        "date_encoding": table.encoding,
        "dates_with_time_of_day": table.dates_with_time,
        **tile_extent(dataset.locate(source.unit.tile)),
    }
    if source.name_count is not None:
        attributes |= {"name_count": source.name_count, "name_counts": table.counts(source.name_count)}
    if table.until is not None:
        attributes["dates_until"] = table.until.isoformat()
    if gaps is not None:
        attributes |= {SALVAGED: 1, GAPS: gaps_to_text(gaps)}
    if table.notes:
        attributes["notes"] = "\n".join(note.line(dataset) for note in table.notes)
    return attributes
