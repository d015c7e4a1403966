"""Notes on sources, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..dataset import DATASET, Dataset
from ..source.notes import sum_notes
from ..units.entries import UnitEntry
from ..words import plural


def note_lines(entries: Iterable[UnitEntry], dataset: Dataset = DATASET) -> list[str]:
    """One line per kind of note: the text, the number of units, and the first place."""
    lines = []
    for one in sum_notes((entry.unit, note) for entry in entries for note in entry.notes):
        within = f"in {plural(len(one.units), 'unit')}, first " if len(one.units) > 1 else ""
        lines.append(f"{one.note.text(dataset)} ({within}{one.note.first})")
    return lines


def sum_documents(entries: Iterable[UnitEntry], dataset: Dataset = DATASET) -> list[dict[str, Any]]:
    """The same notes as JSON objects."""
    sums = sum_notes((entry.unit, note) for entry in entries for note in entry.notes)
    return [{**one.note.document(dataset), "units": list(one.units)} for one in sums]
