"""A selection of a store, read lazily: samples or single observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset
from .table import Dates, Labels, Samples, class_numbers, days
from .unit import Unit, to_dates

BLOCK_OBS = 1024  # observations read at once; 14.5 MB of the default data set


class SelectedSample(NamedTuple):
    """The selected observations of one sample, in time order.

    ``rows`` are their row numbers in the unit; the other arrays are as in ``Sample``.
    """

    unit: str
    localid: int
    rows: npt.NDArray[np.int64]
    image: npt.NDArray[np.uint16]
    label: npt.NDArray[np.int8]
    time: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]


class Observation(NamedTuple):
    """One timestamp of one sample.

    ``image`` has the shape (bands, height, width), ``label`` the shape () or (k, k). ``time`` is in days since
    1970-01-01.
    """

    unit: str
    localid: int
    row: int
    image: npt.NDArray[np.uint16]
    label: npt.NDArray[np.int8]
    time: np.int32
    weight: np.float32


class Units(Protocol):
    """What a selection needs of its store."""

    @property
    def units(self) -> Mapping[str, Unit]: ...

    @property
    def dataset(self) -> Dataset: ...


@dataclass(frozen=True)
class Selection:
    """The result of ``store.select``. Images are read during iteration.

    Attributes
    ----------
    table : Samples
        Samples that may have selected observations.
    """

    store: Units
    table: Samples
    time: Dates = None
    label: Labels = None

    def __iter__(self) -> Iterator[SelectedSample]:
        return self.samples()

    def samples(self) -> Iterator[SelectedSample]:
        """Yield the samples with their selected observations. Samples without any are omitted."""
        for unit, localids, rows in self._blocks():
            parted = [runs(own) for own in rows]
            images = iter(unit.images([run for parts in parted for run in parts]))
            for localid, own, parts in zip(localids, rows, parted, strict=True):
                pieces = [next(images) for _ in parts]
                image = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
                columns = (unit.label[own], unit.time[own], unit.weight[own])
                yield SelectedSample(str(unit.name), localid, own, image, *columns)

    def observations(self) -> Iterator[Observation]:
        """Yield the selected observations, sorted by split, tile, localid and time."""
        for sample in self.samples():
            for i, row in enumerate(sample.rows.tolist()):
                arrays = (sample.image[i], sample.label[i], sample.time[i], sample.weight[i])
                yield Observation(sample.unit, sample.localid, row, *arrays)

    def count(self) -> int:
        """Number of selected observations."""
        return sum(len(own) for _, _, rows in self._blocks() for own in rows)

    def _blocks(self) -> Iterator[tuple[Unit, list[int], list[npt.NDArray[np.int64]]]]:
        """Blocks of samples of one unit to read at once, with their selected rows."""
        most = self.store.dataset.cap(BLOCK_OBS)
        for unit in self.store.units.values():
            mine = (self.table["split"] == unit.name.split) & (self.table["tile"] == unit.name.tile)
            block: list[tuple[int, npt.NDArray[np.int64]]] = []
            waiting = 0
            keep = matching(unit, self.table.classes, time=self.time, label=self.label) if mine.any() else None
            for row in self.table[mine]:
                low = int(row["row_start"])
                rows = np.arange(low, low + int(row["row_size"]))
                rows = rows if keep is None else rows[keep[rows]]
                if not len(rows):
                    continue
                if block and waiting + len(rows) > most:
                    yield unit, [localid for localid, _ in block], [own for _, own in block]
                    block, waiting = [], 0
                block.append((int(row["localid"]), rows))
                waiting += len(rows)
            if block:
                yield unit, [localid for localid, _ in block], [own for _, own in block]


def matching(unit: Unit, classes: tuple[str, ...], *, time: Dates, label: Labels) -> npt.NDArray[np.bool_] | None:
    """Which observations of a unit have these dates and labels, shape (obs,); None for all."""
    if time is None and label is None:
        return None
    keep = np.ones(unit.observations, bool)
    if time is not None:
        first, last = days(time)
        dates = to_dates(unit.time)
        keep &= (dates >= first) & (dates <= last)
    if label is not None:
        found = np.isin(unit.label, class_numbers(label, classes))
        keep &= found if found.ndim == 1 else found.any(axis=(1, 2))
    return keep


def runs(rows: npt.NDArray[np.int64]) -> list[slice]:
    """Ascending rows as contiguous ranges."""
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, breaks)]
