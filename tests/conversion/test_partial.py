"""A run with failures leaves a partial store that opens, verifies and names its gaps; the next run completes it."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import plain
import pytest
from makers import flip, random_group, write_tfrecord
from twins import first_quick

import s2ct_convert
from s2ct_convert.conversion.batch import init_batch, run_units
from s2ct_convert.conversion.batch_finalise import finalise_batch
from s2ct_convert.units.options import PlanOptions
from s2ct_convert.units.plan import make_plan

UNITS = ("train_31TCJ", "train_50SMG", "val_50SMG")
BAD = 1
KINDS = {"zarr": ("x.zarr", False), "hdf5": ("x.h5", False), "linked": ("x.h5", True)}


@pytest.fixture(autouse=True)
def at_one_moment(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture
def sources(tmp_path, rng) -> list[Path]:
    return [write_tfrecord(tmp_path / "in", [random_group(rng, i, 3) for i in (2, 5)], unit=unit) for unit in UNITS]


@pytest.fixture(params=first_quick(["zarr", "hdf5", "linked"]))
def kind(request) -> str:
    return request.param


def convert(sources: list[Path], store: Path, kind: str) -> s2ct_convert.Summary:
    return s2ct_convert.convert(sources, store, linked=KINDS[kind][1], command="s2ct")


@pytest.fixture
def partial(tmp_path, sources, kind) -> Path:
    """A store of two units; the third source is damaged."""
    store = tmp_path / "partial" / KINDS[kind][0]
    good = sources[BAD].read_bytes()
    flip(sources[BAD], -1)
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        convert(sources, store, kind)
    assert (caught.value.exit_code, caught.value.summary.state) == (3, "partial")
    sources[BAD].write_bytes(good)
    return store


def test_a_partial_store_opens_with_one_warning(partial):
    with pytest.warns(s2ct_convert.PartialStoreWarning, match="is partial: without train/50SMG") as warned:
        store = s2ct_convert.open_store(partial)
    assert len(warned) == 1
    with store:
        assert list(store) == ["train/31TCJ", "val/50SMG"]
        assert store.index["localid"].tolist() == [2, 5, 2, 5]
        assert store.digest == plain.store_digest(partial)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pickle.loads(pickle.dumps(store)).close()


@pytest.mark.parametrize("kind", first_quick(["zarr", "hdf5", "linked"], quick=2))
def test_the_next_run_completes_a_partial_store_to_the_same_bytes(partial, tmp_path, sources, kind):
    summary = convert(sources, partial, kind)
    assert ([len(summary.converted), len(summary.skipped)], summary.state) == ([1, 2], "complete")
    whole = tmp_path / "whole" / partial.name
    convert(sources, whole, kind)
    assert plain.file_bytes(partial) == plain.file_bytes(whole)


def test_convert_and_batch_finalise_make_the_same_partial_store(partial, tmp_path, sources, kind):
    batch = tmp_path / "batch" / partial.name
    batch.parent.mkdir()
    plan = make_plan(sources, batch, PlanOptions(linked=KINDS[kind][1]))
    init_batch(plan, command="s2ct")
    numbers = [n for n, file in enumerate(plan.files, start=1) if str(file.source.unit) != "train/50SMG"]
    run_units(batch, numbers)
    digest, missing = finalise_batch(batch, partial=True, command="s2ct")
    assert (digest, *map(str, missing)) == (plain.attributes(partial)["content_digest"], "train/50SMG")
    assert plain.file_bytes(batch) == plain.file_bytes(partial)


def test_a_partial_store_verifies_and_all_commands_accept_it(partial, sources, s2ct, tmp_path):
    done = s2ct("verify", "store", partial, "--against", sources[0], sources[2])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "remark: the store is partial: without train/50SMG" in done.stdout
    report = json.loads(s2ct("verify", "store", partial, "--json").stdout)
    assert (report["ok"], report["remarks"]) == (True, ["the store is partial: without train/50SMG"])
    facts = [line.split() for line in s2ct("info", partial).stdout.splitlines()]
    assert ["state", "partial"] in facts
    assert ["missing", "train/50SMG"] in facts
    for command in (("preview", partial, "-o", tmp_path / "x.png"), ("croissant", partial, tmp_path / "card")):
        done = s2ct(*command)
        assert done.returncode == 0, done.stderr
        assert "note: " in done.stderr
        assert "without train/50SMG" in done.stderr
        assert "Warning" not in done.stderr


def test_a_unit_without_an_entry_is_not_in_a_partial_store(tmp_path, sources):
    """The process that made the unit died before it wrote the entry; then the source was damaged."""
    store = tmp_path / "x.zarr"
    convert(sources, store, "zarr")
    (tmp_path / "x.zarr.s2ct" / "units" / "train_50SMG.json").unlink()
    flip(sources[BAD], -1)
    with pytest.raises(s2ct_convert.UnitsFailed):
        convert(sources, store, "zarr")
    assert plain.unit_names(store) == ["train/31TCJ", "val/50SMG"]
    assert plain.attributes(store)["missing_units"] == "train/50SMG"
    flip(sources[BAD], -1)
    assert convert(sources, store, "zarr").state == "complete"
    assert not list((tmp_path / "x.zarr.s2ct" / "unrecorded").iterdir())


def test_a_unit_whose_entry_is_lost_stays_in_the_store(tmp_path, sources, kind):
    store = tmp_path / KINDS[kind][0]
    digest = convert(sources, store, kind).digest
    (tmp_path / f"{store.name}.s2ct" / "units" / "train_50SMG.json").unlink()
    assert convert(sources[:1], store, kind).missing == ("train/50SMG",)
    assert (plain.attributes(store)["state"], plain.store_digest(store)) == ("complete", digest)
