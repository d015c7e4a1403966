"""The choice of the sample and of the observations to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from makers import Group, random_group, write_tfrecord
from store.conftest import empty_group

import s2ct_convert
from s2ct_convert import Store
from s2ct_convert.errors import WrongUsage
from s2ct_convert.pictures.choose import choose_sample, spread


def labelled(localid: int, *labels: int) -> Group:
    group = random_group(np.random.default_rng(localid), localid, len(labels))
    group.labels = np.array(labels, np.int8)
    return group


def make(folder: Path, **units: list[Group]) -> Path:
    sources = [write_tfrecord(folder / "in", groups, unit=unit) for unit, groups in units.items()]
    s2ct_convert.convert(sources, folder / "x.zarr", jobs=1)
    return folder / "x.zarr"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    path = make(
        tmp_path_factory.mktemp("choose"),
        train_31TCJ=[labelled(3, 0, 1), labelled(5, 0, 1, 2), labelled(8, 1, 2, 3), empty_group(9)],
        train_50SMG=[labelled(3, 0, 1, 2, 3, 4), labelled(4, 0, 1, 2, 3, 4, 5)],
        val_50SMG=[labelled(3, 0)],
    )
    with s2ct_convert.open_store(path) as opened:
        yield opened


def chosen(store: Store, **how: object) -> tuple[str, int]:
    choice = choose_sample(store, **how)
    return choice.unit, choice.localid


@pytest.mark.parametrize(
    ("how", "expected", "why"),
    [
        ({}, ("train/50SMG", 3), "the first with at least 5 of the 6 classes"),
        ({"tiles": ["31TCJ"]}, ("train/31TCJ", 5), "the first with 3 classes; none has more"),
        ({"tiles": ["T31TCJ"]}, ("train/31TCJ", 5), "the first with 3 classes"),
        ({"splits": ["val"]}, ("val/50SMG", 3), "the first with 1 class; none has more"),
        ({"tiles": ["50SMG"], "splits": ["train"]}, ("train/50SMG", 3), "the first with at least 5"),
        ({"sample": 8}, ("train/31TCJ", 8), "as requested"),
        ({"sample": 3, "tiles": ["31TCJ"]}, ("train/31TCJ", 3), "as requested"),
        ({"sample": 3, "splits": ["val"]}, ("val/50SMG", 3), "as requested"),
    ],
)
def test_the_chosen_sample_fits_the_options(store, how, expected, why):
    assert chosen(store, **how) == expected
    assert choose_sample(store, **how).why.startswith(why)


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        ({"tiles": ["33UUU"]}, ("--tile 33UUU", "train/31TCJ, train/50SMG, val/50SMG")),
        ({"tiles": ["31TCJ"], "splits": ["val"]}, ("--tile 31TCJ --split val", "train/31TCJ")),
        ({"sample": 77}, ("no sample 77", "expected: 3, 4, 5, 8, 9\n")),
        ({"sample": 8, "tiles": ["50SMG"]}, ("no sample 8 with --tile 50SMG", "expected: 3, 4\n")),
        ({"sample": 3}, ("in more than one unit", "train/31TCJ, train/50SMG, val/50SMG", "--tile and --split")),
        ({"sample": 9}, ("sample 9 of train/31TCJ has no observations",)),
    ],
)
def test_a_missing_sample_raises_and_lists_the_available_ones(store, how, parts):
    with pytest.raises(WrongUsage) as error:
        choose_sample(store, **how)
    for part in parts:
        assert part in str(error.value)


def test_a_seed_repeats_its_draw(store):
    draws = [chosen(store, random=True, seed=seed) for seed in range(40)]
    assert draws == [chosen(store, random=True, seed=seed) for seed in range(40)]
    assert len(set(draws)) == 6, "exactly the samples with observations"
    only = {chosen(store, random=True, seed=seed, tiles=["50SMG"], splits=["train"]) for seed in range(20)}
    assert only == {("train/50SMG", 3), ("train/50SMG", 4)}


def test_a_store_without_observations_raises(tmp_path):
    with (
        s2ct_convert.open_store(make(tmp_path, train_50SMG=[empty_group(1)])) as empty,
        pytest.raises(WrongUsage, match="no observations to show"),
    ):
        choose_sample(empty)


@pytest.mark.parametrize(("n", "limit"), [(5, 10), (10, 10), (11, 10), (143, 64), (1000, 2), (3, 1), (1, 1)])
def test_observations_are_spread_evenly_from_first_to_last(n, limit):
    taken = spread(n, limit)
    assert len(taken) == len(set(taken)) == min(n, limit)
    assert (np.diff(taken) > 0).all()
    assert taken[0] == 0
    if limit > 1:
        assert taken[-1] == n - 1
        assert np.ptp(np.diff(taken)) <= 1 if len(taken) > 2 else True


def test_samples_without_localid_are_chosen_by_their_rows(tmp_path):
    """Each is a sample of its own; all have localid -1."""
    groups = [labelled(4, 0, 1), labelled(5, 2), empty_group(6), labelled(7, 0, 1, 2, 3, 4)]
    for group in groups[1:]:
        group.localid = None
    path = make(tmp_path, train_50SMG=groups)
    with s2ct_convert.open_store(path) as opened:
        assert opened["train/50SMG"].localid.tolist() == [-1, -1, -1, 4]
        best, first = choose_sample(opened), choose_sample(opened, sample=-1)
        assert (best.localid, best.rows) == (-1, slice(1, 6))
        assert (first.rows, first.why) == (slice(0, 1), "the first of 3 without localid")
    s2ct_convert.preview(path, tmp_path / "x.png", sample=-1)
    made = s2ct_convert.preview(path, tmp_path / "best.png")
    assert (made.localid, made.observations) == (-1, 5)
