"""From examples to samples: groups of one sample that follow each other are joined and put in time order.

Groups of a sample may be anywhere in a source. Those that stand next to each other make one :class:`Series`
here; putting together what stands apart is left to the store's writer, which can look back at what it wrote.
Memory is bounded: at most ``PENDING_BYTES`` of one sample are held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ExampleError
from .dates import Days, no_date, recognise, to_days
from .example import Example

PENDING_BYTES = 32 << 20  # 2,377 timestamps; ten years at every overpass of two satellites are about 1,460
LABEL_PIXELS = (1, 36)  # a label per timestamp, or one per pixel of the centre 6 x 6


@dataclass(frozen=True)
class Series:
    """Timestamps of one sample in time order (ties: example, then position).

    Attributes
    ----------
    localid : int
    images : tuple of ndarray of uint16, shapes (k, 4, 42, 42)
        One after another they are the n images; joining them would copy every pixel once more.
    label : ndarray of int8, shape (n,) or (n, 6, 6)
    day : ndarray of int32, shape (n,)
        Days since 1970-01-01.
    weight : ndarray of float32, shape (n,)
        NaN where the source has none.
    example, position : ndarray of int32, int16, shape (n,)
        Where each timestamp stands in the source.
    """

    localid: int
    images: tuple[npt.NDArray[np.uint16], ...]
    label: npt.NDArray[np.int8]
    day: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    example: npt.NDArray[np.int32]
    position: npt.NDArray[np.int16]


class Grouper:
    """Turns the examples of one source into series, and remembers what it found on the way."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.date_encoding: str | None = None
        self.label_pixels: int | None = None
        self.examples = 0
        self.dates_with_time = 0

    def series(self, examples: Iterable[Example]) -> Iterator[Series]:
        """Join neighbours. A sample longer than ``PENDING_BYTES`` comes in several series."""
        pending: list[Series] = []
        pending_bytes = 0
        for example in examples:
            one = self.check(example)
            self.examples += 1
            full = pending_bytes + example.image.nbytes > PENDING_BYTES
            if pending and (full or one.localid != pending[0].localid):
                yield _join(pending)
                pending, pending_bytes = [], 0
            pending.append(one)
            pending_bytes += example.image.nbytes
        if pending:
            yield _join(pending)

    def check(self, example: Example) -> Series:
        """One example as a series in source order, its counts and dates checked."""
        place = f"{self._where}: example {example.number}, byte {example.offset:,}"
        if not example.known:
            raise ExampleError(
                "the record has none of the features of this dataset",
                where=place,
                expected="localid, image_raw_ldseries, labels, dates, weights",
            )
        n = len(example.image)
        self._check_counts(example, n, place)
        days = self._days(example.dates, place)
        self.dates_with_time += days.with_time
        return Series(
            localid=example.localid,
            images=(example.image,),
            label=example.labels if self.label_pixels != 36 else example.labels.reshape(n, 6, 6),
            day=days.days,
            weight=example.weights if len(example.weights) == n else np.full(n, np.nan, np.float32),
            example=np.full(n, example.number, np.int32),
            position=np.arange(n, dtype=np.int16),
        )

    def _check_counts(self, example: Example, n: int, place: str) -> None:
        counts = f"{n} images, {len(example.labels)} labels, {len(example.dates)} dates, {len(example.weights)} weights"
        if n > np.iinfo(np.int16).max:
            raise ExampleError(
                "there are more timestamps in one example than a store can number", where=place, found=counts
            )
        if len(example.dates) != n or len(example.weights) not in (0, n):
            raise ExampleError(
                "the numbers of timestamps disagree",
                where=place,
                expected=f"{n} dates and {n} weights (or none) for {n} images",
                found=counts,
            )
        pixels = len(example.labels) // n if n else self.label_pixels
        if len(example.labels) != n * (pixels or 0) or (n and pixels not in LABEL_PIXELS):
            raise ExampleError(
                "the number of labels does not fit", where=place,
                expected=f"{n} or {36 * n} labels for {n} images", found=counts,
            )  # fmt: skip
        if self.label_pixels is None:
            self.label_pixels = pixels
        elif pixels != self.label_pixels:
            raise ExampleError(
                "labels per timestamp change within the source",
                where=place,
                expected=f"{self.label_pixels} a timestamp, as in the examples before",
                found=counts,
            )

    def _days(self, dates: npt.NDArray[np.int64], place: str) -> Days:
        if self.date_encoding is None:
            if not len(dates):
                return Days(np.empty(0, np.int32), 0)
            self.date_encoding = recognise(int(dates[0]))
            if self.date_encoding is None:
                raise no_date(dates, np.arange(len(dates)) == 0, "ordinal", place)
        return to_days(dates, self.date_encoding, place=place)


def _join(parts: list[Series]) -> Series:
    """One series of several of the same sample, sorted; images that are in order are not copied."""

    def column(name: str) -> npt.NDArray[Any]:
        arrays = [getattr(part, name) for part in parts]
        return np.concatenate([array for array in arrays if len(array)] or arrays[:1])

    columns = {name: column(name) for name in ("label", "day", "weight", "example", "position")}
    images = tuple(image for part in parts for image in part.images)
    order = np.lexsort((columns["position"], columns["example"], columns["day"]))
    if (order[1:] < order[:-1]).any():
        columns = {name: array[order] for name, array in columns.items()}
        images = (np.concatenate(images)[order],)
    return Series(localid=parts[0].localid, images=images, **columns)
