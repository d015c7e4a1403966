"""Statistics of pixels: counted by value, which is exact, since there are only 65,536 values.

A unit may hold them: its counts in the group ``statistics``, and the numbers that follow from them in its attributes.
Mean and standard deviation come from whole numbers, each rounded once. So they are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset
from ..threads import OrderedPool
from .codec import Codec
from .container import UnitTarget
from .groups import Content, make_content
from .images import ObsShape, read_chunk_into
from .layout import CHUNK_OBS, STATISTICS, statistics_arrays

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
CLEAR = "clear"  # the class
VALUES = 1 << 16  # of uint16
PIECE_CHUNKS = 8  # counted at once; 3.6 MB of the default data set

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class PixelCounts:
    """Counts of pixels by (clear or not, band, value), one array for each thread at work."""

    def __init__(self, bands: int) -> None:
        self._shape = (2, bands, VALUES)
        self._spare: list[Counts] = []

    def add(self, images: npt.NDArray[np.uint16], clear: npt.NDArray[np.bool_]) -> None:
        """Count the pixels of images of shape (n, band, y, x). Threads may call this at the same time."""
        counts = self._spare.pop() if self._spare else np.zeros(self._shape, np.int64)
        for which, those in enumerate((~clear, clear)):
            for band in range(images.shape[1]):
                found = np.bincount(images[those, band].ravel())
                counts[which, band, : len(found)] += found
        self._spare.append(counts)

    def total(self) -> Counts:
        """Counts of all pixels and of those of clear observations, (2, band, value); after the last ``add``."""
        counts = sum(self._spare, np.zeros(self._shape, np.int64))
        counts[0] += counts[1]
        return counts


class Numbers(NamedTuple):
    """What follows from counts: mean and std of each band, percentiles (percentile, band). NaN without pixels."""

    mean: Floats
    std: Floats
    percentiles: Floats


def numbers_of(counts: Counts) -> Numbers:
    """Mean, standard deviation and percentiles of counts of shape (band, value), as numpy defines them."""
    mean, std = np.full((2, len(counts)), np.nan)
    percentiles = np.full((len(PERCENTILES), len(counts)), np.nan)
    values = np.arange(VALUES)  # the sums below are exact up to 2^47 pixels
    for i, own in enumerate(counts):
        n = int(own.sum())
        if not n:
            continue
        total, squares = int(own @ values), (int(own @ (values**2 >> 16)) << 16) + int(own @ (values**2 & 0xFFFF))
        mean[i], std[i] = total / n, math.sqrt((n * squares - total**2) / n**2)
        ends = np.cumsum(own)
        for j, q in enumerate(PERCENTILES):
            place = (n - 1) * q / 100  # between two of the sorted pixels
            low, high = np.searchsorted(ends, [int(place), min(int(place) + 1, n - 1)], side="right").tolist()
            percentiles[j, i] = low + (high - low) * (place - int(place))
    return Numbers(mean, std, percentiles)


def are_of(label: npt.NDArray[np.int8], classes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which observations are of these classes; of k x k labels, all must be."""
    found = np.isin(label, classes).reshape(len(label), math.prod(label.shape[1:]))
    every: npt.NDArray[np.bool_] = np.logical_and.reduce(found, axis=1)
    return every


def are_clear(label: npt.NDArray[np.int8], dataset: Dataset) -> npt.NDArray[np.bool_]:
    """Which observations count as clear in stored statistics."""
    return are_of(label, [dataset.classes.index(CLEAR)])


def count_labels(label: npt.NDArray[np.int8], classes: int) -> Counts:
    """Number of labels of each class."""
    return np.array([np.count_nonzero(label == number) for number in range(classes)], np.int64)


def class_weights(labels: Counts) -> Floats:
    """Weights that balance the classes; 0 for a class without labels."""
    present = labels > 0
    weights = np.zeros(len(labels))
    weights[present] = labels.sum() / (present.sum() * labels[present])
    return weights


def count_written(
    target: UnitTarget,
    codec: Codec,
    shape: ObsShape,
    clear: npt.NDArray[np.bool_],
    *,
    threads: int,
    on_piece: Callable[[], None],
) -> Counts:
    """Read back the chunks of an unfinished unit and count its pixels. ``on_piece`` may raise to stop.

    Labels are understood after the last example only, so the pixels cannot be counted on their way into the unit.
    """
    counts, most = PixelCounts(shape[0]), PIECE_CHUNKS * CHUNK_OBS

    def count(row: int) -> None:
        own = clear[row : row + most]
        images = np.empty((most, *shape), "<u2")
        for first in range(0, len(own), CHUNK_OBS):
            read_chunk_into(codec, target, (row + first) // CHUNK_OBS, images[first : first + CHUNK_OBS])
        counts.add(images[: len(own)], own)

    pool = OrderedPool[None](threads, lambda _: on_piece())
    try:
        for row in range(0, len(clear), most):
            pool.submit(most * math.prod(shape) * 2, count, row)
        pool.finish()
    finally:
        pool.close()
    return counts.total()


def statistics_attributes(
    counts: Counts, label: npt.NDArray[np.int8], dataset: Dataset, *, salvaged: bool
) -> dict[str, Any]:
    """Attributes of a unit with these counts, from ``PixelCounts.total``, and labels."""
    names = " ".join(band.name for band in dataset.bands)
    about = f"of the pixels of each band, {names}, as published; number of pixels by value: group {STATISTICS}"
    if salvaged:
        about += "; only of the observations that were salvaged: the source was damaged"
    labels = count_labels(label, len(dataset.classes))
    found: dict[str, Any] = {STATISTICS: about}
    for kind, own, n in (("all", counts[0], len(label)), ("clear", counts[1], are_clear(label, dataset).sum())):
        found[f"{STATISTICS}_{kind}_observations"] = int(n)
        if n:  # no NaN in attributes
            numbers = numbers_of(own)
            found |= {f"{STATISTICS}_{kind}_mean": numbers.mean, f"{STATISTICS}_{kind}_std": numbers.std}
            pairs = zip(PERCENTILES, numbers.percentiles, strict=True)
            found |= {f"{STATISTICS}_{kind}_p{q:02}": values for q, values in pairs}
    return found | {
        f"{STATISTICS}_class_counts": labels,
        f"{STATISTICS}_class_weights": class_weights(labels),
    }


def statistics_group(counts: Counts) -> Content:
    """The group ``statistics``: the values that occur, and how often."""
    values = np.flatnonzero(counts[0].any(axis=0))
    columns = {"value": values.astype(np.uint16), "all": counts[0][:, values], "clear": counts[1][:, values]}
    return make_content(statistics_arrays(), columns, {}, {})


def stored_counts(columns: Mapping[str, npt.NDArray[Any]], bands: int) -> Counts:
    """Inverse of :func:`statistics_group`, from its arrays by name."""
    counts = np.zeros((2, bands, VALUES), np.int64)
    for which, name in enumerate(("all", "clear")):
        counts[which][:, columns["value"]] = columns[name]
    return counts


def without_statistics(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a unit without its statistics, which are untrue of a part of it."""
    own = only_statistics(attributes)
    return {name: value for name, value in attributes.items() if name not in own}


def only_statistics(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The statistics among the attributes of a unit."""
    own = f"{STATISTICS}_"
    return {name: value for name, value in attributes.items() if name == STATISTICS or name.startswith(own)}
