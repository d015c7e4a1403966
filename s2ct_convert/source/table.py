"""Everything in a source except its pixels: collected example by example, interpreted after the last one.

No single example shows what its dates mean or what form labels have. So nothing is decided before the last example.
Values that cannot be interpreted are kept as published, and noted.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..missing import NO_DATE, NO_DAY
from ..published import PublishedFeature
from .dates import FORMS, LATEST, PublishedDates, find_encoding, has_time, to_days
from .example import Example, Kept, Kind
from .kept import KeptBytes
from .labels import Labels, fit_labels
from .notes import Note
from .samples import sample_of


@dataclass(frozen=True)
class SourceTable:
    """Everything in a source except its pixels, interpreted.

    Attributes
    ----------
    sizes : ndarray of int64, shape (examples,)
        Number of images of each example.
    localid : ndarray of int64, shape (samples,)
        Ascending. Each example without a localid is a sample of its own, with localid -1.
    sample : ndarray of int64, shape (examples,)
        The sample of each example: an index of ``localid``.
    columns : mapping of ndarray, shape (images,) each, in the order of the source
        ``date`` int64 as published (``NO_DATE`` where an example does not have one per image), ``time`` int32 days
        since 1970-01-01 (``NO_DAY`` where unknown), ``label`` int8, (images,) or (images, k, k), -1 where missing,
        ``weight`` float32, NaN where missing.
    encoding : str
        The form of the dates (source/dates.py).
    until : date or None
        The last plausible day, if there are later dates, which count as missing; else None.
    dates_with_time : int
        Number of dates with a time of day, which ``time`` cannot hold.
    label_side : int
        k: labels are k x k per image.
    published : tuple of PublishedFeature
        Features that the columns do not reproduce.
    notes : tuple of Note
    """

    sizes: npt.NDArray[np.int64]
    localid: npt.NDArray[np.int64]
    sample: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[Any]]
    encoding: str
    until: datetime.date | None
    dates_with_time: int
    label_side: int
    published: tuple[PublishedFeature, ...]
    notes: tuple[Note, ...]

    @property
    def examples(self) -> int:
        return len(self.sizes)

    @property
    def images(self) -> int:
        return int(self.sizes.sum())

    def counts(self, number: int) -> str:
        """What a number in a name counts: ``examples``, ``samples``, ``observations`` or ``nothing``."""
        found = {"examples": self.examples, "samples": len(self.localid), "observations": self.images}
        return next((what for what, n in found.items() if n == number), "nothing")


class TableBuilder:
    """Builds the table of one source from its examples in order.

    Parameters
    ----------
    spool : Path, optional
        A folder for kept bytes that are too large for memory.
    dataset : Dataset
        Data set of the examples.
    """

    def __init__(self, spool: Path | None = None, dataset: Dataset = DATASET) -> None:
        self._dataset, self._features = dataset, dataset.features
        self.examples = self.images = 0
        self._sizes: list[int] = []
        self._samples: list[tuple[int, int]] = []
        self._dates: list[npt.NDArray[np.int64]] = []
        self._labels: list[npt.NDArray[np.int8] | None] = []  # None: missing, or of another type
        self._weights: list[npt.NDArray[np.float32]] = []
        self._kept = KeptBytes(spool)
        self._notes = _Notes()

    def watch(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Add each example and yield it."""
        for example in examples:
            self.add(example)
            yield example

    def add(self, example: Example) -> None:
        """Add the next example."""
        n, number, known = len(example.image), self.examples, self._features
        kept = {one.name: one for one in example.kept}
        for one in example.kept:
            self._kept.add(number, one)
        if not n and known.localid not in kept:  # without images, no row holds its localid
            localid = example.localid.to_bytes(8, "little", signed=True)
            self._kept.add(number, Kept(known.localid, Kind.INT64, localid))
        for name, array in ((known.dates, example.dates), (known.weights, example.weights)):
            if len(array) != n and name not in kept:
                self._kept.add(number, Kept(name, Kind.BYTES, array.tobytes()))
        self._sizes.append(n)
        self._samples.append(sample_of(example))
        self._dates.append(example.dates)
        self._labels.append(None if known.labels in kept else example.labels)
        self._weights.append(example.weights)
        self._note(example, n, kept)
        self.examples += 1
        self.images += n

    def _note(self, example: Example, n: int, kept: Mapping[str, Kept]) -> None:
        """Add the notes that depend on one example only."""
        place, known = f"example {example.number}", self._features
        if any(one.kind is Kind.RECORD for one in example.kept):
            self._notes.add("records_unknown", place)
            if all(name in kept for name in known.names):
                return
        known_names = set(known.names)
        if kept.keys() == known_names and all(one.data is None for one in kept.values()):
            self._notes.add("records_empty", place)
            return
        if unknown := sorted({one.name for one in example.kept if one.kind is not Kind.RECORD} - known_names):
            names = ", ".join(name if name and name.isprintable() else repr(name) for name in unknown)
            self._notes.add("features_unknown", f"{place}: {names[:200]}")
        if known.localid in kept:
            absent = kept[known.localid].data is None
            self._notes.add("localid_missing" if absent else "localid_other_form", place)
        if n and known.labels in kept:
            absent = kept[known.labels].data is None
            self._notes.add("labels_missing" if absent else "labels_other_form", place)
        if not n:
            absent = known.image not in kept or kept[known.image].data is None
            self._notes.add("images_missing" if absent else "images_other_form", place)
        if _has_other(len(example.weights), n, kept.get(known.weights)):
            self._notes.add("weights_other_form", f"{place}: {len(example.weights)} for {n} images")
        if _has_other(len(example.dates), n, kept.get(known.dates)):
            self._notes.add("dates_other_form", f"{place}: {len(example.dates)} for {n} images")
        elif n and not len(example.dates):
            self._notes.add("dates_none", place)

    def finish(
        self, until: datetime.date, *, encoding: str | None = None, label_side: int | None = None
    ) -> SourceTable:
        """Interpret all examples.

        Parameters
        ----------
        until : date
            The last plausible date of an image.
        encoding, label_side : optional
            Earlier results to use instead of deciding again.
        """
        sizes, first_day = np.array(self._sizes, np.int64), self._dataset.first_day
        localid, sample = _samples(self._samples)
        date, dated = _column(self._dates, self._sizes, NO_DATE, np.int64)
        weight, _ = _column(self._weights, self._sizes, np.nan, np.float32)
        if encoding is None:
            rows = np.repeat(dated, sizes)
            encoding = find_encoding(PublishedDates(date[rows], sizes[dated], sample[dated]), until, first_day)
        time = to_days(date, encoding, until, first_day)
        places = _Places(sizes, date)
        self._note_missing(encoding, np.flatnonzero(np.repeat(dated, sizes) & (time == NO_DAY)), places)
        self._note_repeated(np.repeat(sample, sizes), date, np.flatnonzero(time != NO_DAY), places)
        with_time = np.flatnonzero((time != NO_DAY) & has_time(date, encoding))
        if len(with_time):
            self._notes.add("dates_with_time", places.name(int(with_time[0])), len(with_time))
        labels = self._fit_labels(label_side)
        return SourceTable(
            sizes=sizes,
            localid=localid,
            sample=sample,
            columns={"date": date, "time": time, "label": labels.column, "weight": weight},
            encoding=encoding,
            until=until if (to_days(date, encoding, LATEST, first_day) != time).any() else None,
            dates_with_time=len(with_time),
            label_side=labels.side,
            published=self._kept.features(len(sizes)),
            notes=self._notes.all(),
        )

    def _note_missing(self, encoding: str, missing: npt.NDArray[np.int64], places: _Places) -> None:
        if len(missing):
            kind = "dates_missing" if encoding in FORMS else f"dates_{encoding}"
            self._notes.add(kind, places.name(int(missing[0])), len(missing))

    def _note_repeated(
        self, owner: npt.NDArray[np.int64], date: npt.NDArray[np.int64], known: npt.NDArray[np.int64], places: _Places
    ) -> None:
        owner, date = owner[known], date[known]
        order = np.lexsort((date, owner))
        same = (np.diff(owner[order]) == 0) & (np.diff(date[order]) == 0)
        if same.any():
            self._notes.add("dates_repeated", places.name(int(known[order[1:][same]].min())), int(same.sum()))

    def _fit_labels(self, side: int | None) -> Labels:
        labels = fit_labels(self._labels, self._sizes, side)
        for number in np.flatnonzero(~labels.fits).tolist():
            given, n = self._labels[number], self._sizes[number]
            if given is None or not (n or len(given)):
                continue
            self._kept.add(number, Kept(self._features.labels, Kind.BYTES, given.tobytes()))
            kind = "labels_other_form" if len(given) else "labels_missing"
            self._notes.add(kind, f"example {number}: {len(given)} for {n} images")
        if labels.side not in (1, self._dataset.centre):
            self._notes.add("labels_other_size", f"{labels.side} x {labels.side}", int(labels.fits.sum()))
        fitting = np.repeat(labels.fits, self._sizes)
        column, classes = labels.column, len(self._dataset.classes)
        outside = ((column < 0) | (column >= classes)) & fitting.reshape(-1, *(1,) * (column.ndim - 1))
        if outside.any():
            self._notes.add("labels_other_class", str(int(column[outside][0])), int(np.count_nonzero(outside)))
        return labels


