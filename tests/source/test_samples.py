from __future__ import annotations

import datetime
import itertools

import numpy as np
import pytest
from makers import FIRST_DAY, random_group

from s2ct_convert.errors import ExampleError
from s2ct_convert.source.example import Example
from s2ct_convert.source.samples import PENDING_BYTES, Grouper, Series

COLUMNS = ("label", "day", "weight", "example", "position")
EPOCH = datetime.date(1970, 1, 1).toordinal()


def make(rng, number, localid, dates, *, label_pixels=1, weights=True) -> Example:
    """An example with these ordinals as its dates."""
    group = random_group(rng, localid, len(dates), label_pixels=label_pixels)
    return Example(
        number=number,
        offset=1_000 * number,
        known=5,
        localid=localid,
        image=group.image,
        labels=group.labels,
        dates=np.array(dates, np.int64),
        weights=group.weights if weights else np.empty(0, np.float32),
    )


def change(example: Example, **changes) -> Example:
    fields = {name: getattr(example, name) for name in Example.__slots__}
    return Example(**{**fields, **changes})


def group(examples, grouper=None) -> list[Series]:
    return list((grouper or Grouper("file")).series(examples))


def images(series: Series) -> np.ndarray:
    return np.concatenate(series.images)


def refusal(examples) -> ExampleError:
    with pytest.raises(ExampleError) as caught:
        group(examples)
    return caught.value


def days(*numbers: int) -> list[int]:
    return [FIRST_DAY + n for n in numbers]


class TestOneExample:
    def test_it_becomes_a_series_with_every_column_in_its_dtype(self, rng):
        example = make(rng, 4, 411, days(0, 5, 10))
        (got,) = group([example])
        assert got.localid == 411
        assert [(getattr(got, c).dtype, getattr(got, c).shape) for c in COLUMNS] == [
            (np.int8, (3,)), (np.int32, (3,)), (np.float32, (3,)), (np.int32, (3,)), (np.int16, (3,)),
        ]  # fmt: skip
        assert (images(got).dtype, images(got).shape) == (np.uint16, (3, 4, 42, 42))
        assert np.array_equal(images(got), example.image)
        assert np.array_equal(got.label, example.labels)
        assert np.array_equal(got.day, example.dates - EPOCH)
        assert got.weight.tobytes() == example.weights.tobytes()
        assert got.example.tolist() == [4, 4, 4]
        assert got.position.tolist() == [0, 1, 2]

    def test_timestamps_are_put_in_time_order_and_keep_their_position_in_the_source(self, rng):
        example = make(rng, 0, 1, days(10, 0, 5))
        (got,) = group([example])
        assert got.day.tolist() == [day - EPOCH for day in days(0, 5, 10)]
        assert got.position.tolist() == [1, 2, 0]
        assert np.array_equal(images(got), example.image[[1, 2, 0]])
        assert np.array_equal(got.label, example.labels[[1, 2, 0]])
        assert np.array_equal(got.weight, example.weights[[1, 2, 0]])

    def test_images_that_are_in_order_are_not_copied(self, rng):
        examples = [make(rng, 0, 1, days(0, 0, 5)), make(rng, 1, 1, days(5, 6))]
        (got,) = group(examples)
        assert all(np.shares_memory(image, e.image) for image, e in zip(got.images, examples, strict=True))

    def test_absent_weights_are_nan(self, rng):
        (got,) = group([make(rng, 0, 1, days(0, 5), weights=False)])
        assert got.weight.dtype == np.float32
        assert np.isnan(got.weight).all()

    def test_the_bits_of_a_nan_weight_are_kept_even_where_rows_move(self, rng):
        bits = np.array([0x7FC00000, 0x7FA00102, 0xFFC12345, 0x7F800001], np.uint32)
        example = change(make(rng, 0, 1, days(9, 6, 3, 0)), weights=bits.view(np.float32))
        other = make(rng, 1, 1, days(1, 2))
        (got,) = group([example, other])
        assert got.weight.view(np.uint32)[[0, 3, 4, 5]].tolist() == bits[::-1].tolist()

    @pytest.mark.parametrize("n", [1, 3])
    def test_36_labels_a_timestamp_are_6_by_6(self, rng, n):
        grouper, example = Grouper("file"), make(rng, 0, 1, days(*range(n)), label_pixels=36)
        (got,) = group([example], grouper)
        assert got.label.shape == (n, 6, 6)
        assert got.label.tobytes() == example.labels.tobytes()
        assert grouper.label_pixels == 36

    def test_36_timestamps_with_a_label_each_are_not_6_by_6(self, rng):
        grouper = Grouper("file")
        (got,) = group([make(rng, 0, 1, days(*range(36)))], grouper)
        assert got.label.shape == (36,)
        assert grouper.label_pixels == 1


