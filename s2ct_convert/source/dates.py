"""How a source writes its dates, recognised by range, and how they become days since 1970-01-01.

The published files hold proleptic Gregorian ordinals (``datetime.date.toordinal``). Other ways of writing a
Sentinel-2 date fall into ranges that do not touch each other, so one value tells which it is.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ExampleError

EPOCH_ORDINAL = 719_163  # datetime.date(1970, 1, 1).toordinal()
FIRST_DAY = datetime.date(2015, 6, 23)  # first image of Sentinel-2A
END_DAY = datetime.date(2100, 1, 1)  # no date from here on is believed

_FIRST = FIRST_DAY.toordinal() - EPOCH_ORDINAL
_END = END_DAY.toordinal() - EPOCH_ORDINAL
_DAY_SECONDS = 86_400

# encoding -> [first, end) of the values it may take
RANGES = {
    "ordinal": (_FIRST + EPOCH_ORDINAL, _END + EPOCH_ORDINAL),
    "yyyymmdd": (20150623, 21000101),
    "unix_seconds": (_FIRST * _DAY_SECONDS, _END * _DAY_SECONDS),
    "days_since_1970": (_FIRST, _END),
}


@dataclass(frozen=True)
class Days:
    """Dates of one example as days since 1970-01-01, and how many had a time of day that a day cannot hold."""

    days: npt.NDArray[np.int32]
    with_time: int


def recognise(value: int) -> str | None:
    """The encoding in which ``value`` is a date of the mission, or None."""
    for name, (first, end) in RANGES.items():
        if first <= value < end:
            return name
    return None


def to_days(dates: npt.NDArray[np.int64], encoding: str, *, place: str) -> Days:
    """Days since 1970-01-01 of dates in ``encoding``.

    Raises
    ------
    ExampleError
        If a value is no date of the mission in that encoding; the message names the example and the value.
    """
    first, end = RANGES[encoding]
    wrong = (dates < first) | (dates >= end)
    if encoding == "yyyymmdd" and not wrong.any():
        days = _from_yyyymmdd(dates)
        wrong = days == np.iinfo(np.int32).min
    elif encoding == "unix_seconds":
        days = dates // _DAY_SECONDS
    else:
        days = dates - (EPOCH_ORDINAL if encoding == "ordinal" else 0)
    if wrong.any():
        raise no_date(dates, wrong, encoding, place)
    with_time = int(np.count_nonzero(dates % _DAY_SECONDS)) if encoding == "unix_seconds" else 0
    return Days(days.astype(np.int32), with_time)


def no_date(dates: npt.NDArray[np.int64], wrong: npt.NDArray[np.bool_], encoding: str, place: str) -> ExampleError:
    """The error for a value that is no date of the mission."""
    at = int(np.flatnonzero(wrong)[0])
    ways = ", ".join(f"{name} {low}..{end - 1}" for name, (low, end) in RANGES.items())
    return ExampleError(
        "a date lies outside the Sentinel-2 mission or is written in another way than those before it",
        where=place,
        expected=f"{encoding} ({ways})",
        found=f"{int(dates[at])} at position {at}",
    )


def _from_yyyymmdd(dates: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Days since 1970-01-01; int32 minimum where the digits are no day of the calendar."""
    out = np.empty(len(dates), np.int64)
    for i, value in enumerate(dates.tolist()):
        try:
            day = datetime.date(value // 10_000, value // 100 % 100, value % 100)
        except ValueError:
            out[i] = np.iinfo(np.int32).min
        else:
            out[i] = day.toordinal() - EPOCH_ORDINAL
    return out
