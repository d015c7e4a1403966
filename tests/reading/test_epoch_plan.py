"""The plan of an epoch: every rank has the same batches in number and size, whatever the number of workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from s2ct_convert.reading.epoch_plan import Batching, blocks_of_rank, cut_blocks, read_by, shuffle_blocks, windows
from s2ct_convert.reading.index import sample_dtype
from s2ct_convert.reading.series import Series, all_series
from s2ct_convert.reading.table import Samples

RANKS, WORKERS, SIZES = range(1, 5), range(4), range(1, 9)


def series_of(sizes: list[int], *, units: int = 2) -> Series:
    """A table of samples with these numbers of observations, in units of about the same number of samples."""
    tiles = tuple(f"TILE{k}" for k in range(units))
    rows = np.zeros(len(sizes), sample_dtype(("train",), tiles, 6))
    rows["split"], rows["row_size"], rows["localid"] = "train", sizes, np.arange(len(sizes))
    rows["tile"] = [tiles[i * units // len(sizes)] for i in range(len(sizes))]
    return all_series(Samples(rows, ("train",), tiles))


@pytest.fixture(scope="module")
def series() -> Series:
    """57 samples of 1 to 40 observations."""
    return series_of(np.random.default_rng(2).integers(1, 41, 57).tolist())


def order_of(series: Series, rank: int, ranks: int, *, pad: bool, epoch: int = 0) -> list[int]:
    """The samples of a rank in the order in which they are read."""
    blocks = shuffle_blocks(cut_blocks(series, 64, ranks), 5, epoch)
    out: list[int] = []
    for window in windows(blocks_of_rank(blocks, rank, ranks, pad=pad), 3, np.random.default_rng((5, epoch, rank, 0))):
        out += np.concatenate(window.blocks)[window.order].tolist()
    return out


def made_by(batching: Batching, order: list[int], first: int, worker: int, workers: int) -> list[list[int]]:
    """The batches that one worker of a DataLoader makes, as ``ShuffledDataset`` makes them."""
    numbers = batching.of_rank(0, []).numbers
    mine = read_by(numbers, first + worker, max(1, workers))
    found: dict[int, list[int]] = {}
    for number, sample in zip(numbers[mine].tolist(), np.array(order)[mine].tolist(), strict=True):
        found.setdefault(number, []).append(sample)
    return list(found.values())


def in_turn(parts: list[list[list[int]]]) -> Iterator[list[int]]:
    """What a DataLoader returns: one batch of each worker in turn, until all have ended."""
    for k in range(max(map(len, parts))):
        yield from (part[k] for part in parts if k < len(part))


def loaded(batching: Batching, order: list[int], workers: int, first: int = 0) -> list[list[int]]:
    return list(in_turn([made_by(batching, order, first, worker, workers) for worker in range(max(1, workers))]))


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_all_ranks_and_workers_have_equal_batches_over_the_grid(series, drop_last, pad):
    n = len(series)
    for ranks in RANKS:
        orders = [order_of(series, rank, ranks, pad=pad) for rank in range(ranks)]
        for size in SIZES:
            batching = Batching(n, size, ranks, drop_last, pad)
            shapes = set()
            for order in orders:
                expected = [order[k * size : (k + 1) * size] for k in range(batching.count)]
                for workers in WORKERS:
                    assert loaded(batching, order, workers) == expected
                shapes.add(tuple(map(len, expected)))
            (lengths,) = shapes
            assert len(lengths) == batching.count
            assert set(lengths[:-1]) <= {size}
            assert lengths[-1] == size or not drop_last


@pytest.mark.parametrize("ranks", RANKS)
def test_without_padding_no_sample_comes_twice_and_few_are_left_out(series, ranks):
    orders = [order_of(series, rank, ranks, pad=False) for rank in range(ranks)]
    seen = Counter(sample for order in orders for sample in order)
    assert set(seen.values()) == {1}
    assert len(seen) == len(series) - len(series) % ranks


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("n", [1, 2, 5, 57])
def test_with_padding_every_sample_comes_and_the_mask_names_the_rest(ranks, n):
    some = series_of([20] * n, units=1)
    batching = Batching(n, 4, ranks, pad=True)
    first, second = [], []
    for rank in range(ranks):
        blocks = blocks_of_rank(shuffle_blocks(cut_blocks(some, 64, ranks), 5, 0), rank, ranks, pad=True)
        order = np.concatenate(blocks).tolist()
        assert len(order) == batching.per_rank
        unique = len(order) - batching.repeated(rank)
        first += order[:unique]
        second += order[unique:]
    assert sorted(first) == list(range(n))
    assert len(second) == -n % ranks


def test_samples_left_out_in_one_epoch_come_in_another(series):
    left = [
        set(range(57)) - {s for r in range(4) for s in order_of(series, r, 4, pad=False, epoch=e)} for e in range(4)
    ]
    assert all(len(one) == 1 for one in left)
    assert len(set.union(*left)) > 1


@pytest.mark.parametrize("workers", WORKERS)
def test_a_resumed_epoch_has_the_remaining_batches_in_order(series, workers):
    order = order_of(series, 0, 1, pad=False)
    batching = Batching(len(series), 4)
    whole = loaded(batching, order, 0)
    for done in range(batching.count + 1):
        assert loaded(batching, order, workers, first=done) == whole[done:]


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_of_a_table_smaller_than_a_block_are_shuffled_between_epochs(ranks):
    small = series_of([5] * 10, units=1)
    parts = {tuple(sorted(order_of(small, 0, ranks, pad=False, epoch=epoch))) for epoch in range(6)}
    assert len(parts) > 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 1, 3), "2 samples are too few for 3 ranks"),
        ((9, 4, 3, True), "drop_last leaves no batch: a rank has 3 samples, and batch_size is 4"),
        ((9, 0), "batch_size is 0"),
    ],
)
def test_a_batching_without_a_batch_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Batching(*arguments)


def test_a_table_without_samples_has_no_batches():
    assert Batching(0, 4, 2, True).count == 0