class TestJoining:
    def test_neighbours_of_one_sample_become_one_series_in_time_order(self, rng):
        one, two = make(rng, 0, 7, days(0, 10, 20)), make(rng, 1, 7, days(5, 15))
        (got,) = group([one, two])
        assert got.example.tolist() == [0, 1, 0, 1, 0]
        assert got.position.tolist() == [0, 0, 1, 1, 2]
        assert np.array_equal(images(got), np.concatenate([one.image, two.image])[[0, 3, 1, 4, 2]])

    def test_ties_in_time_stand_by_example_then_position_and_nothing_is_dropped(self, rng):
        examples = [make(rng, 0, 7, days(5, 0, 5)), make(rng, 1, 7, days(5, 5, 0)), make(rng, 2, 7, days(0))]
        (got,) = group(examples)
        assert list(zip(got.day - got.day[0], got.example, got.position, strict=True)) == [
            (0, 0, 1), (0, 1, 2), (0, 2, 0), (5, 0, 0), (5, 0, 2), (5, 1, 0), (5, 1, 1),
        ]  # fmt: skip

    def test_observations_equal_in_everything_are_all_kept(self, rng):
        one = make(rng, 0, 7, days(0, 5))
        (got,) = group([one, change(one, number=1)])
        assert got.example.tolist() == [0, 1, 0, 1]
        assert np.array_equal(images(got)[0], images(got)[1])

    def test_any_order_of_any_timestamps_comes_out_sorted_with_its_own_pixels(self, rng):
        for _ in range(20):
            examples = [
                make(rng, i, 3, days(*rng.integers(0, 6, rng.integers(1, 9)))) for i in range(rng.integers(1, 5))
            ]
            (got,) = group(examples)
            rows = [(day - EPOCH, e.number, i) for e in examples for i, day in enumerate(e.dates.tolist())]
            assert list(zip(got.day, got.example, got.position, strict=True)) == sorted(rows)
            pixels = images(got)
            for row, (e, i) in enumerate(zip(got.example, got.position, strict=True)):
                assert np.array_equal(pixels[row], examples[e].image[i])
                assert got.label[row] == examples[e].labels[i]
                assert got.weight[row] == examples[e].weights[i]

    def test_groups_of_a_sample_that_stand_apart_come_as_series_of_their_own(self, rng):
        examples = [make(rng, i, localid, days(i)) for i, localid in enumerate([1, 1, 2, 1, 3, 3, 1])]
        got = group(examples)
        assert [series.localid for series in got] == [1, 2, 1, 3, 1]
        assert [series.example.tolist() for series in got] == [[0, 1], [2], [3], [4, 5], [6]]

    def test_neighbours_with_and_without_weights_join(self, rng):
        with_weights, without = make(rng, 0, 1, days(0, 10)), make(rng, 1, 1, days(5), weights=False)
        (got,) = group([with_weights, without])
        assert np.array_equal(got.weight, [with_weights.weights[0], np.nan, with_weights.weights[1]], equal_nan=True)

    @pytest.mark.parametrize("label_pixels", [1, 36])
    def test_labels_stay_with_their_timestamps(self, rng, label_pixels):
        one, two = (make(rng, i, 1, days(10, 0), label_pixels=label_pixels) for i in range(2))
        (got,) = group([one, two])
        labels = [e.labels.reshape(2, label_pixels)[i] for i, e in [(1, one), (1, two), (0, one), (0, two)]]
        assert np.array_equal(got.label.reshape(4, label_pixels), labels)

    @pytest.mark.parametrize("label_pixels", [1, 36])
    @pytest.mark.parametrize("order", sorted(itertools.permutations(range(3))))
    def test_an_example_without_timestamps_changes_nothing_wherever_it_stands(self, rng, label_pixels, order):
        examples = [
            make(rng, order[0], 1, [], label_pixels=label_pixels),
            make(rng, order[1], 1, days(0), label_pixels=label_pixels),
            make(rng, order[2], 1, days(5), label_pixels=label_pixels),
        ]
        (got,) = group(sorted(examples, key=lambda example: example.number))
        assert got.day.tolist() == [day - EPOCH for day in days(0, 5)]
        assert got.label.shape == ((2,) if label_pixels == 1 else (2, 6, 6))

    def test_no_examples_make_no_series(self):
        grouper = Grouper("file")
        assert group([], grouper) == []
        assert (grouper.examples, grouper.label_pixels, grouper.date_encoding) == (0, None, None)


