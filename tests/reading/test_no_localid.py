"""Examples without a localid: each is a separate sample with localid -1."""

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


def test_a_localid_of_several_samples_raises_key_error(unit):
    store, _ = unit
    with pytest.raises(KeyError, match="2 samples without a localid, stored as -1"):
        store.units["train/50SMG"].sample(-1)
    assert len(store.units["train/50SMG"].sample(7).time) == 4


def test_a_selection_yields_every_sample_without_localid(unit):
    store, groups = unit
    assert len(store.samples.pick([("train/50SMG", -1)])) == 2
    found = [sample.image for sample in store.select(localid=-1)]
    assert len(found) == 2
    for image, group in zip(found, groups, strict=False):
        assert np.array_equal(image, np.asarray(group.image)[np.argsort(group.dates, kind="stable")])
