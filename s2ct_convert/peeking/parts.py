"""Parts of what a look at an archive found, as frozen values: its members, its first examples, findings."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..missing import NO_DAY

Document = dict[str, Any]


@dataclass(frozen=True)
class PeekFinding:
    """Whether an assumption about the record holds (docs/assumptions.md).

    Attributes
    ----------
    key : str
        A name for programs, such as ``dates``.
    text : str
        The assumption, such as ``dates are ordinals``.
    holds : bool or None
        None if this look cannot tell.
    found : str
        What was found.
    """

    key: str
    text: str
    holds: bool | None
    found: str


@dataclass(frozen=True)
class PeekedMember:
    """A file in an archive, by its header. Sizes are in bytes.

    Attributes
    ----------
    name : str
        As in the header; it may have control characters.
    size : int
        Unpacked size.
    crc32 : int or None
    is_source : bool
        Whether it is a TFRecord of a unit, by its name, or as the only candidate.
    unit : str or None
        Such as ``train/50SMG``, by its name or that of the archive.
    number : int or None
        The number in its name or that of the archive.
    counts : str or None
        What that number counts: ``examples``, ``observations``, ``samples`` (likely); None if it is not known.
    per_number : float or None
        Observations for each one that the number counts, by the unpacked size.
    observations : int or None
        Exact number of observations, if the size fits one label for each; None if it is not known.
    by_chance : float or None
        The share of files of another layout whose size would fit as well, from 0 to 1; None without observations.
    dictionary : int or None
        Size of the dictionary.
    """

    name: str
    size: int
    crc32: int | None
    is_source: bool
    unit: str | None
    number: int | None
    counts: str | None
    per_number: float | None
    observations: int | None
    by_chance: float | None
    dictionary: int | None

    def document(self) -> Document:
        """A JSON object."""
        crc32 = None if self.crc32 is None else f"{self.crc32:08x}"
        per = None if self.per_number is None else round(self.per_number, 3)
        chance = None if self.by_chance is None else round(self.by_chance, 4)
        return {**asdict(self), "crc32": crc32, "per_number": per, "by_chance": chance}


@dataclass(frozen=True)
class PeekedExample:
    """One of the first examples of an archive. Both checksums of its record were correct.

    Attributes
    ----------
    number : int
        From 0.
    localid : int
        -1 where the source has none.
    image : ndarray of uint16, shape (n, 4, 42, 42)
    label : ndarray of int8, shape (n,) or (n, k, k)
    date : ndarray of int64, shape (n,)
        As published.
    time : ndarray of int32, shape (n,)
        Days since 1970-01-01; -2^31 where the date is not understood.
    weight : ndarray of float32, shape (n,)
        NaN where missing.
    """

    number: int
    localid: int
    image: npt.NDArray[np.uint16]
    label: npt.NDArray[np.int8]
    date: npt.NDArray[np.int64]
    time: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]

    def document(self) -> Document:
        """Everything but the pixels, as a JSON object."""
        days = self.time[self.time != NO_DAY].tolist()
        return {
            "number": self.number,
            "localid": self.localid,
            "observations": len(self.image),
            "labels": self.label.tolist(),
            "dates": self.date.tolist(),
            "time_first": min(days, default=None),
            "time_last": max(days, default=None),
            "weights": [None if math.isnan(one) else one for one in self.weight.tolist()],
        }
