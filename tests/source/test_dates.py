from __future__ import annotations

import datetime
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2ct_convert.errors import EXIT_SOURCE, ExampleError
from s2ct_convert.source.dates import RANGES, recognise, to_days

EPOCH = datetime.date(1970, 1, 1)
FIRST = datetime.date(2015, 6, 23)  # the first image of Sentinel-2A
LAST = datetime.date(2099, 12, 31)

WRITE = {
    "ordinal": datetime.date.toordinal,
    "yyyymmdd": lambda day: day.year * 10_000 + day.month * 100 + day.day,
    "unix_seconds": lambda day: (day - EPOCH).days * 86_400,
    "days_since_1970": lambda day: (day - EPOCH).days,
}
ENCODINGS = pytest.mark.parametrize("encoding", sorted(WRITE))


def convert(values, encoding):
    return to_days(np.array(values, np.int64), encoding, place="file: example 3, byte 77")


def refusal(values, encoding) -> ExampleError:
    with pytest.raises(ExampleError) as caught:
        convert(values, encoding)
    assert caught.value.where == "file: example 3, byte 77"
    assert caught.value.exit_code == EXIT_SOURCE
    return caught.value


def test_every_way_of_writing_that_is_known_is_tested():
    assert set(WRITE) == set(RANGES)


def test_no_number_is_a_date_in_two_ways():
    for one, other in itertools.combinations(RANGES.values(), 2):
        assert one[1] <= other[0] or other[1] <= one[0]


@ENCODINGS
def test_every_day_of_the_mission_becomes_its_number_since_1970(encoding):
    days = [FIRST + datetime.timedelta(n) for n in range((LAST - FIRST).days + 1)]
    written = [WRITE[encoding](day) for day in days]
    got = convert(written, encoding)
    assert got.days.dtype == np.int32
    assert got.days.tolist() == [(day - EPOCH).days for day in days]
    assert got.with_time == 0
    assert {recognise(value) for value in written} == {encoding}


@settings(derandomize=True, deadline=None, database=None)
@given(st.dates(FIRST, LAST))
def test_an_ordinal_becomes_days_as_datetime_counts_them(day):
    assert convert([day.toordinal()], "ordinal").days.tolist() == [(day - EPOCH).days]


@ENCODINGS
def test_the_first_and_the_last_day_are_dates_and_their_neighbours_are_none(encoding):
    before, after = FIRST - datetime.timedelta(1), LAST + datetime.timedelta(1)
    for day in (FIRST, LAST):
        assert recognise(WRITE[encoding](day)) == encoding
    for day in (before, after):
        value = WRITE[encoding](day)
        assert recognise(value) is None
        assert f"{value} at position 1" in refusal([WRITE[encoding](FIRST), value], encoding).found


@pytest.mark.parametrize(
    "value", [0, 1, -1, -(2**63), 2**63 - 1, 2018, 201801, 1_514_851_200_000, 58_120, 131_592_384_000_000_000]
)
def test_what_is_no_date_of_the_mission_in_any_way_is_not_recognised(value):
    assert recognise(value) is None
    for encoding in RANGES:
        refusal([value], encoding)


@ENCODINGS
@pytest.mark.parametrize("other", sorted(WRITE))
def test_two_ways_of_writing_do_not_mix_in_one_unit(encoding, other):
    values = [WRITE[encoding](FIRST), WRITE[other](LAST)]
    if encoding == other:
        assert len(convert(values, encoding).days) == 2
        return
    error = refusal(values, encoding)
    assert error.found == f"{values[1]} at position 1"
    assert error.expected.startswith(encoding)


@pytest.mark.parametrize(
    "value", [20190231, 20190229, 20190431, 20191301, 20190001, 20190100, 20190132, 20190199, 20181233, 20990000]
)
def test_eight_digits_that_are_no_day_of_the_calendar_are_refused(value):
    assert f"{value} at position 2" in refusal([20180101, 20180102, value, 20180103], "yyyymmdd").found


def test_the_29th_of_february_is_a_day_in_leap_years():
    assert convert([20200229], "yyyymmdd").days.tolist() == [(datetime.date(2020, 2, 29) - EPOCH).days]


def test_of_unix_seconds_the_day_is_kept_and_times_of_day_are_counted():
    day = (datetime.date(2018, 1, 2) - EPOCH).days
    seconds = [day * 86_400, day * 86_400 + 1, day * 86_400 + 86_399, (day + 1) * 86_400]
    got = convert(seconds, "unix_seconds")
    assert got.days.tolist() == [day, day, day, day + 1]
    assert got.with_time == 2


def test_the_last_second_of_the_last_day_is_a_date():
    last = WRITE["unix_seconds"](LAST) + 86_399
    assert recognise(last) == "unix_seconds"
    assert recognise(last + 1) is None
    assert convert([last], "unix_seconds").days.tolist() == [(LAST - EPOCH).days]


@ENCODINGS
def test_no_dates_are_no_days(encoding):
    got = convert([], encoding)
    assert (got.days.dtype, got.days.shape, got.with_time) == (np.int32, (0,), 0)


@ENCODINGS
def test_days_keep_the_order_and_the_repetitions_of_the_source(encoding):
    days = [LAST, FIRST, datetime.date(2018, 1, 2), FIRST]
    got = convert([WRITE[encoding](day) for day in days], encoding)
    assert got.days.tolist() == [(day - EPOCH).days for day in days]
