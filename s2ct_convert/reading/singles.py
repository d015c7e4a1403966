"""Reads single observations of several units, given by rows that count through all units of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..missing import NO_LABEL
from ..threads import for_each
from .chunks import Pixels
from .epoch import Memory, in_pieces
from .images import call, runs_of
from .rows import Units
from .series import Series
from .single_plan import Rows
from .unit import Unit


class Observations(NamedTuple):
    """Arrays with one entry for each observation; ``unit`` is the name of its unit, ``row`` its row there."""

    image: Pixels
    label: npt.NDArray[np.int8]
    time: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    unit: npt.NDArray[np.str_]
    localid: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnitBases:
    """Where each unit begins if the rows of all units are counted through; ``bases`` has one entry more than units."""

    names: tuple[str, ...]
    bases: Rows

    def parts(self, rows: Rows) -> list[tuple[str, Rows]]:
        """Ascending rows as the rows of each unit that has some."""
        cuts = np.searchsorted(rows, self.bases)
        pairs = zip(self.names, self.bases.tolist(), cuts.tolist(), cuts[1:].tolist(), strict=False)
        return [(name, rows[low:high] - base) for name, base, low, high in pairs if high > low]


def unit_bases(units: Mapping[str, Unit]) -> UnitBases:
    """The units of a store, one after another."""
    sizes = [unit.observations for unit in units.values()]
    return UnitBases(tuple(units), np.cumsum([0, *sizes], dtype=np.int64))


def rows_of_series(series: Series, where: UnitBases) -> Rows:
    """The selected rows of all samples, ascending."""
    bases = dict(zip(where.names, where.bases.tolist(), strict=False))
    parts = [bases[series.unit(i)] + series.rows(i) for i in range(len(series))]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))


def classes_of(units: Mapping[str, Unit], where: UnitBases, rows: Rows, classes: int) -> npt.NDArray[np.int8]:
    """The class of each of these ascending rows; -1 for none. Of k x k labels, the most frequent class (the first)."""
    found = [_classes(units[name].label[own], classes) for name, own in where.parts(rows)]
    return np.concatenate([np.zeros(0, np.int8), *found])


def _classes(label: npt.NDArray[np.int8], classes: int) -> npt.NDArray[np.int8]:
    if label.ndim == 1:
        return np.where((label >= 0) & (label < classes), label, np.int8(NO_LABEL))
    counts = np.stack([(label == one).sum(axis=(1, 2)) for one in range(classes)])
    return np.where(counts.any(axis=0), counts.argmax(axis=0), NO_LABEL).astype(np.int8)


def read_observations(store: Units, where: UnitBases, rows: Rows, memory: Memory) -> Observations:
    """Read ascending rows, each once. A chunk that several rows share is decoded once."""
    images = memory.lend(len(rows))
    take = in_pieces(images)
    tasks: list[Callable[[], None]] = []
    columns: list[tuple[npt.NDArray[Any], ...]] = []
    for name, own in where.parts(rows):
        unit = store.units[name]
        tasks += unit.plan_images(runs_of(own), take)[1]
        sample = np.searchsorted(unit.row_start, own, side="right") - 1
        names = np.full(len(own), name)
        columns.append((unit.label[own], unit.time[own], unit.weight[own], names, unit.localid[sample], own))
    for_each(call, tasks)
    return Observations(images, *(np.concatenate(one) for one in zip(*columns, strict=True)))
