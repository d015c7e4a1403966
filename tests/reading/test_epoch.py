"""An epoch has every sample once, in an order determined by the seed, in disjoint shares."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.reading.epoch import EpochShare, Memory, read_epoch
from s2ct_convert.reading.opening import open_store
from s2ct_convert.reading.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Two units with 60 and 15 samples of 1 to 40 observations."""
    rng = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("epoch")
    sources = [
        write_tfrecord(folder, [random_group(rng, i, int(rng.integers(1, 41))) for i in range(n)], unit=unit)
        for unit, n in (("train_50SMG", 60), ("val_50SMG", 15))
    ]
    path = Path(folder / "epoch.zarr")
    s2ct_convert.convert(sources, path)
    with open_store(path) as opened:
        yield opened


def names(items) -> list[tuple[str, int]]:
    return [(item.unit, item.localid) for item in items]


def all_of(store: Store) -> list[tuple[str, int]]:
    return [(f"{row['split']}/{row['tile']}", int(row["localid"])) for row in store.samples]


SMALL = {"block_obs": 64, "mixed_blocks": 3}


def test_an_epoch_has_every_sample_once_with_its_arrays(store):
    items = list(read_epoch(store, store.samples, **SMALL))
    assert sorted(names(items)) == sorted(all_of(store))
    for item in items[::7]:
        expected = store[item.unit].sample(item.localid)
        for one, other in zip(item.sample, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_without_shuffle_samples_have_the_order_of_the_table(store):
    assert names(read_epoch(store, store.samples, shuffle=False, **SMALL)) == all_of(store)


def test_the_seed_and_the_epoch_determine_the_order(store):
    def order(seed: int, epoch: int) -> list[tuple[str, int]]:
        return names(read_epoch(store, store.samples, seed=seed, epoch=epoch, **SMALL))

    assert order(1, 0) == order(1, 0)
    orders = [order(seed, epoch) for seed in (1, 2) for epoch in (0, 1)]
    assert len({tuple(one) for one in orders}) == 4


def test_samples_are_mixed_across_blocks(store):
    found = [i for unit, i in names(read_epoch(store, store.samples, **SMALL)) if unit == "train/50SMG"]
    steps = np.abs(np.diff(found))
    assert (steps == 1).mean() < 0.35  # without mixing of blocks it would be at least 0.6


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_shares_are_disjoint_and_equal_between_ranks(store, ranks, workers):
    parts = {
        (rank, worker): names(
            read_epoch(store, store.samples, seed=3, share=EpochShare(rank, ranks, worker, workers), **SMALL)
        )
        for rank in range(ranks)
        for worker in range(workers)
    }
    counts = Counter(name for part in parts.values() for name in part)
    assert set(counts.values()) == {1}
    sizes = {rank: sum(len(parts[rank, worker]) for worker in range(workers)) for rank in range(ranks)}
    assert len(set(sizes.values())) == 1
    assert sizes[0] == 75 // ranks
    if ranks == 1:
        assert len(counts) == 75
    assert len(counts) == 75 - 75 % ranks


def test_samples_omitted_in_one_epoch_appear_in_another(store):
    seen = set()
    for epoch in range(4):
        for rank in range(3):
            seen |= set(names(read_epoch(store, store.samples, epoch=epoch, share=EpochShare(rank, 3), **SMALL)))
    assert seen == set(all_of(store))


def test_fewer_samples_than_ranks_raise_value_error(store):
    few = store.samples.where(split="val", localid=[1, 2])
    with pytest.raises(ValueError, match="2 samples are too few for 3 ranks"):
        list(read_epoch(store, few, share=EpochShare(0, 3)))


@pytest.mark.parametrize("numbers", [{"rank": 3, "ranks": 3}, {"rank": -1}, {"worker": 1}, {"ranks": 0}], ids=str)
def test_a_share_outside_the_epoch_is_refused(numbers):
    with pytest.raises(ValueError, match="from 0 to ranks - 1"):
        EpochShare(**numbers)


def test_an_epoch_may_have_a_part_of_the_samples(store):
    some = store.samples.where(split="train", localid=range(0, 60, 7))
    assert sorted(names(read_epoch(store, some, **SMALL))) == [("train/50SMG", i) for i in range(0, 60, 7)]


def test_an_epoch_of_no_samples_is_empty(store):
    assert list(read_epoch(store, store.samples.where(localid=[]))) == []


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_held_samples_keep_their_images_whatever_the_reference_count(store, monkeypatch, count):
    """Interpreters count references differently: Python 3.14 counts fewer. Memory is not used again by a count."""
    monkeypatch.setattr("sys.getrefcount", lambda _: count)
    held = list(read_epoch(store, store.samples, **SMALL))
    for item in held:
        np.testing.assert_array_equal(item.sample.image, store[item.unit].sample(item.localid).image)


def showing(kind: str, image: np.ndarray) -> object:
    """Something that shows the memory of an image, without the image itself."""
    if kind == "tensor":
        return pytest.importorskip("torch").from_numpy(image)
    kinds = {
        "view": lambda: image[1:],
        "view of a view": lambda: image[1:].reshape(-1)[::-1],
        "memoryview": lambda: memoryview(image)[1:],
        "frombuffer": lambda: np.frombuffer(memoryview(image), np.uint8),
        "base class": lambda: image.view(np.ndarray).T,
    }
    return kinds[kind]()


@pytest.mark.every_variant
@pytest.mark.parametrize(
    "kind",
    [
        "view",
        "view of a view",
        "memoryview",
        "frombuffer",
        "base class",
        pytest.param("tensor", marks=pytest.mark.slow),
    ],
)
def test_memory_is_not_lent_again_while_anything_shows_it(kind):
    memory = Memory((4, 42, 42), 8, 2)
    image = memory.lend(3)
    place = image.ctypes.data
    image[:] = 7
    shown = showing(kind, image)
    del image
    other = memory.lend(8)
    other[:] = 0
    assert other.ctypes.data != place
    assert set(np.asarray(shown).ravel().tolist()) in ({7}, {7, 0})  # bytes of 7
    assert np.asarray(shown).any()
    del shown
    assert memory.lend(1).ctypes.data == place


def test_only_the_given_number_of_blocks_waits_for_its_next_use():
    memory = Memory((1, 1, 1), 1000, 2)
    held = [memory.lend(1000) for _ in range(5)]
    places = {one.ctypes.data for one in held}
    del held
    again = [memory.lend(1000) for _ in range(2)]
    assert {one.ctypes.data for one in again} < places
    assert len(memory._free) == 0


def test_a_sample_longer_than_a_block_gets_memory_of_its_own(store):
    items = list(read_epoch(store, store.samples, block_obs=8, mixed_blocks=2))
    assert sorted(names(items)) == sorted(all_of(store))
    for item in items:
        np.testing.assert_array_equal(item.sample.image, store[item.unit].sample(item.localid).image)
