"""Decides what the dates of a source mean, from all of them, and converts them to days since 1970-01-01.

The description of the record only says "Ordinal list for each timestamp". So no single value decides. A form is used if
every date of the unit is a day of the mission in this form, and in no other form. If no form fits all dates, a form is
used if it alone fits more than half; the other dates count as missing. The published values are kept in every case.

A MATLAB datenum is an ordinal plus 366. It looks exactly like the ordinal of a day one year later
(docs/assumptions.md).
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET
from ..missing import NO_DAY

EPOCH_ORDINAL = 719_163  # datetime.date(1970, 1, 1).toordinal()
LATEST = datetime.date(2099, 12, 31)  # a later date is never plausible

# Encodings that are not dates.
POSITION = "position"  # 0, 1, 2, ... or 1, 2, 3, ...: the number of the image in its example or series
UNKNOWN = "unknown"
NONE = "none"  # no example has one date per image

_MJD_EPOCH = 40_587  # modified Julian date of 1970-01-01
_JULIAN_EPOCH = 2_440_588  # Julian day number of 1970-01-01, at noon
_DAY_SECONDS = 86_400

Dates = npt.NDArray[np.int64]
Days = npt.NDArray[np.int64]


def _yyyymmdd(dates: Dates) -> Days:
    years, months, day = dates // 10_000, dates // 100 % 100, dates % 100
    return _calendar(years, months, day)


def _yyyyddd(dates: Dates) -> Days:
    years, day = dates // 1000, dates % 1000
    first = _first_of_month(years, np.ones_like(years))
    return np.where(
        (day >= 1) & (day <= _first_of_month(years + 1, np.ones_like(years)) - first), first + day - 1, NO_DAY
    )


def _calendar(years: Dates, months: Dates, day: Dates) -> Days:
    """Days since 1970 of calendar days; ``NO_DAY`` where there is no such day."""
    first = _first_of_month(years, months)
    length = _first_of_month(years + months // 12, months % 12 + 1) - first
    real = (months >= 1) & (months <= 12) & (day >= 1) & (day <= length)
    return np.where(real, first + day - 1, NO_DAY)


def _first_of_month(years: Dates, months: Dates) -> Days:
    since_1970 = np.clip(years, 0, 9999) * 12 + months - 1 - 1970 * 12
    return since_1970.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _seconds(per_second: int) -> Callable[[Dates], Days]:
    return lambda dates: dates // (per_second * _DAY_SECONDS)


# Form -> function from values to days since 1970. A value that is not a day may become any day outside the mission.
FORMS: Mapping[str, Callable[[Dates], Days]] = {
    "ordinal": lambda dates: dates - EPOCH_ORDINAL,
    "yyyymmdd": _yyyymmdd,
    "yyyyddd": _yyyyddd,
    "days_since_1970": lambda dates: dates,
    "modified_julian_date": lambda dates: dates - _MJD_EPOCH,
    "julian_day": lambda dates: dates - _JULIAN_EPOCH,
    "unix_seconds": _seconds(1),
    "unix_milliseconds": _seconds(1000),
    "unix_microseconds": _seconds(10**6),
    "unix_nanoseconds": _seconds(10**9),
}
_TICKS = {"unix_seconds": 1, "unix_milliseconds": 1000, "unix_microseconds": 10**6, "unix_nanoseconds": 10**9}


@dataclass(frozen=True)
class PublishedDates:
    """Dates of those examples of a unit that have one date per image.

    Attributes
    ----------
    dates : ndarray of int64, shape (n,)
        In the order of the source.
    sizes : ndarray of int64, shape (examples,)
        Number of dates of each example.
    samples : ndarray of int64, shape (examples,)
        A number for the sample of each example.
    """

    dates: Dates
    sizes: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int64]


def find_encoding(published: PublishedDates, until: datetime.date, first_day: datetime.date = DATASET.first_day) -> str:
    """Find the form of the dates.

    Parameters
    ----------
    published : PublishedDates
    until : date
        The last plausible day.
    first_day : date
        The first plausible day.

    Returns
    -------
    str
        A name in ``FORMS``, or ``POSITION``, ``UNKNOWN``, ``NONE``.
    """
    total = len(published.dates)
    if not total:
        return NONE
    fitting = {
        form: int(np.count_nonzero(to_days(published.dates, form, until, first_day) != NO_DAY)) for form in FORMS
    }
    whole = [form for form, n in fitting.items() if n == total]
    likely = whole or [form for form, n in fitting.items() if 2 * n > total]
    if len(likely) == 1:
        return likely[0]
    return POSITION if not likely and _are_positions(published) else UNKNOWN


def to_days(
    dates: Dates, encoding: str, until: datetime.date, first_day: datetime.date = DATASET.first_day
) -> npt.NDArray[np.int32]:
    """Days since 1970-01-01; ``NO_DAY`` where a value is not a day from ``first_day`` to ``until``."""
    if encoding not in FORMS:
        return np.full(len(dates), NO_DAY, np.int32)
    first, last = (day.toordinal() - EPOCH_ORDINAL for day in (first_day, until))
    # The lowest values would overflow in a subtraction; none of them is a day in any form.
    days = FORMS[encoding](np.maximum(dates, -(10**18)))
    return np.where((days >= first) & (days <= last), days, NO_DAY).astype(np.int32)


def has_time(dates: Dates, encoding: str) -> npt.NDArray[np.bool_]:
    """Which dates have a time of day, which ``time`` cannot hold."""
    ticks = _TICKS.get(encoding)
    return np.zeros(len(dates), bool) if ticks is None else dates % (ticks * _DAY_SECONDS) != 0


def _are_positions(published: PublishedDates) -> bool:
    """Whether the dates count images from 0 or 1, in each example or across the examples of a sample."""
    if not (published.sizes > 1).any():
        return False  # a single 0 or 1 may be anything
    starts = np.cumsum(published.sizes) - published.sizes
    within = np.arange(len(published.dates)) - np.repeat(starts, published.sizes)
    through = within + np.repeat(_images_before(published), published.sizes)
    return any(np.array_equal(published.dates, counted + base) for counted in (within, through) for base in (0, 1))


def _images_before(published: PublishedDates) -> npt.NDArray[np.int64]:
    """For each example, the number of images of its sample in earlier examples."""
    so_far: Counter[int] = Counter()
    before = np.empty(len(published.sizes), np.int64)
    for i, (sample, size) in enumerate(zip(published.samples.tolist(), published.sizes.tolist(), strict=True)):
        before[i] = so_far[sample]
        so_far[sample] += size
    return before
