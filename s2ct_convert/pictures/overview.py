"""Collects the numbers of an overview: labels by tile and month of all observations, brightness of a bounded part."""

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
from ..tiles import TileArea

CENTRE = slice(18, 24)  # the labelled pixels of a patch
HISTOGRAM_OBS = 8192  # at most 256 chunks of images, 116 MB, are read
BINS = 60
CLASSES = len(LABELS) + 1  # the last one is for labels outside the six

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Brightness:
    """Histograms of the values of labelled pixels.

    Attributes
    ----------
    edges : ndarray, shape (BINS + 1,)
    counts : ndarray, shape (band, class, BINS)
        Number of pixels. The last bin includes brighter pixels.
    observations : int
        Number of observations used.
    by_class : ndarray, shape (class,)
        Number of observations of each class; each of k x k labels counts as 1/(k x k).
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
        Splits with observations, sorted.
    tiles : dict of str to ndarray, shape (split, class)
        Number of observations; each of k x k labels counts as 1/(k x k).
    areas : dict of str to TileArea
        Where the tiles are, without those whose name does not say so.
    first_month : int
        Months since 1970-01.
    months : ndarray, shape (month, class)
        Number of observations from the first to the last month; empty if none has a date.
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
    areas: dict[str, TileArea]
    first_month: int
    months: Counts
    brightness: Brightness
    seed: int


def read_overview(store: Store, *, seed: int = 0) -> StoreOverview:
    """Read the numbers of an overview.

    Raises
    ------
    WrongUsage
        If the store has no observations.
    """
    units = [unit for unit in store.units.values() if unit.observations]
    if not units:
        raise WrongUsage("there are no observations to show", where=str(store.path))
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
        areas={tile: area for tile in tiles if (area := store.dataset.locate(tile))},
        first_month=first_month,
        months=months,
        brightness=_brightness(units, seed),
        seed=seed,
    )


def _classes(label: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Labels, with all labels outside the six classes as one more class."""
    return np.where((label >= 0) & (label < len(LABELS)), label, len(LABELS)).astype(np.int64)


def _class_shares(label: npt.NDArray[np.int8]) -> Counts:
    """The share of each class in each observation, (obs, class); 0 or 1 for a single label."""
    flat = _classes(label).reshape(len(label), -1)
    return np.stack([np.mean(flat == k, axis=1) for k in range(CLASSES)], axis=1)


def _brightness(units: list[Unit], seed: int) -> Brightness:
    labels: list[npt.NDArray[Any]] = []
    values: list[npt.NDArray[Any]] = []
    for unit, rows in _blocks(units, seed):
        # Crop after reading: a chunk is decoded whole anyway, and HDF5 selections are slow.
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
    """The class of each centre pixel, (obs, pixels). k x k labels cover the centre; 42 x 42 labels, the whole patch."""
    side = CENTRE.stop - CENTRE.start
    if label.ndim == 1:
        label = label[:, None, None]
    if label.shape[1] == OBS_SHAPE[-1]:
        label = label[:, CENTRE, CENTRE]
    part = np.arange(side) * label.shape[1] // side
    return label[:, part][:, :, part].reshape(len(label), -1)


def _blocks(units: list[Unit], seed: int) -> list[tuple[Unit, slice]]:
    """All chunks of images; for a big store, random chunks with at most HISTOGRAM_OBS observations."""
    blocks = [
        (unit, slice(start, min(start + CHUNK_OBS, unit.observations)))
        for unit in units
        for start in range(0, unit.observations, CHUNK_OBS)
    ]
    most = HISTOGRAM_OBS // CHUNK_OBS
    if len(blocks) <= most:
        return blocks
    return [blocks[i] for i in np.sort(np.random.default_rng(seed).choice(len(blocks), most, replace=False))]
