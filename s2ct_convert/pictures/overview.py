"""The numbers of a overview sheet: labels by tile and month from all observations, brightness from a bounded part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from ..missing import NO_DAY
from ..names import printable
from ..reading.store import Store
from ..reading.unit import Unit
from ..store.layout import BANDS, CHUNK_OBS, LABELS, OBS_SHAPE

CENTRE = slice(18, 24)  # the pixels of a patch that its label is for
HISTOGRAM_OBS = 8192  # 256 chunks of images are read at most, 116 MB
BINS = 60
CLASSES = len(LABELS) + 1  # the last one is for labels outside the six

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Brightness:
    """Histograms of the values of the pixels that labels are for.

    Attributes
    ----------
    edges : ndarray, shape (BINS + 1,)
    counts : ndarray, shape (band, class, BINS)
        Pixels. What is brighter than the last edge is in the last bin.
    observations : int
        How many were used.
    by_class : ndarray, shape (class,)
        How many of each class; where an observation has 36 labels, each is 1/36.
    """

    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    observations: int
    by_class: Counts


@dataclass(frozen=True)
class StoreOverview:
    """A store at a glance.

    Attributes
    ----------
    splits : tuple of str
        Those that have observations, sorted.
    tiles : dict of str to ndarray, shape (split, class)
        Observations; where one has 36 labels, each is 1/36.
    first_month : int
        Months since 1970-01.
    months : ndarray, shape (month, class)
        Observations from the first to the last month; empty where none has a date.
    time_first, time_last : int or None
        Days since 1970-01-01; None where no observation has a date.
    """

    name: str
    samples: int
    observations: int
    time_first: int | None
    time_last: int | None
    splits: tuple[str, ...]
    tiles: dict[str, Counts]
    first_month: int
    months: Counts
    brightness: Brightness
    seed: int


def read_overview(store: Store, *, seed: int = 0) -> StoreOverview:
    """Read what a overview sheet shows.

    Raises
    ------
    WrongUsage
        If the store has no observations.
    """
    units = [unit for unit in store.units.values() if unit.observations]
    if not units:
        raise WrongUsage("there is no observation to look at", where=str(store.path))
    splits = tuple(sorted({unit.name.split for unit in units}))
    tiles = {tile: np.zeros((len(splits), CLASSES)) for tile in sorted({unit.name.tile for unit in units})}
    by_month: dict[int, Counts] = {}
    days: list[int] = []
    for unit in units:
        time, weights = np.asarray(unit["time"][...]), _class_shares(np.asarray(unit["label"][...]))
        tiles[unit.name.tile][splits.index(unit.name.split)] += weights.sum(0)
        dated = time != NO_DAY
        time, weights = time[dated], weights[dated]
        month = time.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        for one in np.unique(month).tolist():
            by_month[one] = by_month.get(one, np.zeros(CLASSES)) + weights[month == one].sum(0)
        days += [int(time.min()), int(time.max())] if len(time) else []
    first_month = min(by_month, default=0)
    months = np.zeros((max(by_month, default=-1) - first_month + 1, CLASSES))
    for one, counts in by_month.items():
        months[one - first_month] = counts
    return StoreOverview(
        name=printable(store.path.absolute().name),
        samples=sum(len(unit.localid) for unit in store.units.values()),
        observations=sum(unit.observations for unit in units),
        time_first=min(days, default=None),
        time_last=max(days, default=None),
        splits=splits,
        tiles=tiles,
        first_month=first_month,
        months=months,
        brightness=_brightness(units, seed),
        seed=seed,
    )


def _classes(label: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Labels with all those outside the six classes as one."""
    return np.where((label >= 0) & (label < len(LABELS)), label, len(LABELS)).astype(np.int64)


def _class_shares(label: npt.NDArray[np.int8]) -> Counts:
    """How much of each observation is of each class, (obs, class); 0 or 1 where it has one label."""
    flat = _classes(label).reshape(len(label), -1)
    return np.stack([np.mean(flat == k, axis=1) for k in range(CLASSES)], axis=1)


def _brightness(units: list[Unit], seed: int) -> Brightness:
    labels: list[npt.NDArray[Any]] = []
    values: list[npt.NDArray[Any]] = []
    for unit, rows in _blocks(units, seed):
        # Cut after reading: a chunk is unpacked whole anyway, and HDF5 is slow at picking out of it.
        image = np.asarray(unit["image"][rows])[:, :, CENTRE, CENTRE]
        labels.append(_of_pixels(_classes(np.asarray(unit["label"][rows]))))
        values.append(image.reshape(len(image), len(BANDS), -1))
    label, value = np.concatenate(labels), np.concatenate(values)
    end = max(1000.0, float(np.ceil(np.percentile(value, 99.8) / 1000) * 1000))
    edges = np.linspace(0, end, BINS + 1)
    counts = np.stack(
        [
            np.stack([np.histogram(np.minimum(value[:, b][label == k], end), edges)[0] for k in range(CLASSES)])
            for b in range(len(BANDS))
        ]
    )
    by_class = np.array([np.count_nonzero(label == k) for k in range(CLASSES)]) / label.shape[1]
    return Brightness(edges, counts, len(label), by_class)


def _of_pixels(label: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The class of each of the centre pixels, (obs, pixels): k x k labels are those of the centre, or of the patch."""
    side = CENTRE.stop - CENTRE.start
    if label.ndim == 1:
        label = label[:, None, None]
    if label.shape[1] == OBS_SHAPE[-1]:
        label = label[:, CENTRE, CENTRE]
    part = np.arange(side) * label.shape[1] // side
    return label[:, part][:, :, part].reshape(len(label), -1)


def _blocks(units: list[Unit], seed: int) -> list[tuple[Unit, slice]]:
    """All chunks of images, or so many, drawn with the seed, as have HISTOGRAM_OBS observations."""
    blocks = [
        (unit, slice(start, min(start + CHUNK_OBS, unit.observations)))
        for unit in units
        for start in range(0, unit.observations, CHUNK_OBS)
    ]
    most = HISTOGRAM_OBS // CHUNK_OBS
    if len(blocks) <= most:
        return blocks
    return [blocks[i] for i in np.sort(np.random.default_rng(seed).choice(len(blocks), most, replace=False))]