class TestMemory:
    def test_a_sample_of_any_length_comes_in_series_of_bounded_size_and_whole(self, rng):
        image = np.zeros((100, 4, 42, 42), np.uint16)
        one = make(rng, 0, 1, days(*range(100)))
        n, taken = 60, 0

        def examples():
            nonlocal taken
            for number in range(n):
                taken += 1
                yield change(one, number=number, image=image)

        rows, lengths = [], []
        for series in Grouper("file").series(examples()):
            lengths.append(len(series.day))
            assert sum(image.nbytes for image in series.images) <= PENDING_BYTES
            rows += series.example.tolist()
            assert taken * 100 - len(rows) <= 100, "no more than one example is read ahead"
        assert sorted(rows) == sorted(list(range(n)) * 100)
        assert lengths == [2300, 2300, 1400], "as many whole examples as fit"

    def test_one_example_larger_than_the_bound_still_comes(self, rng):
        n = PENDING_BYTES // 14_112 + 2
        one = make(rng, 0, 1, days(*range(100)))
        dates = FIRST_DAY + np.arange(n, dtype=np.int64)
        large = change(
            one, image=np.zeros((n, 4, 42, 42), np.uint16), dates=dates,
            labels=np.zeros(n, np.int8), weights=np.zeros(n, np.float32),
        )  # fmt: skip
        assert [len(series.day) for series in group([one, large, change(one, number=2)])] == [100, n, 100]


