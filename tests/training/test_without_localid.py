"""All samples without a localid have -1. Datasets give each of them its own images."""

from __future__ import annotations

import numpy as np
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert

torch = pytest.importorskip("torch")

from s2ct_convert.torch import SampleDataset, ShuffledDataset  # noqa: E402


@pytest.fixture
def made(tmp_path, rng, suffix):
    """A store, and the images of its samples."""
    groups = [random_group(rng, localid, n) for localid, n in ((4, 2), (None, 3), (-1, 1), (None, 2))]
    path = tmp_path / f"x.{suffix}"
    s2ct_convert.convert([write_tfrecord(tmp_path, groups)], path)
    return path, [groups[i].image.tobytes() for i in (2, 1, 3, 0)]


def test_a_sample_dataset_gives_each_sample_its_own_images(made):
    path, images = made
    dataset = SampleDataset(path)
    assert [dataset[i]["localid"] for i in range(4)] == [-1, -1, -1, 4]
    assert [np.asarray(dataset[i]["image"]).tobytes() for i in range(4)] == images
    assert [np.asarray(one["image"]).tobytes() for one in dataset.__getitems__([2, 0, 1])] == [
        images[i] for i in (2, 0, 1)
    ]
    some = SampleDataset(path, localid=-1)
    assert [np.asarray(some[i]["image"]).tobytes() for i in range(3)] == images[:3]


def test_a_shuffled_dataset_gives_all_images(made):
    path, images = made
    assert sorted(one["image"].numpy().tobytes() for one in ShuffledDataset(path, 1)) == sorted(images)


def test_a_selection_gives_all_images(made):
    path, images = made
    with s2ct_convert.open_store(path) as store:
        assert [one.image.tobytes() for one in store.select()] == images
        assert [one.image.tobytes() for one in store.select(localid=-1)] == images[:3]
