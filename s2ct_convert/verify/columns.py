"""Compares a unit, except its pixels, with the table of its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..published import PublishedFeature
from ..reading.unit import Unit
from ..source.table import SourceTable
from ..store.digest import digest_columns, pieces
from .findings import Finding
from .rows import Rows


def table_differences(unit: Unit, rows: Rows, table: SourceTable) -> list[Finding]:
    """Differences in labels, dates, weights, samples and published features between a unit and its source."""
    name = str(unit.name)
    if table.images != unit.observations:  # already reported, example by example
        return []
    out = []
    if not np.array_equal(unit.localid, table.localid):
        out.append(Finding("the samples differ from those of the source", name))
    elif (rows.owner[rows.by_place] != np.repeat(table.sample, table.sizes)).any():
        out.append(Finding("observations belong to other samples than in the source", name))
    for column in digest_columns(unit.layout):
        stored = np.asarray(unit[column][...])[rows.by_place]
        out += [
            Finding(f"{column} differs", name, example=example, rows=between)
            for example, between in _differing(stored, table.columns[column], rows)
        ]
    if unit.layout > 1:
        out += _published_differences(unit, table)
    return out


def _differing(stored: npt.NDArray[Any], given: npt.NDArray[Any], rows: Rows) -> Iterator[tuple[int, tuple[int, int]]]:
    """Examples with a value that differs in any bit, and their first and last row."""
    if not len(stored):
        return
    if stored.shape != given.shape or stored.dtype != given.dtype:
        wrong = np.arange(len(stored))
    else:
        bits = [np.ascontiguousarray(one).view(np.uint8).reshape(len(one), -1) for one in (stored, given)]
        wrong = np.flatnonzero((bits[0] != bits[1]).any(axis=1))
    examples = rows.example[rows.by_place]
    for example in np.unique(examples[wrong]).tolist():
        own = rows.of_example(example)
        yield example, (int(own.min()), int(own.max()))


def _published_differences(unit: Unit, table: SourceTable) -> Iterator[Finding]:
    name = str(unit.name)
    stored = {(one.name, one.kind): one for one in unit.published.values()}
    given = {(one.name, one.kind): one for one in table.published}
    for feature, kind in sorted(stored.keys() ^ given.keys()):
        where = "the source" if (feature, kind) in given else "the store"
        yield Finding(f"published {feature or 'record'!r} ({kind}) is only in {where}", name)
    for key in sorted(stored.keys() & given.keys()):
        if not _equal(stored[key], given[key]):
            yield Finding(f"published {key[0] or 'record'!r} ({key[1]}) differs", name)


def _equal(one: PublishedFeature, other: PublishedFeature) -> bool:
    if not (np.array_equal(one.state, other.state) and np.array_equal(one.offset, other.offset)):
        return False
    if one.data.shape != other.data.shape:
        return False
    return all(np.array_equal(a, b) for a, b in zip(pieces(one.data), pieces(other.data), strict=True))