class TestRefused:
    @pytest.mark.parametrize(
        ("images", "labels", "dates", "weights"),
        [
            (2, 2, 1, 2), (2, 2, 3, 2), (2, 2, 0, 2), (0, 0, 1, 0), (2, 2, 2, 1), (2, 2, 2, 3), (0, 0, 0, 2),
            (2, 1, 2, 2), (2, 3, 2, 2), (2, 0, 2, 2), (2, 4, 2, 2), (2, 71, 2, 2), (2, 73, 2, 2), (0, 1, 0, 0),
            (0, 36, 0, 0), (1, 35, 1, 1), (1, 37, 1, 1),
        ],
    )  # fmt: skip
    def test_counts_that_disagree_are_told_with_example_byte_and_all_counts(self, rng, images, labels, dates, weights):
        first, wrong = make(rng, 0, 1, days(0)), make(rng, 1, 2, days(0))
        wrong = change(
            wrong, image=np.zeros((images, 4, 42, 42), np.uint16), labels=np.zeros(labels, np.int8),
            dates=np.full(dates, FIRST_DAY), weights=np.zeros(weights, np.float32),
        )  # fmt: skip
        for examples in ([first, wrong], [wrong]):
            error = refusal(examples)
            assert error.where == "file: example 1, byte 1,000"
            assert error.found == f"{images} images, {labels} labels, {dates} dates, {weights} weights"

    @pytest.mark.parametrize("pixels", [(1, 36), (36, 1)])
    @pytest.mark.parametrize("localid", [1, 2])
    def test_labels_per_timestamp_must_not_change_within_a_source(self, rng, pixels, localid):
        first = make(rng, 0, 1, days(0, 5), label_pixels=pixels[0])
        second = make(rng, 1, localid, days(0, 5), label_pixels=pixels[1])
        error = refusal([first, second])
        assert "labels per timestamp change" in error.what
        assert error.expected.startswith(f"{pixels[0]} a timestamp")
        assert error.where == "file: example 1, byte 1,000"

    def test_a_record_with_none_of_the_features_is_refused(self, rng):
        error = refusal([change(make(rng, 3, -1, []), known=0)])
        assert "none of the features" in error.what
        assert error.where == "file: example 3, byte 3,000"

    def test_more_timestamps_than_a_position_can_number_are_refused(self, rng):
        n = 2**15
        wrong = change(
            make(rng, 0, 1, []), image=np.broadcast_to(np.uint16(0), (n, 4, 42, 42)), labels=np.zeros(n, np.int8),
            dates=np.full(n, FIRST_DAY), weights=np.zeros(n, np.float32),
        )  # fmt: skip
        assert "more timestamps in one example" in refusal([wrong]).what

    def test_series_before_the_wrong_example_are_given(self, rng):
        series = Grouper("file").series([make(rng, 0, 1, days(0)), make(rng, 1, 2, days(0)), make(rng, 2, 3, [0])])
        assert next(series).localid == 1
        with pytest.raises(ExampleError):
            next(series)


class TestDates:
    @pytest.mark.parametrize(
        ("encoding", "dates"),
        [
            ("ordinal", [FIRST_DAY, FIRST_DAY + 5]),
            ("yyyymmdd", [20180102, 20180107]),
            ("days_since_1970", [FIRST_DAY - EPOCH, FIRST_DAY - EPOCH + 5]),
            ("unix_seconds", [(FIRST_DAY - EPOCH) * 86_400 + 1, (FIRST_DAY - EPOCH + 5) * 86_400 + 2]),
        ],
    )
    def test_the_way_of_writing_is_found_and_the_days_are_the_same(self, rng, encoding, dates):
        grouper = Grouper("file")
        first, second = (make(rng, number, number, dates) for number in range(2))
        got = group([make(rng, 9, 9, []), first, second], grouper)
        assert [series.day.tolist() for series in got[-2:]] == [[FIRST_DAY - EPOCH, FIRST_DAY - EPOCH + 5]] * 2
        assert grouper.date_encoding == encoding
        assert grouper.dates_with_time == (4 if encoding == "unix_seconds" else 0)
        assert grouper.examples == 3

    @pytest.mark.parametrize("second", [[20180107], [FIRST_DAY - EPOCH], [1_514_851_200], [FIRST_DAY, 20180107]])
    def test_a_second_way_of_writing_in_the_same_source_is_refused(self, rng, second):
        error = refusal([make(rng, 0, 1, days(0)), make(rng, 1, 1, second)])
        assert error.where == "file: example 1, byte 1,000"
        assert error.found == f"{second[-1]} at position {len(second) - 1}"

    @pytest.mark.parametrize("value", [0, -5, 20190231, 99_999_999, 3_000])
    def test_a_first_date_that_is_none_is_refused(self, rng, value):
        assert refusal([make(rng, 0, 1, [value])]).found == f"{value} at position 0"
