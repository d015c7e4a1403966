from __future__ import annotations

import datetime

import numpy as np
import pytest
from makers import FIRST_DAY, Group, example_bytes, random_group

from s2ct_convert.source.example import Example, Kept, Kind, decode_example
from s2ct_convert.source.samples import PENDING_BYTES, Series, join_series, sample_of
from s2ct_convert.source.tfrecord import RawRecord


def make(rng, number, localid, dates) -> Example:
    """An example with these dates."""
    group = random_group(rng, localid, len(dates))
    return decode(number, group, dates)


def decode(number: int, group: Group, dates) -> Example:
    group.dates = None if dates is None else np.array(dates, np.int64)
    return decode_example(RawRecord(number, 1_000 * number, example_bytes(group)))


def change(example: Example, **changes) -> Example:
    fields = {name: getattr(example, name) for name in Example.__slots__}
    return Example(**{**fields, **changes})


def images(series: Series) -> np.ndarray:
    return np.concatenate(series.images)


def days(*numbers: int) -> list[int]:
    return [FIRST_DAY + n for n in numbers]


def places(series: Series) -> list[tuple[int, int]]:
    return list(zip(series.example.tolist(), series.position.tolist(), strict=True))


class TestOneExample:
    def test_an_example_becomes_a_series_with_the_right_dtypes(self, rng):
        example = make(rng, 4, 411, days(0, 5, 10))
        (got,) = join_series([example])
        assert got.sample == (411, -1)
        assert (images(got).dtype, images(got).shape) == (np.uint16, (3, 4, 42, 42))
        assert (got.example.dtype, got.position.dtype) == (np.int32, np.int32)
        assert np.array_equal(images(got), example.image)
        assert places(got) == [(4, 0), (4, 1), (4, 2)]

    def test_timestamps_are_sorted_and_keep_their_source_position(self, rng):
        example = make(rng, 0, 1, days(10, 0, 5))
        (got,) = join_series([example])
        assert places(got) == [(0, 1), (0, 2), (0, 0)]
        assert np.array_equal(images(got), example.image[[1, 2, 0]])

    @pytest.mark.parametrize(
        "write",
        [
            lambda day: day.toordinal(),
            lambda day: int(day.strftime("%Y%m%d")),
            lambda day: (day - datetime.date(1970, 1, 1)).days * 86_400 + 7,
        ],
        ids=["ordinal", "yyyymmdd", "unix seconds"],
    )
    def test_the_form_of_the_first_date_gives_the_order(self, rng, write):
        dates = [write(datetime.date(2018, 1, 31) + datetime.timedelta(n)) for n in (9, 3, 0, 1)]
        assert places(next(join_series([make(rng, 0, 1, dates)]))) == [(0, 2), (0, 3), (0, 1), (0, 0)]

    def test_images_without_a_day_come_last_in_source_order(self, rng):
        example = make(rng, 0, 1, [FIRST_DAY + 5, 0, FIRST_DAY, -1])
        assert places(next(join_series([example]))) == [(0, 2), (0, 0), (0, 1), (0, 3)]

    @pytest.mark.parametrize("dates", [None, [], [5, 4, 3], days(3, 2), days(4, 3, 2, 1)])
    def test_images_stay_in_source_order_without_a_day_for_each(self, rng, dates):
        example = decode(0, random_group(rng, 1, 3), dates)
        (got,) = join_series([example])
        assert places(got) == [(0, 0), (0, 1), (0, 2)]
        assert np.shares_memory(got.images[0], example.image)

    def test_images_that_are_in_order_are_not_copied(self, rng):
        examples = [make(rng, 0, 1, days(0, 0, 5)), make(rng, 1, 1, days(5, 6))]
        (got,) = join_series(examples)
        assert all(np.shares_memory(image, e.image) for image, e in zip(got.images, examples, strict=True))

    @pytest.mark.parametrize(
        ("localid", "kept", "sample"),
        [
            (5, (), (5, -1)),
            (-1, (), (-1, -1)),
            (-1, (Kept("localid", Kind.INT64, None),), (-1, 3)),
            (-1, (Kept("localid", Kind.BYTES, b"5"),), (-1, 3)),
            (5, (Kept("dates", Kind.BYTES, None),), (5, -1)),
        ],
    )
    def test_an_example_without_localid_is_a_sample_of_its_own(self, rng, localid, kept, sample):
        assert sample_of(change(make(rng, 3, 5, []), localid=localid, kept=kept)) == sample


