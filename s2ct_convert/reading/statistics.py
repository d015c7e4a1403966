"""Statistics of selected observations: one pass over their chunks, in bounded memory, on several cores.

Pixels are counted by value, which is exact: there are only 65,536 values. Mean, standard deviation and percentiles
follow from the counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..events import Event, OnEvent
from ..limits import cores
from ..threads import OrderedPool
from .display import Shown, Summary, many
from .filters import Labels, class_numbers
from .images import runs_of

if TYPE_CHECKING:
    from .select import Selection
    from .unit import Unit

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
PIECE_OBS = 256  # observations counted at once; 3.6 MB of the default data set
VALUES = 1 << 16  # of uint16
_HEADER = ("band", "mean", "std", *(f"{q} %" for q in PERCENTILES))

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StatisticsProgress(Event):
    """Observations counted so far, and in all."""

    done: int
    total: int


@dataclass(frozen=True, repr=False)
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

    def table(self) -> list[list[str]]:
        """A row of text for each band: name, mean, standard deviation, percentiles."""
        columns = zip(self.bands, self.mean, self.std, self.percentiles.T, strict=True)
        return [[band, f"{mean:.1f}", f"{std:.1f}", *(f"{x:.0f}" for x in rest)] for band, mean, std, rest in columns]

    def _summary(self) -> Summary:
        title = f"BandStatistics: {many(self.observations, 'observation')}"
        return Summary(title, (), _HEADER, self.table(), len(self.bands))


@dataclass(frozen=True, repr=False)
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

    def _summary(self) -> Summary:
        title = f"Statistics of {many(self.all.observations, 'observation')}, {self.clear.observations:,} of them clear"
        rows = [[what, *row] for what, of in (("all", self.all), ("clear", self.clear)) for row in of.table()]
        pairs = zip(self.classes, self.class_counts.tolist(), self.class_weights.tolist(), strict=True)
        facts = [(name, f"{count:,} labels, weight {weight:.3f}") for name, count, weight in pairs]
        return Summary(title, facts, ("", *_HEADER), rows, len(rows))


class _Piece(NamedTuple):
    """Rows of a unit to read at once, and which of them are clear."""

    unit: Unit
    rows: npt.NDArray[np.int64]
    clear: npt.NDArray[np.bool_]


class _Histograms:
    """Counts of pixels by (clear or not, band, value), one array for each thread at work."""

    def __init__(self, bands: int) -> None:
        self._shape = (2, bands, VALUES)
        self._spare: list[Counts] = []

    def add(self, piece: _Piece) -> _Piece:
        """Read the pixels of a piece and count them."""
        images, tasks = piece.unit.plan_images(runs_of(piece.rows))
        for task in tasks:  # not in more threads: this runs in one of several
            task()
        counts = self._spare.pop() if self._spare else np.zeros(self._shape, np.int64)
        clear = iter(np.split(piece.clear, np.cumsum([len(image) for image in images])[:-1]))
        for image in images:
            own = next(clear)
            for which, part in enumerate((image[~own], image[own])):
                for band in range(len(counts[which])):
                    counts[which, band] += np.bincount(part[:, band].ravel(), minlength=VALUES)
        self._spare.append(counts)
        return piece

    def total(self) -> Counts:
        """All counts; after the last ``add``."""
        return sum(self._spare, np.zeros(self._shape, np.int64))


def measure(selection: Selection, clear: Labels, on_event: OnEvent) -> Statistics:
    """Statistics of a selection; ``Store.statistics`` explains them."""
    dataset, total = selection.store.dataset, selection.count()
    wanted, size = class_numbers(clear, dataset.classes), dataset.cap(PIECE_OBS)
    histograms, labels = _Histograms(len(dataset.bands)), np.zeros(len(dataset.classes), np.int64)
    done = clear_ones = 0

    def deliver(piece: _Piece) -> None:
        nonlocal done, clear_ones
        done, clear_ones = done + len(piece.rows), clear_ones + int(piece.clear.sum())
        on_event(StatisticsProgress(done, total))

    pool = OrderedPool(cores(), deliver, limit=2 * cores() * size)  # costs are numbers of observations
    try:
        for piece in _pieces(selection, wanted, size):
            label = piece.unit.label[piece.rows]
            labels += [np.count_nonzero(label == number) for number in range(len(labels))]
            pool.submit(len(piece.rows), histograms.add, piece)
        pool.finish()
    finally:
        pool.close()
    counts, bands = histograms.total(), tuple(band.name for band in dataset.bands)
    both, only = (_of_bands(bands, n, c) for n, c in ((done, counts.sum(axis=0)), (clear_ones, counts[1])))
    return Statistics(both, only, dataset.classes, labels, _weights(labels))


def _pieces(selection: Selection, wanted: list[int], size: int) -> Iterator[_Piece]:
    """The selected rows, cut at every ``size`` rows of a unit, which is a multiple of its chunks where possible."""
    for one in selection.unit_rows():
        rows = np.unique(np.concatenate(one.rows))
        is_clear: npt.NDArray[np.bool_] = np.isin(one.unit.label[rows], wanted)
        is_clear = np.logical_and.reduce(is_clear.reshape(len(rows), -1), axis=1)
        for cut in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows // size)) + 1):
            yield _Piece(one.unit, rows[cut], is_clear[cut])


def _of_bands(bands: tuple[str, ...], observations: int, histogram: Counts) -> BandStatistics:
    """Statistics from the number of pixels of each value."""
    values = np.arange(VALUES, dtype=np.float64)
    mean, std = np.full((2, len(bands)), np.nan)
    percentiles = np.full((len(PERCENTILES), len(bands)), np.nan)
    for i, counts in enumerate(histogram):
        n = int(counts.sum())
        if not n:
            continue
        mean[i] = counts @ values / n
        std[i] = np.sqrt(counts @ (values - mean[i]) ** 2 / n)
        ends = np.cumsum(counts)
        for j, q in enumerate(PERCENTILES):
            place = (n - 1) * q / 100  # between two of the sorted pixels
            low, high = np.searchsorted(ends, [int(place), min(int(place) + 1, n - 1)], side="right")
            percentiles[j, i] = low + (high - low) * (place - int(place))
    return BandStatistics(bands, observations, mean, std, percentiles, histogram)


def _weights(labels: Counts) -> Floats:
    present = labels > 0
    weights = np.zeros(len(labels))
    weights[present] = labels.sum() / (present.sum() * labels[present])
    return weights
