"""A selection of a store, read lazily: samples or single observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .table import Dates, Labels, Samples, class_numbers, days
from .unit import Unit, to_dates

if TYPE_CHECKING:
    from .store import Store

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


@dataclass(frozen=True)
class Selection:
    """The result of ``store.select``. Images are read during iteration.

    Attributes
    ----------
    table : Samples
        Samples that may have selected observations.
    """

    store: Store
    table: Samples
    time: Dates = None
    label: Labels = None

    def __iter__(self) -> Iterator[SelectedSample]:
        return self.samples()

    def samples(self) -> Iterator[SelectedSample]:
        """Yield the samples with their selected observations. Samples without any are omitted."""
        for unit, localids, rows in self._blocks():
            runs = [_runs(own) for own in rows]
            images = iter(unit.images([run for own in runs for run in own]))
            for localid, own, parts in zip(localids, rows, runs, strict=True):
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
            keep = self._mask(unit) if mine.any() else None
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

    def _mask(self, unit: Unit) -> npt.NDArray[np.bool_] | None:
        """Which observations of the unit are selected; None for all."""
        if self.time is None and self.label is None:
            return None
        keep = np.ones(unit.observations, bool)
        if self.time is not None:
            first, last = days(self.time)
            dates = to_dates(unit.time)
            keep &= (dates >= first) & (dates <= last)
        if self.label is not None:
            found = np.isin(unit.label, class_numbers(self.label, self.table.classes))
            keep &= found if found.ndim == 1 else found.any(axis=(1, 2))
        return keep


def _runs(rows: npt.NDArray[np.int64]) -> list[slice]:
    """Ascending rows as contiguous ranges."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, breaks)]
