"""The shuffled dataset makes its batches itself: epochs, ranks, workers, wrong use."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from twins import slow

import s2ct_convert
from s2ct_convert.reading import epoch as reading
from s2ct_convert.reading.images import new_images

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

from s2ct_convert.torch import ObservationDataset, ShuffledDataset, collate_padded, collate_ragged  # noqa: E402

SMALL = {"block_obs": 32, "mixed_blocks": 3}
Name = tuple[str, int]


def names(batches) -> list[list[Name]]:
    return [list(zip(batch["unit"], batch["localid"].tolist(), strict=True)) for batch in batches]


def flat(batches) -> list[Name]:
    return [name for batch in names(batches) for name in batch]


def test_epochs_differ_and_can_be_repeated(many):
    dataset = ShuffledDataset(many, 4, seed=5, **SMALL)

    def order(epoch: int) -> list[Name]:
        dataset.set_epoch(epoch)
        return flat(dataset)

    orders = [order(epoch) for epoch in range(3)]
    assert len({tuple(one) for one in orders}) == 3
    assert order(0) == orders[0]
    assert all(sorted(one) == sorted(orders[0]) for one in orders)
    assert len(set(orders[0])) == 37


def test_long_series_are_cut_to_other_parts_in_each_epoch(made):
    where = {"tile": "50SMG", "label": ["clear", "haze", "snow"]}
    with s2ct_convert.open_store(made["zarr"]) as store:
        whole = {(one.unit, one.localid): one for one in store.select(**where)}
    dataset = ShuffledDataset(made["zarr"], 1, max_length=7, **where, **SMALL)
    begins: dict[Name, set[int]] = {name: set() for name in whole}
    for epoch in range(4):
        dataset.set_epoch(epoch)
        seen = []
        for batch in dataset:
            name = (batch["unit"][0], int(batch["localid"]))
            one, n = whole[name], len(batch["time"])
            assert n == min(7, len(one.time))
            first = batch["image"][0].numpy()  # no two of one date are equal
            same = (one.time == batch["time"][0].item()) & (one.image == first).all(axis=(1, 2, 3))
            (begin,) = np.flatnonzero(same).tolist()
            for key in ("image", "label", "time", "weight"):
                np.testing.assert_array_equal(batch[key].numpy(), getattr(one, key)[begin : begin + n])
            begins[name].add(begin)
            seen.append(name)
        assert sorted(seen) == sorted(whole)
    assert max(map(len, begins.values())) > 1


@pytest.mark.parametrize("workers", [pytest.param(1, marks=slow), 2, pytest.param(3, marks=slow)])
@pytest.mark.parametrize("drop_last", [pytest.param(True, marks=slow), False])
def test_workers_change_neither_batches_nor_length(many, workers, drop_last):
    dataset = ShuffledDataset(many, 4, drop_last=drop_last, **SMALL)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    alone = names(dataset)
    assert names(loader) == alone
    assert len(loader) == len(dataset) == len(alone) == (9 if drop_last else 10)


def test_persistent_workers_read_the_next_epoch(many):
    dataset = ShuffledDataset(many, 8, **SMALL)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, persistent_workers=True)
    orders, alone = [], []
    for out, batches in ((orders, loader), (alone, dataset)):
        for epoch in range(3):
            dataset.set_epoch(epoch)
            out.append(flat(batches))
    assert orders == alone
    assert len({tuple(one) for one in orders}) == 3


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_an_epoch_without_overlap(many, ranks):
    parts = [ShuffledDataset(many, 4, rank=rank, ranks=ranks, **SMALL) for rank in range(ranks)]
    found = Counter(name for part in parts for name in flat(part))
    assert set(found.values()) == {1}
    assert len(found) == 36
    assert {tuple(map(len, names(part))) for part in parts} == {(4, 4, 4, 4, 2) if ranks == 2 else (4, 4, 4)}


@pytest.mark.parametrize("epoch", range(2))
def test_padded_ranks_read_every_sample_and_mark_repeated_ones(many, epoch):
    parts = [ShuffledDataset(many, 4, rank=rank, ranks=3, pad=True, block_obs=16, mixed_blocks=99) for rank in range(3)]
    for part in parts:
        part.set_epoch(epoch)
    batches = [batch for part in parts for batch in part]
    repeated = torch.cat([batch["repeated"] for batch in batches]).tolist()
    every = flat(batches)
    assert repeated.count(True) == 2
    assert len(batches) == 3 * 4
    assert len({name for name, again in zip(every, repeated, strict=True) if not again}) == 37
    assert all(every.count(name) == 2 for name, again in zip(every, repeated, strict=True) if again)


def test_items_have_no_mark_without_padding(many):
    assert "repeated" not in next(iter(ShuffledDataset(many, 4, **SMALL)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 2, "ranks": 2}, "rank 2 of 2"),
        ({"max_length": 0}, "max_length=0 must be at least 1"),
        ({"rank": 1}, "give both rank= and ranks="),
        ({"rank": 0, "ranks": 40}, "37 samples are too few for 40 ranks"),
        ({"rank": 0, "ranks": 12, "drop_last": True}, "drop_last leaves no batch"),
    ],
)
def test_arguments_that_cannot_work_raise_value_error(many, options, message):
    with pytest.raises(ValueError, match=message):
        ShuffledDataset(many, 4, **options)


@pytest.mark.parametrize("collate", [None, collate_ragged, collate_padded])
def test_a_loader_that_makes_batches_of_batches_is_refused(many, collate):
    for options in ({}, {"batch_size": 3}):
        with pytest.raises(ValueError, match="give batch_size=None to the DataLoader"):
            next(iter(DataLoader(ShuffledDataset(many, 4), collate_fn=collate, **options)))


def test_the_rank_of_torchrun_is_used(many, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert flat(ShuffledDataset(many, 4)) == flat(ShuffledDataset(many, 4, rank=1, ranks=2))


def test_a_dataset_made_before_the_process_group_is_refused(many, monkeypatch):
    early = ShuffledDataset(many, 4)
    given = ShuffledDataset(many, 4, rank=0, ranks=1)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    for use in (lambda: len(early), lambda: iter(early)):
        with pytest.raises(ValueError, match=r"made for rank 0 of 1, but this process is rank 1 of 2; make it after"):
            use()
    assert len(given) == 10
    assert (ShuffledDataset(many, 4).rank, ShuffledDataset(many, 4).ranks) == (1, 2)


def test_images_held_through_an_epoch_stay_right(many):
    """Items are views of memory that is used again; batches are copies of them."""
    held = [batch[0] for batch in ShuffledDataset(many, 1, collate=list, **SMALL)]
    with s2ct_convert.open_store(many) as store:
        for item in held:
            np.testing.assert_array_equal(item["image"], store[item["unit"]].sample(item["localid"]).image)


@pytest.mark.parametrize("kind", [ShuffledDataset, ObservationDataset])
@pytest.mark.every_variant
def test_memory_of_an_epoch_is_used_again_in_the_next(many, monkeypatch, kind):
    made, news = [], []
    monkeypatch.setattr(reading, "new_images", lambda *size: made.append(size) or new_images(*size))
    dataset = kind(many, 4, **SMALL)
    for _ in range(2):
        made.clear()
        assert len(list(dataset)) == len(dataset)
        news.append(len(made))
    assert news[0] > 0
    assert news[1] == 0
