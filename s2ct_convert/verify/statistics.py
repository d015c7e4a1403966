"""Checks the statistics that a unit holds: its attributes against its counts, and the counts against its pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..reading.unit import Unit
from ..store.digest import Table
from ..store.layout import STATISTICS, ArraySpec, statistics_arrays
from ..store.statistics import CLEAR, Counts, only_statistics, statistics_attributes, statistics_group, stored_counts
from .findings import Finding


def has_statistics(unit: Unit) -> bool:
    """Whether the attributes of the unit say that it holds statistics."""
    return STATISTICS in unit.attributes and CLEAR in unit.dataset.classes


def statistics_specs(unit: Unit) -> list[ArraySpec]:
    """The arrays of its statistics, with their group in the name; none if it holds none."""
    specs = statistics_arrays() if has_statistics(unit) else ()
    return [replace(spec, name=f"{STATISTICS}/{spec.name}") for spec in specs]


def check_statistics(unit: Unit, tables: Sequence[Table], counted: Counts | None) -> Iterator[Finding]:
    """Differences from the statistics of the pixels; without ``counted``, from those of the stored counts.

    ``tables`` are those of ``statistics_specs``.
    """
    name, bands = str(unit.name), len(unit.dataset.bands)
    stored = {table.name.partition("/")[2]: np.asarray(table.data) for table in tables}
    if counted is None:
        counted = stored_counts(stored, bands)
    for spec, data in statistics_group(counted).arrays:
        if not np.array_equal(stored[spec.name], data):
            yield Finding(f"{STATISTICS}/{spec.name} differs from the pixels", name)
    expected = statistics_attributes(counted, unit.label, unit.dataset, salvaged=unit.salvaged)
    found = only_statistics(unit.attributes)
    for key in sorted(expected.keys() | found.keys()):
        right, there = _plain(expected.get(key)), _plain(found.get(key))
        if right != there:
            yield Finding(f"{key} is {_words(there)}, by the pixels it is {_words(right)}", name)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _words(value: Any) -> str:
    return "missing" if value is None else str(value)
