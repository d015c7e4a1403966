"""The meaning of dates is decided over a whole unit: the one form that makes them days of the mission, or a word."""

from __future__ import annotations

import datetime
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2ct_convert.missing import NO_DAY
from s2ct_convert.source.dates import FORMS, PublishedDates, find_encoding, has_time, to_days

EPOCH = datetime.date(1970, 1, 1)
FIRST = datetime.date(2015, 6, 23)  # the launch of Sentinel-2A
UNTIL = datetime.date(2024, 2, 4)
MISSION = [FIRST + datetime.timedelta(n) for n in range((UNTIL - FIRST).days + 1)]
NOON = 43_200


def _seconds(day: datetime.date) -> int:
    return (day - EPOCH).days * 86_400


# Form -> function that writes a day in it, with Python's own calendar.
WRITE = {
    "ordinal": datetime.date.toordinal,
    "yyyymmdd": lambda day: int(day.strftime("%Y%m%d")),
    "yyyyddd": lambda day: int(day.strftime("%Y%j")),
    "days_since_1970": lambda day: (day - EPOCH).days,
    "modified_julian_date": lambda day: (day - datetime.date(1858, 11, 17)).days,
    "julian_day": lambda day: (day - datetime.date(2000, 1, 1)).days + 2_451_545,
    "unix_seconds": _seconds,
    "unix_milliseconds": lambda day: 10**3 * (_seconds(day) + NOON),
    "unix_microseconds": lambda day: 10**6 * (_seconds(day) + NOON),
    "unix_nanoseconds": lambda day: 10**9 * (_seconds(day) + 86_399),
}
EACH_FORM = pytest.mark.parametrize("form", WRITE)
OTHER_FORMS = {  # forms that s2ct does not support; none may be mistaken for a supported one
    "spreadsheet": lambda day: day.toordinal() - 693_594,
    "days_since_2000": lambda day: day.toordinal() - 730_120,
    "yymmdd": lambda day: int(day.strftime("%y%m%d")),
    "yyyymmddhhmmss": lambda day: int(day.strftime("%Y%m%d")) * 10**6 + 31_259,
    "float64": lambda day: int(np.float64(day.toordinal()).view(np.int64)),
    "seconds_since_2000": lambda day: (day - datetime.date(2000, 1, 1)).days * 86_400,
}


def published(*examples: list[int], samples: list[int] | None = None) -> PublishedDates:
    """Dates of these examples; each is a sample of its own by default."""
    owners = range(len(examples)) if samples is None else samples
    return PublishedDates(
        np.array(list(itertools.chain(*examples)), np.int64),
        np.array([len(one) for one in examples], np.int64),
        np.array(list(owners), np.int64),
    )


def found(*examples: list[int], samples: list[int] | None = None, until: datetime.date = UNTIL) -> str:
    return find_encoding(published(*examples, samples=samples), until)


def days(values: list[int], form: str, until: datetime.date = UNTIL) -> list[int | None]:
    out = to_days(np.array(values, np.int64), form, until)
    assert out.dtype == np.int32
    return [None if day == NO_DAY else day for day in out.tolist()]


def test_every_form_is_tested():
    assert list(WRITE) == list(FORMS)


@EACH_FORM
def test_every_day_of_the_mission_is_recognised_in_every_form(form):
    written = [WRITE[form](day) for day in MISSION]
    assert days(written, form) == [(day - EPOCH).days for day in MISSION]
    assert found(written) == form
    assert [found([value]) for value in written[::97]] == [form] * len(written[::97])


@EACH_FORM
def test_a_day_of_the_mission_fits_one_form_only(form):
    written = [WRITE[form](day) for day in MISSION]
    for other in set(FORMS) - {form}:
        assert not any(day is not None for day in days(written, other)), other


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_days_in_an_unsupported_form_are_unknown(name):
    written = [OTHER_FORMS[name](day) for day in MISSION]
    assert found(written) == "unknown"
    for form in FORMS:
        assert days(written, form) == [None] * len(written)


def test_a_matlab_datenum_looks_like_an_ordinal_a_year_later():
    """Its dates are wrong or missing in any program without further knowledge: docs/assumptions.md."""
    datenums = [day.toordinal() + 366 for day in MISSION]
    late = days(datenums, "ordinal")
    assert late[0] == (FIRST - EPOCH).days + 366
    assert late.count(None) == 366
    assert found(datenums[:-366]) == "ordinal"


@EACH_FORM
def test_only_days_from_the_first_to_the_last_plausible_one_count(form):
    before, after = WRITE[form](FIRST - datetime.timedelta(1)), WRITE[form](UNTIL + datetime.timedelta(1))
    written = [before, WRITE[form](FIRST), WRITE[form](UNTIL), after]
    assert days(written, form) == [None, (FIRST - EPOCH).days, (UNTIL - EPOCH).days, None]
    assert days(written, form, UNTIL + datetime.timedelta(1))[3] == (UNTIL - EPOCH).days + 1
    assert found([before]) == found([after]) == "unknown"
    assert found([after], until=UNTIL + datetime.timedelta(1)) == form


