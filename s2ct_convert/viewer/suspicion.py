"""Labels that deserve a second look, by three simple rules. The page has the same rules (web/src/suspicion.js).

None of them proves an error: they put the samples in an order in which a person finds errors sooner.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, check_default
from ..errors import WrongUsage
from ..names import fold_split, fold_tile
from ..reading.labels import one_labels
from ..reading.opening import open_store
from ..reading.unit import Unit
from ..store.layout import LABELS

CLEAR, OPAQUE, THIN = (LABELS.index(name) for name in ("clear", "opaque_cloud", "thin_cloud"))
BRIGHT = 2000  # a reflectance of 0.2, brighter than most ground
ABOVE_CLEAR = 1.5  # times the median of the clear dates
FLAT = 0.25  # spread of B2, B3, B4 over their mean
ALIKE = 0.1  # of the clear median, in each band
ALIKE_LEAST = 100  # values
LEAST_CLEAR = 3  # dates that make a median
POINTS = {"bright": 2, "like_clear": 2, "alone": 1}

_LABELLED = DATASET.centre
_FIRST = (DATASET.width - _LABELLED) // 2
_CENTRE = slice(_FIRST, _FIRST + _LABELLED)


@dataclass(frozen=True)
class SuspiciousLabel:
    """An observation whose label deserves a second look.

    Attributes
    ----------
    unit : str
    localid : int
    obs : int
        Row in the unit.
    label : int
        Of k x k labels, the most common, and the lowest of those.
    rules : tuple of str
        Which rules it meets: ``bright``, ``like_clear``, ``alone``.
    points : int
        The sum over its rules: 2, 2 and 1.
    """

    unit: str
    localid: int
    obs: int
    label: int
    rules: tuple[str, ...]
    points: int


def find_suspicious(
    store: str | os.PathLike[str], *, tiles: Iterable[str] = (), splits: Iterable[str] = ()
) -> Iterator[SuspiciousLabel]:
    """Find labels that deserve a second look, as the page of :func:`view` does. Reads every pixel of the units.

    A date is ``bright`` if its label is clear, and the mean of B2, B3 and B4 of the centre 6 x 6 pixels is above 2,000
    and above 1.5 times its median over the clear dates of the sample, and the three bands differ by less than 25 % of
    that mean. It is ``like_clear`` if its label is opaque or thin cloud, and each band of the centre is within 10 % (or
    100) of its median over at least three clear dates. It is ``alone`` if the dates before and after have one label,
    and it has another.

    Parameters
    ----------
    store : path-like
        A finished store, Zarr or HDF5.
    tiles, splits : iterable of str
        Only units of these.

    Yields
    ------
    SuspiciousLabel
        In the order of the store.

    Raises
    ------
    WrongUsage
        If the store has no such tile or split, or is not of the default data set.
    StoreDamaged
        If a part of it is missing or damaged.

    Examples
    --------
    >>> found = sorted(find_suspicious("sample.zarr"), key=lambda one: -one.points)  # doctest: +SKIP
    """
    wanted_tiles, wanted_splits = set(map(fold_tile, tiles)), set(map(fold_split, splits))
    with open_store(store) as opened:
        check_default(opened.dataset, "find_suspicious", str(store))
        units = [
            unit
            for unit in opened.units.values()
            if (not wanted_tiles or unit.name.tile in wanted_tiles)
            and (not wanted_splits or unit.name.split in wanted_splits)
        ]
        if not units and (wanted_tiles or wanted_splits):
            asked = " ".join(sorted(wanted_tiles | wanted_splits))
            raise WrongUsage(
                "the store has no such units", where=str(store), expected=", ".join(opened.units), found=asked
            )
        for unit in units:
            yield from _of_unit(unit)


def _of_unit(unit: Unit) -> Iterator[SuspiciousLabel]:
    bounds = unit.row_start.tolist()
    for localid, start, stop in zip(unit.localid.tolist(), bounds[:-1], bounds[1:], strict=True):
        (image,) = unit.images([slice(start, stop)])
        labels = one_labels(unit.label[start:stop]).tolist()
        for row, rules in enumerate(suspicions(spectra(image), labels)):
            if rules:
                points = sum(POINTS[rule] for rule in rules)
                yield SuspiciousLabel(str(unit.name), localid, start + row, labels[row], rules, points)


def spectra(image: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
    """Mean of the centre pixels of each band: (n, 4) from images (n, 4, 42, 42)."""
    sums = image[:, :, _CENTRE, _CENTRE].sum(axis=(2, 3), dtype=np.int64)
    return np.asarray(sums / _LABELLED**2)


def suspicions(spectrum: npt.NDArray[np.float64], labels: list[int]) -> list[tuple[str, ...]]:
    """The rules that each observation of a sample meets.

    Parameters
    ----------
    spectrum : ndarray of float64, shape (n, 4)
        As from :func:`spectra`.
    labels : list of int
        One for each of the n, in time order.
    """
    visible = (spectrum[:, 0] + spectrum[:, 1] + spectrum[:, 2]) / 3
    clear = np.array(labels) == CLEAR
    usual = float(np.median(visible[clear])) if clear.any() else 0.0
    medians = np.median(spectrum[clear], axis=0) if clear.any() else np.zeros(spectrum.shape[1])
    near = np.abs(spectrum - medians) <= np.maximum(ALIKE * medians, ALIKE_LEAST)
    spread = np.ptp(spectrum[:, :3], axis=1) if len(spectrum) else np.zeros(0)
    out = []
    for row, label in enumerate(labels):
        found = []
        bright = visible[row] > BRIGHT and visible[row] > ABOVE_CLEAR * usual
        if label == CLEAR and bright and spread[row] < FLAT * visible[row]:
            found.append("bright")
        if label in (OPAQUE, THIN) and np.count_nonzero(clear) >= LEAST_CLEAR and near[row].all():
            found.append("like_clear")
        inner = 0 < row < len(labels) - 1 and min(label, labels[row - 1]) >= 0
        if inner and labels[row - 1] == labels[row + 1] != label:
            found.append("alone")
        out.append(tuple(found))
    return out
