"""Cuts groups of rows into parts for a cross-validation, the same on every machine and with every numpy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def draw(seed: int, name: str) -> int:
    """A number of 64 bits that looks random. A hash: the streams of numpy may change with its version."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little")


def group_folds(groups: Sequence[str], k: int, by: str, seed: int) -> list[Mask]:
    """``k`` masks of rows to test on. Each row is in one; rows of a group are in the same.

    Raises
    ------
    ValueError
        If there are fewer than ``k`` groups, or ``k`` is below 2.
    """
    names, numbers = np.unique(np.asarray(groups, str), return_inverse=True)
    if not 2 <= k <= len(names):
        raise ValueError(f"{k} folds by {by} are not possible with {len(names)} groups: choose 2 to {len(names)}")
    order = sorted(range(len(names)), key=lambda i: draw(seed, str(names[i])))
    return [np.isin(numbers, part) for part in np.array_split(order, k)]


def leave_out(groups: Sequence[str], by: str) -> list[tuple[str, Mask]]:
    """A mask of the rows of each group, with its name, sorted.

    Raises
    ------
    ValueError
        If there is one group or none: nothing is left to train on.
    """
    names, numbers = np.unique(np.asarray(groups, str), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"{len(names)} groups by {by}: nothing is left to train on")
    return [(str(name), numbers == i) for i, name in enumerate(names)]