@EACH_FORM
@pytest.mark.parametrize("stray", [0, -1, 2**63 - 1, -(2**63)])
def test_a_form_must_fit_more_than_half_of_the_dates(form, stray):
    good = [WRITE[form](day) for day in MISSION[:3]]
    assert found([*good, stray, stray]) == form
    assert found(good, [stray, stray]) == form
    assert found([*good, stray, stray, stray]) == "unknown"
    assert days([good[0], stray], form) == [(FIRST - EPOCH).days, None]


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(("ordinal", "yyyymmdd", "unix_seconds"), 2)))
def test_the_more_common_of_two_forms_counts(one, other):
    mixed = [[WRITE[one](day) for day in MISSION[:4]], [WRITE[other](day) for day in MISSION[:3]]]
    assert found(*mixed) == one
    assert found(mixed[0], mixed[1], mixed[1]) == other
    assert found(mixed[0][:3], mixed[1]) == "unknown"


def test_two_forms_that_fit_all_dates_are_unknown(monkeypatch):
    """No two do today (see the test above); a future form might."""
    monkeypatch.setitem(FORMS, "ordinal again", FORMS["ordinal"])
    assert found([MISSION[0].toordinal()]) == "unknown"


POSITIONS = {
    "from 0": ([0, 1, 2], [0, 1], [0]),
    "from 1": ([1, 2, 3], [1, 2], [1]),
    "an example without images": ([0, 1, 2], [], [0, 1]),
}
THROUGH = {  # examples, their samples
    "groups side by side": (([0, 1, 2], [3, 4], [0, 1]), [7, 7, 8]),
    "groups apart": (([1, 2], [1, 2, 3], [3], [4, 5]), [7, 8, 7, 8]),
    "an empty group between": (([0, 1], [], [2]), [7, 7, 7]),
}
NO_POSITIONS = {
    "single numbers": (([0], [0], [0]), None),
    "a gap": (([0, 1, 3],), None),
    "from 2": (([2, 3, 4],), None),
    "days since the first": (([0, 5, 10],), None),
    "from 0 and from 1": (([0, 1], [1, 2]), None),
    "downwards": (([2, 1, 0],), None),
    "all zero": (([0, 0, 0],), None),
    "through samples": (([0, 1], [2, 3]), [1, 2]),
    "restarted in one example, continued in another": (([0, 1], [0, 1], [2, 3]), [7, 7, 7]),
}


@pytest.mark.parametrize("examples", POSITIONS.values(), ids=POSITIONS)
def test_numbers_that_count_images_in_each_example_are_positions(examples):
    assert found(*examples) == "position"
    assert found(*examples, samples=[3] * len(examples)) == "position"


@pytest.mark.parametrize(("examples", "samples"), THROUGH.values(), ids=THROUGH)
def test_numbers_that_count_images_in_each_sample_are_positions(examples, samples):
    assert found(*examples, samples=samples) == "position"


@pytest.mark.parametrize(("examples", "samples"), NO_POSITIONS.values(), ids=NO_POSITIONS)
def test_other_small_numbers_are_unknown(examples, samples):
    assert found(*examples, samples=samples) == "unknown"


def test_encodings_that_are_not_dates_have_no_days():
    for word in ("position", "unknown", "none"):
        assert days([0, 1, MISSION[0].toordinal()], word) == [None] * 3


def test_no_dates_have_no_form():
    assert found() == found([]) == "none"


@pytest.mark.parametrize(
    "value", [20190231, 20190229, 20191301, 20190001, 20190100, 20190132, 20190199, 2019000, 2019366, 2019999]
)
def test_a_number_that_is_not_a_calendar_day_is_missing(value):
    form = "yyyymmdd" if value > 10**7 else "yyyyddd"
    assert days([value], form) == [None]


def test_leap_days_are_days():
    assert days([20200229], "yyyymmdd") == days([2020060], "yyyyddd") == [(datetime.date(2020, 2, 29) - EPOCH).days]
    assert days([2020366], "yyyyddd") == [(datetime.date(2020, 12, 31) - EPOCH).days]


@pytest.mark.parametrize(
    ("form", "ticks"),
    [("unix_seconds", 1), ("unix_milliseconds", 10**3), ("unix_microseconds", 10**6), ("unix_nanoseconds", 10**9)],
)
def test_times_become_days_and_times_of_day_are_found(form, ticks):
    midnight = _seconds(MISSION[9]) * ticks
    moments = [midnight, midnight + 1, midnight + 86_400 * ticks - 1, midnight + 86_400 * ticks]
    day = (MISSION[9] - EPOCH).days
    assert days(moments, form) == [day, day, day, day + 1]
    assert has_time(np.array(moments), form).tolist() == [False, True, True, False]


@pytest.mark.parametrize("form", ["ordinal", "yyyymmdd", "julian_day", "position", "unknown"])
def test_days_have_no_time_of_day(form):
    assert not has_time(np.array([MISSION[9].toordinal(), 5]), form).any()


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 0, -1]), max_size=6))
def test_any_number_becomes_a_day_of_the_mission_or_missing(values):
    found(values)
    for form in FORMS:
        for day in days(values, form):
            assert day is None or FIRST <= EPOCH + datetime.timedelta(day) <= UNTIL
