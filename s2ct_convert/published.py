"""Features of a source that the typed arrays of a unit cannot reproduce, kept as their published bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Where one kept feature of one example is.
ELSEWHERE = 0  # in the arrays of the unit, or in another kept feature of the same name
HERE = 1
ABSENT = 2  # the example does not have it
STATES = ("elsewhere", "here", "absent")


@dataclass(frozen=True)
class PublishedFeature:
    """The values of one feature of one kind, for all examples of a unit, concatenated.

    Attributes
    ----------
    key : str
        Name of its group in a store, ``published/<key>``.
    name : str
        Name of the feature; empty for whole records.
    kind : str
        Type of the bytes: ``bytes``, ``int64``, ``float``, ``feature`` or ``record`` (source/example.py).
    state : ndarray of int8, shape (examples,)
        ``ELSEWHERE``, ``HERE`` or ``ABSENT``.
    offset : ndarray of int64, shape (examples + 1,)
        Example ``i`` has the bytes ``data[offset[i]:offset[i + 1]]``.
    data : array of uint8, shape (bytes,)
        Anything that can be sliced; it may be larger than memory.
    """

    key: str
    name: str
    kind: str
    state: npt.NDArray[np.int8]
    offset: npt.NDArray[np.int64]
    data: Any

    def get(self, example: int) -> bytes | None:
        """Its bytes in an example; None unless the state is ``HERE``."""
        if self.state[example] != HERE:
            return None
        low, high = self.offset[example : example + 2].tolist()
        return np.asarray(self.data[low:high], np.uint8).tobytes()


def plain_key(name: str) -> str:
    """Name of the group of a feature, if no other feature uses it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name or "record").lstrip("_-")[:80] or "feature"


def make_keys(features: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Unique names of groups for (name, kind) of features. A plain name that is free is kept.

    Zarr v3 reserves names that begin with ``__``, netCDF those that begin with ``-``.
    """
    keys: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for name, kind in sorted(features):
        plain = plain_key(name)
        key, number = plain, 1
        while key.lower() in taken:  # file systems may ignore case
            number += 1
            key = f"{plain}.{number}"
        taken.add(key.lower())
        keys[name, kind] = key
    return keys
