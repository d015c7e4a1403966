"""From examples to samples: neighbouring examples of one sample are joined and put in time order.

The examples of a sample may be anywhere in a source. Neighbours make one :class:`Series` here. The store's writer joins
the rest, since it can read back what it wrote. Memory is bounded: at most ``PENDING_BYTES`` of one sample are held.

The time order here is a guess from the first date of the source, so that the writer rarely has to read back. The
meaning of the dates is decided once all are known (:mod:`.table`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..missing import NO_DAY
from .dates import FORMS, LATEST, to_days
from .example import Example

# 2,377 timestamps of the default data set. Ten years with every overpass of two satellites have about 1,460.
PENDING_BYTES = 32 << 20


@dataclass(frozen=True)
class Series:
    """Images of one sample, in time order as far as the dates are understood (ties: example, then position).

    Attributes
    ----------
    sample : tuple of int
        The localid, and -1. An example without a localid is a sample of its own: localid -1, and its example number.
    images : tuple of ndarray of uint16, shapes (k, bands, height, width)
        The n images in several pieces; joining the pieces would copy every pixel once more.
    example, position : ndarray of int32, shape (n,)
        Place of each image in the source.
    """

    sample: tuple[int, int]
    images: tuple[npt.NDArray[np.uint16], ...]
    example: npt.NDArray[np.int32]
    position: npt.NDArray[np.int32]


@dataclass(frozen=True)
class _Part:
    """One example."""

    sample: tuple[int, int]
    images: npt.NDArray[np.uint16]
    day: npt.NDArray[np.int32]
    number: int


def sample_of(example: Example) -> tuple[int, int]:
    """The key of the sample of an example; see ``Series.sample``."""
    return example.localid, -1 if example.has_localid else example.number


def join_series(examples: Iterable[Example], dataset: Dataset = DATASET) -> Iterator[Series]:
    """Join neighbouring examples of one sample. A sample longer than ``PENDING_BYTES`` is split into several series."""
    encoding: str | None = None
    pending: list[_Part] = []
    pending_bytes = 0
    for example in examples:
        if encoding is None and len(example.dates):
            encoding = _guess(example.dates, dataset)
        one = _part(example, encoding or "", dataset)
        if pending and (pending_bytes + one.images.nbytes > PENDING_BYTES or one.sample != pending[0].sample):
            yield _join(pending)
            pending, pending_bytes = [], 0
        pending.append(one)
        pending_bytes += one.images.nbytes
    if pending:
        yield _join(pending)


def _guess(dates: npt.NDArray[np.int64], dataset: Dataset) -> str:
    """The form of the first date; empty if no form fits."""
    return next((form for form in FORMS if to_days(dates[:1], form, LATEST, dataset.first_day)[0] != NO_DAY), "")


def _part(example: Example, encoding: str, dataset: Dataset) -> _Part:
    n = len(example.image)
    dated = len(example.dates) == n
    day = to_days(example.dates, encoding, LATEST, dataset.first_day) if dated else np.full(n, NO_DAY, np.int32)
    return _Part(sample_of(example), example.image, day, example.number)


def _join(parts: list[_Part]) -> Series:
    """One sorted series of several examples of the same sample. Images that are already in order are not copied."""
    sizes = [len(part.images) for part in parts]
    columns: dict[str, npt.NDArray[Any]] = {
        "example": np.repeat(np.array([part.number for part in parts], np.int32), sizes),
        "position": np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
    }
    images = tuple(part.images for part in parts)
    order = time_order(np.concatenate([part.day for part in parts]), columns["example"], columns["position"])
    if (order[1:] < order[:-1]).any():
        columns = {name: array[order] for name, array in columns.items()}
        images = (np.concatenate(images)[order],)
    return Series(sample=parts[0].sample, images=images, **columns)


def time_order(
    day: npt.NDArray[np.int32], example: npt.NDArray[Any], position: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """The order of the images of one sample: by day, undated ones last; ties by example, then position."""
    undated = day == NO_DAY
    return np.lexsort((position, example, day, undated))
