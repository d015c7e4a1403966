"""The conditions of a selection: names, numbers, dates and labels, one or several."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, TypedDict

import numpy as np

from ..missing import NO_LABEL
from ..store.layout import NO_LABEL_NAME

Names = str | Iterable[str] | None
Numbers = int | Iterable[int] | None
Labels = str | int | Iterable[str | int] | None
Dates = slice | str | np.datetime64 | None


class Where(TypedDict, total=False):
    """Arguments of ``Samples.where``."""

    tile: Names
    split: Names
    localid: Numbers
    time: Dates
    label: Labels


class Cut(TypedDict, total=False):
    """Arguments of ``store.select`` that cut long series."""

    max_length: int | None
    seed: int | None


def days(time: Dates) -> tuple[np.datetime64, np.datetime64]:
    """First and last day of a slice of dates or of one date. A month or a year includes all its days."""
    start, stop = (time.start, time.stop) if isinstance(time, slice) else (time, time)
    first = np.datetime64("0001-01-01") if start is None else np.datetime64(start).astype("M8[D]")
    if stop is None:
        return first, np.datetime64("9999-12-31")
    last = np.datetime64(stop)
    for unit in ("Y", "M", "W"):
        if np.datetime_data(last.dtype)[0] == unit:
            return first, (last + np.timedelta64(1, unit)).astype("M8[D]") - np.timedelta64(1, "D")
    return first, last.astype("M8[D]")


def class_numbers(label: Labels, classes: tuple[str, ...]) -> list[int]:
    """Class numbers for these names or numbers. Accepts any int8 number, and ``no_label`` for -1."""
    named = {NO_LABEL_NAME: NO_LABEL} | {name: number for number, name in enumerate(classes)}
    out = []
    for one in as_list(label):
        if one not in named and one not in range(-128, 128):
            raise KeyError(
                f"no class {one!r}; the store has {', '.join(classes)} (0 to {len(classes) - 1}), "
                f"and {NO_LABEL_NAME} (-1)"
            )
        out.append(named[one] if isinstance(one, str) else int(one))
    return out


def as_list(given: Any) -> list[Any]:
    """One or several values as a list."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        return [given]
    return list(given)


def known(what: str, given: Names, there: tuple[str, ...]) -> list[str]:
    """The names of tiles or splits.

    Raises
    ------
    KeyError
        If the store does not have one of them.
    """
    names = as_list(given)
    for one in names:
        if one not in there:
            raise KeyError(f"no {what} {one!r}; the store has {', '.join(there)}")
    return names


def numbers(given: Any) -> list[int]:
    """One or several whole numbers.

    Raises
    ------
    TypeError
        If one is not a whole number: 86.9 is no localid.
    """
    return [operator.index(one) for one in as_list(given)]
