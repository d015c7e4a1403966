"""How far a reviewer agrees with the labels, and two reviewers with each other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from ..missing import NO_LABEL
from ..store.layout import LABELS, NO_LABEL_NAME
from .labels import one_labels
from .review import Review, ReviewedDate, ReviewedStore, read_review

Matrix = npt.NDArray[np.int64]


def class_name(number: int) -> str:
    """The name of a class; of a number outside the classes, the number."""
    return LABELS[number] if 0 <= number < len(LABELS) else NO_LABEL_NAME if number == NO_LABEL else str(number)


def confusion(pairs: Iterable[tuple[int, int]], classes: tuple[int, ...]) -> Matrix:
    """Count pairs of classes: int64 of shape (classes, classes), the first of a pair in rows."""
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    for first, second in pairs:
        matrix[classes.index(first), classes.index(second)] += 1
    return matrix


def cohen_kappa(matrix: Matrix) -> float | None:
    """Cohen's kappa of two raters from their confusion matrix.

    (p_o - p_e) / (1 - p_e): p_o is the share of equal classes, and p_e the share that is expected by chance from how
    often each rater gives each class (Cohen 1960).

    Returns
    -------
    float or None
        From -1 to 1. None where it is not defined: without pairs, or if both raters always give one and the same class.
    """
    total = int(matrix.sum())
    chance = int((matrix.sum(axis=0) * matrix.sum(axis=1)).sum())  # times the square of the total
    if chance == total**2:
        return None
    return (int(np.trace(matrix)) * total - chance) / (total**2 - chance)


@dataclass(frozen=True)
class Disagreement:
    """An observation for which two reviewers suggest different classes.

    Attributes
    ----------
    unit : str
    localid : int
    obs : int
        Row in the unit.
    date : str
    label, first, second : int
        The class in the store, and those that the reviewers suggest.
    """

    unit: str
    localid: int
    obs: int
    date: str
    label: int
    first: int
    second: int


@dataclass(frozen=True)
class Comparison:
    """Two reviewers, over the observations for which both suggest a class.

    Attributes
    ----------
    review : str
        The second file.
    both, same : int
        Number of these observations, and of those with one class.
    kappa : float or None
        Cohen's kappa; None where it is not defined.
    matrix : ndarray of int64, shape (classes, classes)
        Classes of the first reviewer in rows, of the second in columns.
    differences : tuple of Disagreement
    """

    review: str
    both: int
    same: int
    kappa: float | None
    matrix: Matrix
    differences: tuple[Disagreement, ...]


@dataclass(frozen=True)
class ReviewSummary:
    """What a review says about the labels.

    Attributes
    ----------
    review : str
        The file.
    store_digest : str
    rows, suggested, flagged, noted : int
        Number of rows, and of those with a suggestion, a flag and a note.
    classes : tuple of int
        The six classes, then other numbers that occur.
    matrix : ndarray of int64, shape (classes, classes)
        Rows with a suggestion: the label in rows, the suggestion in columns.
    in_store : tuple of int or None
        Observations of each class in the store, if a store was given.
    second : Comparison or None
        The comparison with a second review.
    """

    review: str
    store_digest: str
    rows: int
    suggested: int
    flagged: int
    noted: int
    classes: tuple[int, ...]
    matrix: Matrix
    in_store: tuple[int, ...] | None
    second: Comparison | None

    @property
    def same(self) -> int:
        """Number of suggestions that are the label."""
        return int(np.trace(self.matrix))

    def document(self) -> dict[str, Any]:
        """The summary as a JSON object; classes have names."""
        out = asdict(self) | {"classes": list(map(class_name, self.classes)), "matrix": self.matrix.tolist()}
        out["agreed"] = self.same
        if self.second is not None:
            out["second"] |= {"matrix": self.second.matrix.tolist()}
        return out


def review_summary(
    review: str | os.PathLike[str] | Review,
    second: str | os.PathLike[str] | Review | None = None,
    *,
    store: ReviewedStore | None = None,
) -> ReviewSummary:
    """Compare a review with the labels, and with a second review.

    An observation without a row counts nowhere: nobody knows whether the reviewer looked at it.

    Parameters
    ----------
    review, second : path-like or Review
    store : Store, optional
        The store that was reviewed. Rows are compared with it, and the classes of the store are counted.

    Returns
    -------
    ReviewSummary

    Raises
    ------
    WrongUsage
        If the reviews are of different stores, or do not fit the store.

    Examples
    --------
    >>> review_summary("review.csv", "of_a_colleague.csv").second.kappa  # doctest: +SKIP
    """
    one = review if isinstance(review, Review) else read_review(review)
    other = None if second is None else second if isinstance(second, Review) else read_review(second)
    if store is not None:
        for given in filter(None, (one, other)):
            given.check(store)
    pairs = [(row.label, row.suggested) for row in one if row.suggested is not None]
    more = [] if other is None else [(row.label, row.suggested) for row in other if row.suggested is not None]
    others = {number for pair in (*pairs, *more) for number in pair} - set(range(len(LABELS)))
    classes = (*range(len(LABELS)), *sorted(others))
    return ReviewSummary(
        str(one.path), one.store_digest, len(one), len(pairs), len(one.flagged()),
        sum(bool(row.note) for row in one), classes, confusion(pairs, classes),
        None if store is None else _count(store, classes),
        None if other is None else _compare(one, other, classes),
    )  # fmt: skip


def _count(store: ReviewedStore, classes: tuple[int, ...]) -> tuple[int, ...]:
    counts = np.zeros(256, np.int64)
    for unit in store.units.values():
        counts += np.bincount(one_labels(unit.label).view(np.uint8), minlength=256)
    return tuple(int(counts[number % 256]) for number in classes)


def _compare(one: Review, other: Review, classes: tuple[int, ...]) -> Comparison:
    if one.store_digest != other.store_digest:
        raise WrongUsage(
            "the two reviews are of different stores", where=f"{one.path}, {other.path}",
            found=f"{one.store_digest}, {other.store_digest}",
        )  # fmt: skip
    there = {(row.unit, row.obs): row for row in other.with_suggestion()}
    both = [(row, there[key]) for row in one.with_suggestion() if (key := (row.unit, row.obs)) in there]
    for first, second in both:
        if (first.localid, first.date, first.label) != (second.localid, second.date, second.label):
            raise WrongUsage(
                f"the reviews say different things about row {first.obs} of {first.unit}",
                where=f"{one.path}, {other.path}", found=f"{_facts(first)}; {_facts(second)}",
                todo="compare both with their store: --store",
            )  # fmt: skip
    pairs = [(int(first.suggested or 0), int(second.suggested or 0)) for first, second in both]
    matrix = confusion(pairs, classes)
    differences = tuple(
        Disagreement(row.unit, row.localid, row.obs, row.date, row.label, *pair)
        for (row, _), pair in zip(both, pairs, strict=True)
        if pair[0] != pair[1]
    )
    same = len(both) - len(differences)
    return Comparison(str(other.path), len(both), same, cohen_kappa(matrix), matrix, differences)


def _facts(row: ReviewedDate) -> str:
    return f"localid {row.localid}, date {row.date or 'none'}, label {row.label}"
