"""Single images in a DataLoader: every image once, classes in equal shares, workers, ranks, resume, memory."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from makers import flip, random_group, write_tfrecord
from twins import slow

import s2ct_convert
from s2ct_convert.errors import StoreDamaged
from s2ct_convert.reading.images import Images
from s2ct_convert.reading.single_plan import LANES

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

from s2ct_convert.torch import ObservationDataset  # noqa: E402

SMALL = {"block_obs": 8, "mixed_blocks": 4 * LANES}
NAMES = ("image", "label", "time", "weight")
Name = tuple[str, int, int]


@pytest.fixture(scope="session")
def rare(tmp_path_factory) -> Path:
    """A store of 400 observations: 13 in 14 clear, the others snow, and 20 without a label."""
    rng, folder = np.random.default_rng(4), tmp_path_factory.mktemp("rare")
    groups = [random_group(rng, i, 20) for i in range(20)]
    for group in groups:
        group.labels = np.where(np.arange(20) % 14 == 13, 5, 0).astype(np.int8)
        group.labels[0] = -1
    s2ct_convert.convert([write_tfrecord(folder, groups)], folder / "rare.zarr")
    return folder / "rare.zarr"


def names(batches) -> list[list[Name]]:
    return [
        list(zip(batch["unit"], batch["localid"].tolist(), batch["row"].tolist(), strict=True)) for batch in batches
    ]


def flat(batches) -> list[Name]:
    return [name for batch in names(batches) for name in batch]


@pytest.mark.parametrize("kind", ["zarr", pytest.param("h5", marks=slow)])
def test_every_selected_image_comes_once_with_its_own_label(made, kind):
    where = {"tile": "50SMG", "label": ["clear", "haze", "snow"]}
    with s2ct_convert.open_store(made[kind]) as store:
        expected = {(one.unit, one.localid, one.row): one for one in store.select(**where).observations()}
    dataset = ObservationDataset(made[kind], 16, **where, **SMALL)
    seen = set()
    for batch in dataset:
        for k, name in enumerate(names([batch])[0]):
            for key in NAMES:
                np.testing.assert_array_equal(batch[key][k].numpy(), getattr(expected[name], key))
            seen.add(name)
    assert seen == expected.keys()
    assert len(flat(dataset)) == len(seen)
    assert [batch[key].dtype for key in NAMES] == [torch.uint16, torch.int8, torch.int32, torch.float32]


def test_an_unknown_condition_is_named(made):
    with pytest.raises(TypeError, match="no argument 'max_observations'; conditions are tile, split"):
        ObservationDataset(made["zarr"], 4, max_observations=5)


def test_images_are_shuffled_anew_in_each_epoch(rare):
    dataset = ObservationDataset(rare, 16, **SMALL)
    orders = []
    for epoch in range(2):
        dataset.set_epoch(epoch)
        orders.append(flat(dataset))
        assert sorted(orders[-1], key=lambda one: one[2]) == sorted(orders[0], key=lambda one: one[2])
        distances = np.abs(np.diff([row for _, _, row in orders[-1]]))
        assert np.median(distances) > 8
    assert orders[0] != orders[1]
    assert len(orders[0]) == 400
    dataset.set_epoch(0)
    assert flat(dataset) == orders[0]


def test_classes_come_equally_often_and_rare_images_are_repeated(rare):
    dataset = ObservationDataset(rare, 20, balance=True, **SMALL)
    assert dataset.drawn == {"clear": (360, 190, 190 / 360), "snow": (20, 190, 9.5)}
    batches = list(dataset)
    labels = torch.cat([batch["label"] for batch in batches])
    assert Counter(labels.tolist()) == {0: 190, 5: 190}
    assert all(3 <= int((batch["label"] == 5).sum()) <= 17 for batch in batches)
    times = Counter(name for name, label in zip(flat(batches), labels.tolist(), strict=True) if label == 5)
    assert set(times.values()) == {9, 10}
    assert len(times) == 20


def test_weights_give_other_shares_and_size_another_length(rare):
    dataset = ObservationDataset(rare, 20, balance={"snow": 1, 0: 3, "haze": 0}, size=1000, **SMALL)
    assert {name: one.per_epoch for name, one in dataset.drawn.items()} == {"clear": 750, "snow": 250}
    assert sum(len(batch["unit"]) for batch in dataset) == 1000
    assert len(flat(ObservationDataset(rare, 20, size=30, **SMALL))) == 30
    assert ObservationDataset(rare, 20, size=30).drawn == {"all": (400, 30, 30 / 400)}


@pytest.mark.parametrize("workers", [2, *(pytest.param(n, marks=slow) for n in (1, 3, 8))])
@pytest.mark.parametrize("balance", [True, pytest.param(False, marks=slow)])
def test_workers_change_neither_images_nor_length_of_an_epoch(rare, workers, balance):
    dataset = ObservationDataset(rare, 7, balance=balance, seed=2, **SMALL)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for epoch in range(2):
        dataset.set_epoch(epoch)
        alone = names(dataset)
        assert names(loader) == alone
        assert len(loader) == len(alone) == -(-(380 if balance else 400) // 7)


def test_ranks_get_equal_batches_with_the_same_shares(rare):
    for pad in (False, True):
        parts = [ObservationDataset(rare, 10, balance=True, rank=r, ranks=3, pad=pad, **SMALL) for r in range(3)]
        read = [list(part) for part in parts]
        assert len({tuple(len(batch["unit"]) for batch in own) for own in read}) == 1
        for own in read:
            assert abs(int((torch.cat([batch["label"] for batch in own]) == 5).sum()) - 63) <= 1
        assert sum(len(batch["unit"]) for own in read for batch in own) == (381 if pad else 378)
        again = [int(batch["repeated"].sum()) for own in read for batch in own if pad]
        assert sum(again) == pad


@pytest.mark.parametrize("workers", [0, 2, pytest.param(3, marks=slow)])
def test_an_epoch_of_images_resumes_at_any_batch(rare, workers):
    dataset = ObservationDataset(rare, 9, balance=True, **SMALL)
    dataset.set_epoch(1)
    whole = names(dataset)
    state = json.loads(json.dumps(dataset.state_dict(batches=17)))
    again = ObservationDataset(rare, 9, balance=True, **SMALL)
    again.load_state_dict(state)
    assert names(DataLoader(again, batch_size=None, num_workers=workers)) == whole[17:]
    with pytest.raises(ValueError, match="another order: drawn was"):
        ObservationDataset(rare, 9, **SMALL).load_state_dict(state)


def test_skipped_images_are_not_read_and_others_once(rare, monkeypatch):
    read = []
    plan = Images.plan

    def counting(self, ranges, *args, **options):
        read.append(sum(one.stop - one.start for one in ranges))
        return plan(self, ranges, *args, **options)

    monkeypatch.setattr(Images, "plan", counting)
    dataset = ObservationDataset(rare, 10, block_obs=32, mixed_blocks=4 * LANES)
    assert len(list(dataset)) == 40
    assert sum(read) == 400
    assert len(read) == LANES
    read.clear()
    dataset.load_state_dict(dataset.state_dict(batches=33))
    assert len(list(dataset)) == 7
    assert sum(read) == 70


def test_memory_holds_the_blocks_of_a_window_and_no_more(rare, monkeypatch):
    """What is in memory at the same time: one window for each lane."""
    lent = []
    plan = Images.plan

    def counting(self, ranges, *args, **options):
        lent.append(sum(one.stop - one.start for one in ranges))
        return plan(self, ranges, *args, **options)

    monkeypatch.setattr(Images, "plan", counting)
    assert sum(len(batch["unit"]) for batch in ObservationDataset(rare, 2, block_obs=2, mixed_blocks=4 * LANES)) == 400
    assert max(lent) == 8


def brighter(item: dict) -> dict:
    """A transform of one image."""
    return {"x": torch.from_numpy(item["image"]).float() + 1, "y": int(item["label"]), "unit": item["unit"]}


def test_a_transform_gets_one_image_and_its_items_are_stacked(rare):
    plain, changed = (
        next(iter(ObservationDataset(rare, 6, crop=6, scale=1e-4, transform=one, **SMALL))) for one in (None, brighter)
    )
    assert plain["image"].shape == changed["x"].shape == (6, 4, 6, 6)
    assert torch.equal(changed["x"], plain["image"] + 1)
    assert changed["y"].tolist() == plain["label"].tolist()
    assert changed["unit"] == ["train/50SMG"] * 6
    (listed, *_) = ObservationDataset(rare, 6, collate=list, **SMALL)
    assert [item["row"] for item in listed] == plain["row"].tolist()
    assert listed[0]["image"].shape == (4, 42, 42)


def test_labels_of_pixels_count_as_their_most_frequent_class(made):
    dataset = ObservationDataset(made["zarr"], 5, tile="49RGN", balance=True, **SMALL)
    for batch in dataset:
        assert batch["label"].shape[1:] == (6, 6)
    with s2ct_convert.open_store(made["zarr"]) as store:
        labels = store["train/49RGN"].label.reshape(-1, 36)
    first = Counter(int(np.bincount(row).argmax()) for row in labels)
    classes = [store.dataset.classes[one] for one in sorted(first)]
    assert {name: one.observations for name, one in dataset.drawn.items()} == dict(
        zip(classes, (first[one] for one in sorted(first)), strict=True)
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"balance": {"haze": 1}}, ValueError, "no observation is of class 'haze'"),
        ({"balance": {"fog": 1}}, KeyError, "no class 'fog'"),
        ({"balance": {"no_label": 1}}, ValueError, "-1 is the number of no class"),
        ({"balance": {"snow": -1}}, ValueError, "weights must be 0 or more, and not all 0"),
        ({"balance": {"snow": 0}}, ValueError, "weights must be 0 or more, and not all 0"),
        ({"balance": True, "label": "no_label"}, ValueError, "no observation has a class"),
        ({"size": 0}, ValueError, "size=0 must be at least 1"),
        ({"rank": 0, "ranks": 401}, ValueError, "400 observations are too few for 401 ranks"),
        ({"drop_last": True, "size": 9}, ValueError, "a rank has 9 observations, and batch_size is 10"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
    ],
)
@pytest.mark.every_variant
def test_images_that_cannot_be_drawn_are_refused(rare, options, error, message):
    with pytest.raises(error, match=message):
        ObservationDataset(rare, **{"batch_size": 10, **options})


def test_labels_of_different_shapes_are_refused(made):
    with pytest.raises(ValueError, match=r"labels of different shapes \(\(\), \(6, 6\)\); select units of one"):
        ObservationDataset(made["zarr"], 4)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_damage_in_a_worker_of_images_raises_in_the_training_loop(rare, tmp_path, how):
    own = Path(shutil.copytree(rare, tmp_path / "own.zarr"))
    dataset = ObservationDataset(own, 50, **SMALL)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context=how)
    assert names(loader) == names(dataset)
    flip(own / "train/50SMG/image/c/0/0/0/0", 1000)
    with pytest.raises(StoreDamaged, match="are damaged"):
        list(loader)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2, 3])
def test_a_stateful_loader_of_images_goes_on_where_it_stopped(rare, workers):
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")
    whole = names(ObservationDataset(rare, 9, balance=True, **SMALL))

    def loader():
        dataset = ObservationDataset(rare, 9, balance=True, **SMALL)
        return stateful.StatefulDataLoader(dataset, batch_size=None, num_workers=workers)

    first, second = loader(), loader()
    batches = iter(first)
    begun = names(next(batches) for _ in range(11))
    second.load_state_dict(first.state_dict())
    assert begun + names(second) == whole