class TestJoining:
    def test_neighbours_of_one_sample_join_in_time_order(self, rng):
        one, two = make(rng, 0, 7, days(0, 10, 20)), make(rng, 1, 7, days(5, 15))
        (got,) = join_series([one, two])
        assert places(got) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
        assert np.array_equal(images(got), np.concatenate([one.image, two.image])[[0, 3, 1, 4, 2]])

    def test_ties_are_sorted_by_example_then_position(self, rng):
        examples = [make(rng, 0, 7, days(5, 0, 5)), make(rng, 1, 7, days(5, 5, 0)), make(rng, 2, 7, days(0))]
        (got,) = join_series(examples)
        assert places(got) == [(0, 1), (1, 2), (2, 0), (0, 0), (0, 2), (1, 0), (1, 1)]

    def test_identical_observations_are_all_kept(self, rng):
        one = make(rng, 0, 7, days(0, 5))
        (got,) = join_series([one, change(one, number=1)])
        assert got.example.tolist() == [0, 1, 0, 1]
        assert np.array_equal(images(got)[0], images(got)[1])

    def test_shuffled_timestamps_are_sorted_with_their_pixels(self, rng):
        for _ in range(20):
            examples = [
                make(rng, i, 3, days(*rng.integers(0, 6, rng.integers(1, 9)))) for i in range(rng.integers(1, 5))
            ]
            (got,) = join_series(examples)
            rows = [(day, e.number, i) for e in examples for i, day in enumerate(e.dates.tolist())]
            assert places(got) == [row[1:] for row in sorted(rows)]
            pixels = images(got)
            for row, (e, i) in enumerate(places(got)):
                assert np.array_equal(pixels[row], examples[e].image[i])

    def test_groups_of_a_sample_that_are_apart_are_separate_series(self, rng):
        examples = [make(rng, i, localid, days(i)) for i, localid in enumerate([1, 1, 2, 1, 3, 3, 1])]
        got = list(join_series(examples))
        assert [series.sample for series in got] == [(1, -1), (2, -1), (1, -1), (3, -1), (1, -1)]
        assert [series.example.tolist() for series in got] == [[0, 1], [2], [3], [4, 5], [6]]

    def test_neighbours_without_localid_do_not_join(self, rng):
        examples = [decode(i, random_group(rng, localid, 2), days(0, 5)) for i, localid in enumerate([None, None, -1])]
        assert [series.sample for series in join_series(examples)] == [(-1, 0), (-1, 1), (-1, -1)]

    @pytest.mark.parametrize("empty", range(3))
    def test_an_example_without_timestamps_changes_nothing(self, rng, empty):
        examples = [make(rng, i, 1, [] if i == empty else days(i)) for i in range(3)]
        (got,) = join_series(examples)
        assert places(got) == [(i, 0) for i in range(3) if i != empty]

    def test_no_examples_make_no_series(self):
        assert list(join_series([])) == []

    def test_a_position_may_exceed_int16(self, rng):
        n = 2**15 + 1
        example = change(make(rng, 0, 1, []), image=np.broadcast_to(np.uint16(0), (n, 4, 42, 42)))
        assert next(join_series([example])).position[-1] == 2**15


class TestMemory:
    def test_a_long_sample_is_split_into_series_of_bounded_size(self, rng):
        image = np.zeros((100, 4, 42, 42), np.uint16)
        one = make(rng, 0, 1, days(*range(100)))
        n, taken = 60, 0

        def examples():
            nonlocal taken
            for number in range(n):
                taken += 1
                yield change(one, number=number, image=image)

        rows, lengths = [], []
        for series in join_series(examples()):
            lengths.append(len(series.example))
            assert sum(image.nbytes for image in series.images) <= PENDING_BYTES
            rows += series.example.tolist()
            assert taken * 100 - len(rows) <= 100, "at most one example is read ahead"
        assert sorted(rows) == sorted(list(range(n)) * 100)
        assert lengths == [2300, 2300, 1400], "as many whole examples as fit"

    def test_an_example_larger_than_the_bound_is_one_series(self, rng):
        n = PENDING_BYTES // 14_112 + 2
        one = make(rng, 0, 1, days(*range(100)))
        dates = FIRST_DAY + np.arange(n, dtype=np.int64)
        large = change(one, number=1, image=np.zeros((n, 4, 42, 42), np.uint16), dates=dates)
        assert [len(series.example) for series in join_series([one, large, change(one, number=2)])] == [100, n, 100]