class _Notes:
    """Counts notes by kind."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, kind: str, first: str, count: int = 1) -> None:
        self._count[kind] += count
        if kind not in self._first or _example_in(first) < _example_in(self._first[kind]):
            self._first[kind] = first

    def all(self) -> tuple[Note, ...]:
        return tuple(Note(kind, count, self._first[kind]) for kind, count in sorted(self._count.items()))


def _example_in(place: str) -> int:
    """The number in ``example 3: ...``; 0 for a place that is not an example."""
    words = place.replace(":", " ").split()
    return int(words[1]) if words[:1] == ["example"] else 0


class _Places:
    """Describes the place of an image: its example and date."""

    def __init__(self, sizes: npt.NDArray[np.int64], date: npt.NDArray[np.int64]) -> None:
        self._ends, self._date = np.cumsum(sizes), date

    def name(self, image: int) -> str:
        return f"example {int(np.searchsorted(self._ends, image, side='right'))}: {int(self._date[image])}"


def _samples(samples: Sequence[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The localid of each sample, ascending, and the sample of each example."""
    if not samples:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    localid, own = np.array(samples, np.int64).T
    order = np.lexsort((own, localid))
    begins = np.append(True, (np.diff(localid[order]) != 0) | (np.diff(own[order]) != 0))
    sample = np.empty(len(samples), np.int64)
    sample[order] = np.cumsum(begins) - 1
    return localid[order][begins], sample


def _column(
    given: Sequence[npt.NDArray[Any]], sizes: Sequence[int], missing: float, dtype: type
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """One value per image, and which examples have one per image; the others are filled with ``missing``."""
    fits = np.array([len(one) == n for one, n in zip(given, sizes, strict=True)], bool)
    empty: npt.NDArray[Any] = np.empty(0, dtype)
    parts = [
        one if fit else np.full(n, missing, dtype) for one, n, fit in zip(given, sizes, fits.tolist(), strict=True)
    ]
    return np.concatenate([empty, *parts]).astype(dtype, copy=False), fits


def _has_other(given: int, n: int, kept: Kept | None) -> bool:
    """Whether an example has values, but not one per image."""
    return given not in (0, n) if kept is None else kept.data is not None
