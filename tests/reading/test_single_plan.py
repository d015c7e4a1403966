"""The plan of single observations: shares, rounds, and batches of all ranks and workers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from s2ct_convert.reading.epoch_plan import Batching
from s2ct_convert.reading.single_plan import LANES, Stream, cut_stream, draw_order, shares, windows_of_lane

BASES = np.array([0, 3000])  # two units
CLASS = np.random.default_rng(3).choice(3, 5000, p=[0.8, 0.18, 0.02])


def streams(share: int, *, span: int = 16, ranks: int = 1) -> list[Stream]:
    """A stream for each of three classes, which are drawn equally often."""
    return [cut_stream(k, np.flatnonzero(k == CLASS), share, BASES, span, ranks) for k in range(3)]


def batches(order, batching: Batching, rank: int, window: int = 100) -> list[list[int]]:
    """The batches of a rank: their places in the order, by number."""
    found: dict[int, list[int]] = {}
    for lane in range(LANES):
        for one in windows_of_lane(batching, rank, lane, window, np.random.default_rng(lane)):
            assert sum(map(len, one.places)) <= max(window, batching.batch_size)
            found |= dict(zip(one.numbers, (places.tolist() for places in one.places), strict=True))
    assert sorted(found) == list(range(batching.count))
    return [found[number] for number in range(batching.count)]


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (7, [1, 2], [2, 5]),
        (5, [0.1, 0.1, 0.8], [1, 0, 4]),
        (0, [1, 1], [0, 0]),
        (1_000_003, [1 / 3, 1 / 3, 1 / 3], [333_335, 333_334, 333_334]),
    ],
)
@pytest.mark.every_variant
def test_shares_are_whole_numbers_that_add_up(total, weights, expected):
    assert shares(total, weights) == expected


@pytest.mark.parametrize("share", [1, 60, 2000])
@pytest.mark.every_variant
def test_no_two_rows_of_a_class_are_drawn_more_than_once_apart(share):
    drawn = Counter(draw_order(streams(share), 5, 0).tolist())
    for k in range(3):
        own = [drawn[row] for row in np.flatnonzero(k == CLASS).tolist()]
        assert sum(own) == share
        assert max(own) - min(own) <= 1


def test_a_row_comes_again_only_after_all_others_of_its_class():
    rare = [row for row in draw_order(streams(500), 5, 0).tolist() if CLASS[row] == 2]
    n = int((CLASS == 2).sum())
    for begin in range(0, len(rare) - n, n):
        assert len(set(rare[begin : begin + n])) == n


def test_rounds_of_a_rare_class_are_in_different_orders():
    (stream,) = [cut_stream(2, np.arange(64), 128, BASES, 1, 1)]
    first, second = np.split(draw_order([stream], 5, 0), 2)
    assert sorted(first) == sorted(second)
    assert first.tolist() != second.tolist()


def test_every_part_of_an_epoch_has_the_shares_of_the_whole():
    some = [stream._replace(share=share) for stream, share in zip(streams(0), (1800, 600, 300), strict=True)]
    for part in np.split(draw_order(some, 5, 0), 27):
        assert np.abs(np.bincount(CLASS[part], minlength=3) - [1800 / 27, 600 / 27, 300 / 27]).max() < 2


def test_neighbours_are_drawn_together_and_never_over_two_units():
    (stream,) = [cut_stream(0, np.arange(5000), 5000, BASES, 16, 1)]
    blocks = np.split(stream.rows, stream.begins[1:])
    assert {len(block) for block in blocks} == {16, 3000 % 16, 2000 % 16} - {0}
    assert 3000 in stream.begins
    assert cut_stream(0, np.arange(8000), 1, np.array([0, 10]), 16, 1).begins[:3].tolist() == [0, 10, 26]
    order = draw_order([stream], 5, 0).tolist()
    assert sorted(order) == list(range(5000))
    assert sum(b == a + 1 for a, b in pairwise(order)) >= 5000 - len(blocks)
    assert draw_order([stream], 5, 1).tolist() != order == draw_order([stream], 5, 0).tolist()


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_share_the_order_in_equal_batches(pad, drop_last):
    order = np.arange(1003)
    for ranks in (1, 2, 3, 7):
        for size in (1, 16, 150):
            if drop_last and size * ranks > 1003:
                continue
            batching = Batching(len(order), size, ranks, drop_last, pad)
            own = [batches(order, batching, rank) for rank in range(ranks)]
            assert len({tuple(map(len, one)) for one in own}) == 1
            every = [place for one in own for batch in one for place in batch]
            assert len(set(every)) == len(every)
            if not drop_last:
                assert sorted(every) == list(range(ranks * batching.per_rank))


def test_a_small_group_is_cut_finer_so_that_lanes_and_ranks_are_mixed():
    assert len(cut_stream(0, np.arange(640), 640, BASES, 64, 1).begins) == 64
    assert len(cut_stream(0, np.arange(640), 640, BASES, 64, 4).begins) == 320
