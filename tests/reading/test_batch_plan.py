"""Batches by length: budgets hold, similar lengths come together, every rank has as many batches."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from s2ct_convert.reading.batch_plan import EpochBatches, Limits, plan_batches
from s2ct_convert.reading.epoch_plan import NO_BATCH, Window, windows

SIZES = np.random.default_rng(2).integers(1, 41, 157)


def plan(limits: Limits, *, sizes=SIZES, drop_last: bool = False, seed: int = 0) -> EpochBatches:
    """The batches of blocks of 10 samples, 5 blocks in a window."""
    blocks = np.split(np.arange(len(sizes)), range(10, len(sizes), 10))
    mixed = windows(blocks, 5, np.random.default_rng(seed))
    return plan_batches(sizes, mixed, limits, np.random.default_rng(seed), drop_last=drop_last)


def batches_of(some: list[Window], numbers) -> list[list[int]]:
    """The samples of each batch, by its number."""
    samples = np.concatenate([np.concatenate(window.blocks)[window.order] for window in some])
    out: dict[int, list[int]] = {}
    for number, sample in zip(numbers.tolist(), samples.tolist(), strict=True):
        out.setdefault(number, []).append(sample)
    return [out[number] for number in sorted(out) if number != NO_BATCH]


def cost(batch: list[int], *, padded: bool) -> int:
    own = SIZES[batch]
    return int(own.max() * len(own) if padded else own.sum())


LIMITS = [
    Limits(None, 100),
    Limits(4, 100),
    Limits(None, 120, count_padding=True),
    Limits(None, 120, count_padding=True, bucket_by_length=True),
    Limits(6, bucket_by_length=True),
]


@pytest.mark.parametrize("limits", LIMITS)
def test_every_sample_is_in_one_batch_and_no_batch_is_over_its_limits(limits):
    whole = plan(limits)
    found = batches_of(whole.windows, whole.numbers)
    assert len(found) == whole.total
    assert sorted(sample for batch in found for sample in batch) == list(range(len(SIZES)))
    assert max(map(len, found)) <= (limits.batch_size or 999)
    assert max(cost(batch, padded=limits.count_padding) for batch in found) <= (limits.max_observations or 9999)


@pytest.mark.parametrize("limits", LIMITS[:3])
def test_a_batch_takes_samples_until_the_next_one_is_too_much(limits):
    whole = plan(limits)
    found = batches_of(whole.windows, whole.numbers)
    for batch, following in pairwise(found):
        more = [*batch, following[0]]
        full = len(batch) == limits.batch_size
        assert full or cost(more, padded=limits.count_padding) > (limits.max_observations or 0)


def test_batches_of_a_bucket_have_less_padding_and_only_one_is_small():
    padding = []
    for bucket in (False, True):
        whole = plan(Limits(6, 10**6, bucket_by_length=bucket))
        found = batches_of(whole.windows, whole.numbers)
        assert Counter(map(len, found)) == {6: 26, 1: 1}
        padding.append(sum(cost(batch, padded=True) for batch in found) / SIZES.sum())
    assert padding[1] < 1.15 < 1.5 < padding[0]


def test_bucketed_batches_are_not_in_the_order_of_length():
    whole = plan(Limits(2, bucket_by_length=True))
    lengths = [int(SIZES[batch].max()) for batch in batches_of(whole.windows, whole.numbers)][:24]
    assert lengths not in (sorted(lengths), sorted(lengths, reverse=True))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("limits", LIMITS)
def test_ranks_have_as_many_batches_and_few_are_left_out_or_repeated(limits, pad, drop_last):
    whole = plan(limits, drop_last=drop_last)
    every = batches_of(whole.windows, whole.numbers)
    assert len(every) == whole.total == plan(limits).total - drop_last
    for ranks in (1, 2, 3, 5):
        first, again = [], []
        for rank in range(ranks):
            own = whole.of_rank(rank, ranks, pad=pad)
            mine = batches_of(own.windows, own.numbers)
            assert len(mine) == whole.per_rank(ranks, pad=pad)
            repeated = [bool(own.repeated[np.flatnonzero(own.numbers == k)].all()) for k in range(len(mine))]
            first += [one for one, twice in zip(mine, repeated, strict=True) if not twice]
            again += [one for one, twice in zip(mine, repeated, strict=True) if twice]
        left = whole.total % ranks
        assert first == every[: len(every) if pad or not left else -left]
        assert again == (every[: -whole.total % ranks] if pad else [])


def test_more_ranks_than_batches_are_refused_unless_batches_are_repeated():
    whole = plan(Limits(100, bucket_by_length=True))
    assert whole.total == 2
    with pytest.raises(ValueError, match="2 batches are too few for 5 ranks"):
        whole.of_rank(0, 5, pad=False)
    own = [whole.of_rank(rank, 5, pad=True) for rank in range(5)]
    assert [len(batches_of(one.windows, one.numbers)) for one in own] == [1] * 5
    assert [bool(one.repeated[one.numbers == 0].all()) for one in own] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "give batch_size, max_observations or both"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"max_observations": 0}, "max_observations is 0; it must"),
    ],
)
def test_limits_without_room_for_a_sample_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        Limits(**limits)


def test_a_table_without_samples_has_no_batch():
    whole = plan(Limits(4, 9), sizes=np.zeros(0, np.int64))
    assert (whole.total, whole.per_rank(3, pad=False), whole.of_rank(2, 3, pad=True).windows) == (0, 0, [])


def test_dropping_the_only_batch_is_refused():
    with pytest.raises(ValueError, match="drop_last leaves no batch: all 157 samples are in one"):
        plan(Limits(1000, bucket_by_length=True), drop_last=True)
