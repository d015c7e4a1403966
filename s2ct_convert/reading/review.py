"""A review of labels that the page of ``s2ct view`` saved: what a reviewer suggests, flags and notes.

A review belongs to one store, by its content digest. It changes nothing: labels of the store stay, and
``Review.corrected`` gives other ones only where it is called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset, check_default
from ..errors import WrongUsage
from ..missing import NO_DAY
from ..paths import check_readable
from ..words import day, plural
from .labels import one_labels
from .review_file import read_rows
from .unit import Unit

_FIRST = 3  # problems that a message names


@dataclass(frozen=True)
class ReviewedDate:
    """One row of a review: an observation with a suggestion, a flag or a note.

    Attributes
    ----------
    unit : str
    localid : int
    obs : int
        Row in the unit.
    date : str
        ``YYYY-MM-DD``; empty without a date.
    label : int
        The label in the store; of k x k labels, the most common, and the lowest of those.
    suggested : int or None
        The class that the reviewer suggests. The label itself: the reviewer agrees.
    flag : bool
    note : str
    """

    unit: str
    localid: int
    obs: int
    date: str
    label: int
    suggested: int | None
    flag: bool
    note: str


class ReviewedStore(Protocol):
    """The part of a store that is compared with a review."""

    @property
    def path(self) -> object: ...

    @property
    def digest(self) -> str: ...

    @property
    def dataset(self) -> Dataset: ...

    @property
    def units(self) -> Mapping[str, Unit]: ...


@dataclass(frozen=True, repr=False)
class Review:
    """A review of the labels of one store.

    ``len`` and iteration are over its rows.

    Attributes
    ----------
    path : Path
        The file.
    store_digest : str
        Content digest of the store that was reviewed.
    rows : tuple of ReviewedDate
        Sorted by unit and row in the unit.
    """

    path: Path
    store_digest: str
    rows: tuple[ReviewedDate, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ReviewedDate]:
        return iter(self.rows)

    def __str__(self) -> str:
        return f"{self.path.name}, {plural(len(self), 'date')}"

    def __repr__(self) -> str:
        return f"<Review {self}>"

    def with_suggestion(self) -> Review:
        """The rows that suggest a class, also where it is the label."""
        return replace(self, rows=tuple(row for row in self.rows if row.suggested is not None))

    def flagged(self) -> Review:
        """The rows with a flag."""
        return replace(self, rows=tuple(row for row in self.rows if row.flag))

    def corrected(self, unit: str, rows: npt.ArrayLike, label: npt.ArrayLike) -> npt.NDArray[np.int8]:
        """A copy of labels, with the suggested classes in place of those that have one.

        Parameters
        ----------
        unit : str
        rows : int, or ndarray of int, shape (n,)
            Rows in the unit.
        label : ndarray of int8, shape (), (n,), (k, k) or (n, k, k)
            Labels of these rows. All k x k labels of an observation get the suggested class.

        Returns
        -------
        ndarray of int8
            With the shape of ``label``.

        Examples
        --------
        >>> for sample in store.select(split="train"):  # doctest: +SKIP
        ...     label = review.corrected(sample.unit, sample.rows, sample.label)
        """
        out = np.array(label, np.int8)
        suggested = self._suggested.get(unit, {})
        for i, row in np.ndenumerate(np.asarray(rows)):
            if int(row) in suggested:
                out[i] = suggested[int(row)]
        return out

    @cached_property
    def _suggested(self) -> dict[str, dict[int, int]]:
        out: dict[str, dict[int, int]] = {}
        for row in self.rows:
            if row.suggested is not None:
                out.setdefault(row.unit, {})[row.obs] = row.suggested
        return out

    def mask(self, unit: Unit) -> npt.NDArray[np.bool_]:
        """Which observations of a unit have a row: ndarray of bool, shape (obs,)."""
        out = np.zeros(unit.observations, bool)
        out[[row.obs for row in self.rows if row.unit == str(unit.name)]] = True
        return out

    def check(self, store: ReviewedStore) -> None:
        """Compare every row with the store.

        Raises
        ------
        WrongUsage
            If the review is of another store, or rows name what is not in the store, or another date or label; or the
            store is not of the default data set, whose classes a review names.
        """
        check_default(store.dataset, "a review", str(store.path))
        if self.store_digest != store.digest:
            raise WrongUsage(
                "the review is of another store", where=str(self.path), expected=f"{store.digest} ({store.path})",
                found=self.store_digest, todo="give the store that was reviewed",
            )  # fmt: skip
        problems = []
        for name in dict.fromkeys(row.unit for row in self.rows):
            mine = [row for row in self.rows if row.unit == name]
            unit = store.units.get(name)
            found = [_problem(row, unit) for row in mine] if unit else [f"there is no unit {name}"] * len(mine)
            problems += [f"{name}, row {row.obs}: {one}" for row, one in zip(mine, found, strict=True) if one]
        if problems:
            more = f"; and {len(problems) - _FIRST:,} more" if len(problems) > _FIRST else ""
            raise WrongUsage(
                f"{len(problems):,} of {plural(len(self), 'row')} of the review do not fit the store {store.path}",
                where=str(self.path),
                found="; ".join(problems[:_FIRST]) + more,
                todo="save the review again on the page of s2ct view",
            )


def _problem(row: ReviewedDate, unit: Unit) -> str:
    """What of a row differs from its unit; empty if nothing does."""
    if row.obs >= unit.observations:
        return f"the unit has {plural(unit.observations, 'observation')}"
    sample = int(np.searchsorted(unit.row_start, row.obs, side="right")) - 1
    time = int(unit.time[row.obs])
    there = {
        "localid": int(unit.localid[sample]),
        "date": "" if time == NO_DAY else day(time),
        "label": int(one_labels(unit.label[row.obs : row.obs + 1])[0]),
    }
    differ = [name for name, value in there.items() if getattr(row, name) != value]
    return ", ".join(f"{name} {getattr(row, name)!s}, in the store {there[name]}" for name in differ)


def read_review(path: str | os.PathLike[str]) -> Review:
    """Read a review that the page of ``s2ct view`` saved, CSV or JSON.

    Parameters
    ----------
    path : path-like
        The columns are ``unit, localid, obs, date, label, suggested, flag, note, store_digest``. ``flag`` and ``note``
        may be missing. Other columns are not read.

    Returns
    -------
    Review
        It is compared with a store only where it is used with one, such as ``store.select(review=...)``.

    Raises
    ------
    WrongUsage
        If the file is not a review, has no rows, rows of several stores, or two rows of one observation.

    Examples
    --------
    >>> review = read_review("review.csv")  # doctest: +SKIP
    >>> store.select(review=review.flagged()).count()  # doctest: +SKIP
    """
    file = check_readable(path)
    rows: list[ReviewedDate] = []
    digests: dict[str, None] = {}
    seen: dict[tuple[str, int], str] = {}
    for where, values in read_rows(file):
        digests[values.pop("store_digest")] = None
        row = ReviewedDate(**values)
        if (other := seen.setdefault((row.unit, row.obs), where)) != where:
            raise WrongUsage(
                f"two rows are of one observation: row {row.obs} of {row.unit}",
                where=str(file),
                found=f"{other} and {where}",
                todo="delete one of them",
            )
        rows.append(row)
    if not rows:
        raise WrongUsage("the review has no rows", where=str(file), todo="save it on the page of s2ct view")
    if len(digests) > 1:
        raise WrongUsage("the rows are of several stores", where=str(file), found=", ".join(digests))
    return Review(file, next(iter(digests)), tuple(sorted(rows, key=lambda row: (row.unit, row.obs))))


Reviewed = str | os.PathLike[str] | Review | None


def as_review(given: Reviewed, store: ReviewedStore) -> Review | None:
    """A review of this store, from its file where a path is given. Raises as ``read_review`` and ``Review.check``."""
    if given is None:
        return None
    review = given if isinstance(given, Review) else read_review(given)
    review.check(store)
    return review
