"""Splits are words: like tiles, a store numbers the splits of its units, in both containers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.conversion.convert import convert_plan
from s2ct_convert.names import UnitName
from s2ct_convert.source.find import Source
from s2ct_convert.units.demands import NO_DEMANDS
from s2ct_convert.units.options import NO_OPTIONS
from s2ct_convert.units.plan import Plan, SourceFile, plan_hash, store_options
from s2ct_convert.verify.store import verify_store

UNITS = [UnitName("dev", "COPENHAGEN"), UnitName("train", "50SMG"), UnitName("validation", "50SMG")]


@pytest.fixture(params=["x.zarr", "x.h5"])
def store(request, tmp_path, rng) -> Path:
    path, files = tmp_path / request.param, []
    for i, unit in enumerate(UNITS):
        source = write_tfrecord(tmp_path / str(i), [random_group(rng, 7 + i, 3)])
        files.append(SourceFile(Source(unit, 1, source), source.stat().st_size, source.stat().st_mtime_ns))
    options = store_options(path, NO_OPTIONS)
    convert_plan(Plan(path, options, tuple(files), (), (), plan_hash(options, files, NO_DEMANDS)), command="")
    return path


def test_a_store_numbers_the_splits_of_its_units(store):
    assert plain.attributes(store, "index/split")["flag_meanings"] == "dev train validation"
    assert plain.arrays(store, "index")["split"].tolist() == [0, 1, 2]
    assert [str(finding) for finding in verify_store(store).findings] == []


def test_names_of_any_length_can_be_read_and_selected(store):
    with s2ct_convert.open_store(store) as opened:
        assert list(opened.units) == [str(unit) for unit in UNITS]
        assert (opened.splits, opened.tiles) == (("dev", "train", "validation"), ("50SMG", "COPENHAGEN"))
        assert opened.samples["split"].tolist() == ["dev", "train", "validation"]
        assert opened.samples["tile"].tolist() == ["COPENHAGEN", "50SMG", "50SMG"]
        assert opened.samples.where(split="validation")["localid"].tolist() == [9]
        with pytest.raises(KeyError, match="no split 'val'; the store has dev, train, validation"):
            opened.samples.where(split="val")
        (sample,) = opened.select(split="dev")
        np.testing.assert_array_equal(sample.image, opened["dev/COPENHAGEN"].sample(7).image)
