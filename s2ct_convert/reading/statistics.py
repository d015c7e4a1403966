"""Statistics of selected observations: one pass over their chunks, in bounded memory, on several cores.

Where a whole unit is selected and holds its statistics, its counts are taken and its pixels are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..events import Event, OnEvent
from ..limits import cores
from ..store.layout import STATISTICS
from ..store.statistics import (
    CLEAR,
    VALUES,
    Counts,
    Floats,
    PixelCounts,
    are_of,
    class_weights,
    count_labels,
    numbers_of,
    stored_counts,
)
from ..store.statistics import PERCENTILES as PERCENTILES
from ..threads import OrderedPool
from .display import Shown, Summary, many
from .filters import Labels, class_numbers
from .images import runs_of
from .rows import UnitRows

if TYPE_CHECKING:
    from .select import Selection
    from .unit import Unit

PIECE_OBS = 256  # observations counted at once; 3.6 MB of the default data set
_HEADER = ("band", "mean", "std", *(f"{q} %" for q in PERCENTILES))


@dataclass(frozen=True)
class StatisticsProgress(Event):
    """Observations counted so far, and in all."""

    done: int
    total: int


@dataclass(frozen=True, repr=False, eq=False)
class BandStatistics(Shown):
    """Statistics of the pixels of each band, as published.

    Attributes
    ----------
    bands : tuple of str
    observations : int
        Number of observations whose pixels were counted.
    mean, std : ndarray of float64, shape (band,)
        ``std`` is the population standard deviation: it divides by the number of pixels. NaN without pixels.
    percentiles : ndarray of float64, shape (7, band)
        The percentiles 1, 5, 25, 50, 75, 95 and 99, interpolated as ``numpy.percentile`` does by default.
    histogram : ndarray of int64, shape (band, 65536)
        Number of pixels with each value.
    """

    bands: tuple[str, ...]
    observations: int
    mean: Floats
    std: Floats
    percentiles: Floats
    histogram: Counts

    def __eq__(self, other: object) -> bool:
        """Whether the same pixels were counted, of which the other values are computed."""
        if not isinstance(other, BandStatistics):
            return NotImplemented
        same = (self.bands, self.observations) == (other.bands, other.observations)
        return same and np.array_equal(self.histogram, other.histogram)

    __hash__ = None  # type: ignore[assignment]

    def table(self) -> list[list[str]]:
        """A row of text for each band: name, mean, standard deviation, percentiles."""
        columns = zip(self.bands, self.mean, self.std, self.percentiles.T, strict=True)
        return [[band, f"{mean:.1f}", f"{std:.1f}", *(f"{x:.0f}" for x in rest)] for band, mean, std, rest in columns]

    def _summary(self) -> Summary:
        title = f"BandStatistics: {many(self.observations, 'observation')}"
        return Summary(title, (), _HEADER, self.table(), len(self.bands))


@dataclass(frozen=True, repr=False, eq=False)
class Statistics(Shown):
    """Statistics of selected observations.

    Attributes
    ----------
    all, clear : BandStatistics
        Of all observations, and of the clear ones.
    classes : tuple of str
    class_counts : ndarray of int64, shape (class,)
        Number of labels; each of k x k labels counts.
    class_weights : ndarray of float64, shape (class,)
        Number of labels of all classes / (number of classes that occur x number of labels of this class). 0 for a class
        that does not occur.
    """

    all: BandStatistics
    clear: BandStatistics
    classes: tuple[str, ...]
    class_counts: Counts
    class_weights: Floats

    def __eq__(self, other: object) -> bool:
        """Whether the same pixels and labels were counted."""
        if not isinstance(other, Statistics):
            return NotImplemented
        same = (self.all, self.clear, self.classes) == (other.all, other.clear, other.classes)
        return same and np.array_equal(self.class_counts, other.class_counts)

    __hash__ = None  # type: ignore[assignment]

    def _summary(self) -> Summary:
        title = f"Statistics of {many(self.all.observations, 'observation')}, {self.clear.observations:,} of them clear"
        rows = [[what, *row] for what, of in (("all", self.all), ("clear", self.clear)) for row in of.table()]
        pairs = zip(self.classes, self.class_counts.tolist(), self.class_weights.tolist(), strict=True)
        facts = [(name, f"{count:,} labels, weight {weight:.3f}") for name, count, weight in pairs]
        return Summary(title, facts, ("", *_HEADER), rows, len(rows))


class _Piece(NamedTuple):
    """Rows of a unit, ascending, and which of them are clear."""

    unit: Unit
    rows: npt.NDArray[np.int64]
    clear: npt.NDArray[np.bool_]


def measure(selection: Selection, clear: Labels, on_event: OnEvent, *, from_pixels: bool) -> Statistics:
    """Statistics of a selection; ``Store.statistics`` explains them."""
    dataset, total = selection.store.dataset, selection.count()
    wanted, size = class_numbers(clear, dataset.classes), dataset.cap(PIECE_OBS)
    counts, labels = PixelCounts(len(dataset.bands)), np.zeros(len(dataset.classes), np.int64)
    stored = np.zeros((2, len(dataset.bands), VALUES), np.int64)
    done = clear_ones = 0

    def deliver(piece: _Piece) -> None:
        nonlocal done, clear_ones
        done, clear_ones = done + len(piece.rows), clear_ones + int(piece.clear.sum())
        on_event(StatisticsProgress(done, total))

    def count(piece: _Piece) -> _Piece:
        images, tasks = piece.unit.plan_images(runs_of(piece.rows))
        for task in tasks:  # not in more threads: this runs in one of several
            task()
        counts.add(images[0] if len(images) == 1 else np.concatenate(images), piece.clear)
        return piece

    pool = OrderedPool(cores(), deliver, limit=2 * cores() * size)  # costs are numbers of observations
    try:
        for one in selection.unit_rows():
            piece = _rows_of(one, wanted)
            labels += count_labels(piece.unit.label[piece.rows], len(labels))
            if not from_pixels and (found := _stored(piece, wanted)) is not None:
                stored += found
                pool.finish()  # events are in order
                deliver(piece)
                continue
            for part in _cut(piece, size):
                pool.submit(len(part.rows), count, part)
        pool.finish()
    finally:
        pool.close()
    stored += counts.total()
    bands = tuple(band.name for band in dataset.bands)
    both, only = (_of_bands(bands, n, own) for n, own in ((done, stored[0]), (clear_ones, stored[1])))
    return Statistics(both, only, dataset.classes, labels, class_weights(labels))


def _rows_of(one: UnitRows, wanted: list[int]) -> _Piece:
    rows = np.unique(np.concatenate(one.rows))
    return _Piece(one.unit, rows, are_of(one.unit.label[rows], wanted))


def _stored(piece: _Piece, wanted: list[int]) -> Counts | None:
    """Counts in the unit, if they are of exactly these rows and classes. They match the digest of the unit."""
    unit, dataset = piece.unit, piece.unit.dataset
    if f"{STATISTICS}/all" not in unit or len(piece.rows) != unit.observations:
        return None
    if set(wanted) != {dataset.classes.index(CLEAR)}:
        return None
    columns = {name: unit[f"{STATISTICS}/{name}"][...] for name in ("value", "all", "clear")}
    return stored_counts(columns, len(dataset.bands))


def _cut(piece: _Piece, size: int) -> Iterator[_Piece]:
    """The rows, cut at every ``size`` rows of the unit, which is a multiple of its chunks where possible."""
    for cut in np.split(np.arange(len(piece.rows)), np.flatnonzero(np.diff(piece.rows // size)) + 1):
        yield _Piece(piece.unit, piece.rows[cut], piece.clear[cut])


def _of_bands(bands: tuple[str, ...], observations: int, histogram: Counts) -> BandStatistics:
    return BandStatistics(bands, observations, *numbers_of(histogram), histogram)
