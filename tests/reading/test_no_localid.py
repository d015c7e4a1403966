"""Samples whose source has no localid: each is one of its own, with -1, and none is given for another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert


@pytest.fixture
def unit(tmp_path, rng, suffix):
    groups = [replace(random_group(rng, 0, 3), localid=None) for _ in range(2)] + [random_group(rng, 7, 4)]
    path = tmp_path / f"x.{suffix}"
    s2ct_convert.convert(write_tfrecord(tmp_path, groups), path)
    with s2ct_convert.open_store(path) as store:
        yield store, groups


def test_no_sample_is_given_for_a_localid_that_several_have(unit):
    store, _ = unit
    with pytest.raises(KeyError, match="2 samples with localid -1: those without a localid have it"):
        store.units["train/50SMG"].sample(-1)
    assert len(store.units["train/50SMG"].sample(7).time) == 4


def test_a_selection_gives_each_of_them(unit):
    store, groups = unit
    found = [sample.image for sample in store.select(localid=-1)]
    assert len(found) == 2
    for image, group in zip(found, groups, strict=False):
        assert np.array_equal(image, np.asarray(group.image)[np.argsort(group.dates, kind="stable")])
