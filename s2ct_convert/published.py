"""Features of a source that the typed arrays of a unit do not give back, kept as the bytes they were published as."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# What a unit says of one example and one kept feature.
ELSEWHERE = 0  # the arrays of the unit give it, or another kept feature of that name
HERE = 1
ABSENT = 2  # the example does not have it
STATES = ("elsewhere", "here", "absent")


@dataclass(frozen=True)
class PublishedFeature:
    """The values of one feature in one form, of all examples of a unit, one after another.

    Attributes
    ----------
    key : str
        Name of its group in a store, ``published/<key>``.
    name : str
        Name of the feature; empty for whole records.
    kind : str
        What the bytes are: ``bytes``, ``int64``, ``float``, ``feature`` or ``record`` (source/example.py).
    state : ndarray of int8, shape (examples,)
        ``ELSEWHERE``, ``HERE`` or ``ABSENT``.
    offset : ndarray of int64, shape (examples + 1,)
        Example ``i`` has the bytes ``data[offset[i]:offset[i + 1]]``.
    data : array of uint8, shape (bytes,)
        Anything that can be sliced: it may be longer than memory.
    """

    key: str
    name: str
    kind: str
    state: npt.NDArray[np.int8]
    offset: npt.NDArray[np.int64]
    data: Any

    def get(self, example: int) -> bytes | None:
        """Its bytes in an example; None where they are not here."""
        if self.state[example] != HERE:
            return None
        low, high = self.offset[example : example + 2].tolist()
        return np.asarray(self.data[low:high], np.uint8).tobytes()


def plain_key(name: str) -> str:
    """Name of the group of a feature, unless another one has it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name or "record").lstrip("_-")[:80] or "feature"


def make_keys(features: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Names of groups for (name, kind) of features: the name itself where that is plain and can be had.

    Zarr v3 reserves names that begin with ``__``, netCDF those that begin with ``-``.
    """
    keys: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for name, kind in sorted(features):
        plain = plain_key(name)
        key, number = plain, 1
        while key.lower() in taken:  # a file system may not tell cases apart
            number += 1
            key = f"{plain}.{number}"
        taken.add(key.lower())
        keys[name, kind] = key
    return keys
