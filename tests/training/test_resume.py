"""After a resume, an epoch goes on where it stopped: the same batches, and nothing decoded twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from twins import slow

from s2ct_convert.reading.images import Images

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

from s2ct_convert.torch import ShuffledDataset  # noqa: E402

from .test_shuffled import SMALL, names  # noqa: E402

EPOCHS = 3
STOP = (1, 4)  # epoch, batches


def make(path: Path, **options) -> ShuffledDataset:
    return ShuffledDataset(path, 4, **{"seed": 3, **SMALL, **options})


@pytest.fixture(scope="module")
def whole(many: Path) -> list[list]:
    """The batches of each epoch, uninterrupted."""
    dataset, out = make(many), []
    for epoch in range(EPOCHS):
        dataset.set_epoch(epoch)
        out.append(names(dataset))
    return out


def stopped(many: Path) -> dict:
    """The state after some batches of an epoch, as a training loop saves it."""
    dataset = make(many)
    dataset.set_epoch(STOP[0])
    batches = iter(dataset)
    for _ in range(STOP[1]):
        next(batches)
    state = dataset.state_dict()
    assert state == dataset.state_dict(batches=STOP[1])
    return json.loads(json.dumps(state))  # plain values


def resumed(dataset: ShuffledDataset, batches, state: dict) -> list[list]:
    """The batches of all epochs from a state on, read by a loop that sets every epoch."""
    dataset.load_state_dict(state)
    out = []
    for epoch in range(dataset.epoch, EPOCHS):
        dataset.set_epoch(epoch)
        out.append(names(batches))
    return out


@pytest.mark.parametrize(
    ("workers", "persistent"),
    [(0, False), (2, False), pytest.param(2, True, marks=slow), pytest.param(3, False, marks=slow)],
)
def test_a_resumed_epoch_ends_like_an_uninterrupted_one(many, whole, workers, persistent):
    dataset = make(many)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=persistent)
    assert resumed(dataset, loader, stopped(many)) == [whole[1][4:], whole[2]]


def test_each_rank_resumes_from_the_state_of_one(many):
    state = make(many, rank=0, ranks=2).state_dict(batches=2)
    for rank in range(2):
        dataset = make(many, rank=rank, ranks=2)
        expected = names(dataset)[2:]
        dataset.load_state_dict(state)
        assert names(dataset) == expected


def test_a_start_counts_for_one_iteration(many, whole):
    for workers in (0, 2):
        dataset = make(many)
        loader = DataLoader(dataset, batch_size=None, num_workers=workers)
        dataset.load_state_dict(stopped(many))
        assert names(loader) == whole[1][4:]
        assert names(loader) == whole[1]


def test_skipped_samples_are_not_decoded(many, monkeypatch):
    decoded = []
    plan = Images.plan

    def counting(self, ranges, *args, **options):
        decoded.append(sum(one.stop - one.start for one in ranges))
        return plan(self, ranges, *args, **options)

    monkeypatch.setattr(Images, "plan", counting)
    dataset = make(many)
    dataset.load_state_dict(dataset.state_dict(batches=7))
    observations = sum(int(batch["offsets"][-1]) for batch in dataset)
    assert sum(decoded) == observations > 0


def test_a_state_after_the_last_batch_leaves_nothing_of_the_epoch(many, whole):
    dataset = make(many)
    assert names(dataset) == whole[0]
    state = dataset.state_dict()
    again = make(many)
    again.load_state_dict(state)
    assert names(again) == []
    again.set_epoch(1)
    assert names(again) == whole[1]


def test_a_state_without_a_number_is_refused_where_workers_read_ahead(many):
    dataset = make(many)
    assert dataset.state_dict()["batches"] == 0
    batches = iter(DataLoader(dataset, batch_size=None, num_workers=1))
    next(batches)
    with pytest.raises(ValueError, match=r"pass them as batches=, or use the StatefulDataLoader"):
        dataset.state_dict()
    assert dataset.state_dict(batches=1)["batches"] == 1
    dataset.set_epoch(1)
    assert dataset.state_dict()["batches"] == 0


@pytest.mark.parametrize(
    ("options", "name"), [({"seed": 4}, "seed"), ({"pad": True}, "pad"), ({"localid": range(20)}, "samples")]
)
def test_a_state_of_another_order_is_refused(many, options, name):
    with pytest.raises(ValueError, match=f"the state is of another order: {name} was"):
        make(many, **options).load_state_dict(stopped(many))


def test_a_state_of_as_many_other_samples_is_refused(many):
    one, two = (make(many, tile="50SMG", localid=range(i, i + 8)) for i in (8, 16))
    assert len(one) == len(two) > 0
    with pytest.raises(ValueError, match="selection was"):
        two.load_state_dict(one.state_dict(batches=1))


def test_a_number_outside_the_epoch_is_refused(many):
    with pytest.raises(ValueError, match="batches=11, but an epoch has 10"):
        make(many).state_dict(batches=11)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("done", [1, 4, 9])
def test_a_stateful_loader_goes_on_where_it_stopped(many, whole, workers, done):
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

    def loader(dataset: ShuffledDataset):
        return stateful.StatefulDataLoader(dataset, batch_size=None, num_workers=workers)

    dataset = make(many)
    dataset.set_epoch(1)
    first = loader(dataset)
    batches = iter(first)
    begun = names(next(batches) for _ in range(done))
    state = first.state_dict()
    del batches
    dataset = make(many)
    second = loader(dataset)
    second.load_state_dict(state)
    assert begun + names(second) == whole[1]
    dataset.set_epoch(2)
    assert names(second) == whole[2]
