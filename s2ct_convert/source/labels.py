"""Brings the labels of a source into one array, k x k per image, in the form that most of its examples have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..missing import NO_LABEL

Given = npt.NDArray[np.int8] | None  # the labels of an example; None if missing or of another type


@dataclass(frozen=True)
class Labels:
    """Labels of all images of a source.

    Attributes
    ----------
    side : int
        k.
    column : ndarray of int8, shape (images,) or (images, k, k)
        ``NO_LABEL`` for the images of examples whose labels have another form.
    fits : ndarray of bool, shape (examples,)
        Whether the labels of an example are in the column.
    """

    side: int
    column: npt.NDArray[np.int8]
    fits: npt.NDArray[np.bool_]


def fit_labels(given: Sequence[Given], sizes: Sequence[int], side: int | None = None) -> Labels:
    """Bring the labels of examples with ``sizes`` images into one form; ``side`` is k if it is known already."""
    sides = [_side(labels, n) for labels, n in zip(given, sizes, strict=True)]
    if side is None:
        common = Counter(one for one in sides if one).most_common(1)
        side = common[0][0] if common else 1
    fits = np.array([one == side for one in sides], bool)
    column = np.full((sum(sizes), side, side) if side > 1 else sum(sizes), NO_LABEL, np.int8)
    row = 0
    for labels, n, fit in zip(given, sizes, fits.tolist(), strict=True):
        if fit and labels is not None:
            column[row : row + n] = labels.reshape(n, *column.shape[1:])
        row += n
    return Labels(side, column, fits)


def _side(labels: Given, n: int) -> int:
    """k if these are k x k labels for each of ``n`` images, else 0."""
    if labels is None or not n or not len(labels) or len(labels) % n:
        return 0
    side = math.isqrt(len(labels) // n)
    return side if side * side * n == len(labels) else 0
