"""Batches by length in a DataLoader: workers, ranks, epochs, resume."""

from __future__ import annotations

import json
from functools import partial

import pytest
from twins import slow

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

from s2ct_convert.torch import ShuffledDataset, collate_padded  # noqa: E402

from .test_shuffled import SMALL, names  # noqa: E402

BOTH = {"max_observations": 20, "bucket_by_length": True}


@pytest.mark.parametrize(
    "options", [BOTH, *(pytest.param(one, marks=slow) for one in ({"max_observations": 16}, {"batch_size": 5, **BOTH}))]
)
@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=slow)])
@pytest.mark.slow
def test_workers_change_neither_batches_nor_length_of_an_epoch(many, options, workers):
    dataset = ShuffledDataset(many, **options, **SMALL)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    lengths = set()
    for epoch in range(2):
        dataset.set_epoch(epoch)
        alone = list(dataset)
        assert names(loader) == names(alone)
        assert len(loader) == len(dataset) == dataset.batches_in(epoch) == len(alone)
        assert max(int(batch["offsets"][-1]) for batch in alone) <= options["max_observations"]
        assert len({name for batch in names(alone) for name in batch}) == 37
        lengths.add(tuple(int(batch["offsets"][-1]) for batch in alone))
    assert len(lengths) == 2


def test_padding_is_counted_where_batches_are_padded(many):
    def shapes(**options) -> list[int]:
        dataset = ShuffledDataset(many, max_observations=16, **options, **SMALL)
        return [batch["label"].numel() if "mask" in batch else int(batch["offsets"][-1]) for batch in dataset]

    padded = partial(collate_padded, series=["image", "label", "time", "weight"])
    assert max(shapes(collate=padded)) <= 16
    assert max(shapes(collate=padded, count_padding=False)) > 16
    assert len(shapes(count_padding=True)) > len(shapes())


def test_ranks_have_equal_numbers_of_batches_by_length(many):
    for pad in (False, True):
        parts = [ShuffledDataset(many, rank=r, ranks=3, pad=pad, **BOTH, **SMALL) for r in range(3)]
        for epoch in range(3):
            for part in parts:
                part.set_epoch(epoch)
            read = [list(part) for part in parts]
            assert {len(own) for own in read} == {len(part) for part in parts}
            assert len({len(part) for part in parts}) == 1
            every = [name for own in read for batch in names(own) for name in batch]
            again = sum(int(batch["repeated"].sum()) for own in read for batch in own) if pad else 0
            assert len(every) - again == len(set(every))
            assert not pad or len(set(every)) == 37


def test_an_epoch_by_length_resumes_at_any_batch(many):
    def make(**options) -> ShuffledDataset:
        return ShuffledDataset(many, **{**BOTH, **SMALL, **options})

    dataset = make()
    dataset.set_epoch(1)
    whole = names(dataset)
    state = json.loads(json.dumps(dataset.state_dict(batches=3)))
    again = make()
    again.load_state_dict(state)
    assert names(DataLoader(again, batch_size=None, num_workers=2)) == whole[3:]
    for options, name in (({"max_observations": 21}, "max_observations"), ({"bucket_by_length": False}, "bucket_by")):
        with pytest.raises(ValueError, match=f"another order: {name}"):
            make(**options).load_state_dict(state)
    with pytest.raises(ValueError, match="another order: bucket_by_length was True, but is None here"):
        ShuffledDataset(many, 4, **SMALL).load_state_dict({**state, "order": {**make(batch_size=4)._order()}})


def test_a_series_longer_than_a_batch_is_refused_unless_it_is_cut(many):
    with pytest.raises(ValueError, match=r"a series has 8 observations, but max_observations=5: give max_length="):
        ShuffledDataset(many, max_observations=5)
    batches = list(ShuffledDataset(many, max_observations=5, max_length=5, **SMALL))
    assert max(int(batch["offsets"][-1]) for batch in batches) == 5
