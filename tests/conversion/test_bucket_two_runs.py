"""Two runs on one store in a bucket, each with its own scratch folder: the last one to end finishes with all units."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from servers.made_bucket import ADDRESS, same_as_on_disk
from servers.objects import Bucket, Handler

import s2ct_convert
from s2ct_convert.objects.address import ObjectPath
from s2ct_convert.objects.writes import Conditions, try_conditions

pytest.importorskip("obstore")
ROOT = "PUT b/made.zarr/zarr.json"


def another_first(bucket: Bucket, sources: list[Path]) -> None:
    """Before the run in this process writes its finished root, another run with these sources begins and ends."""

    def come(handler: Handler) -> None:
        if b"consolidated_metadata" in handler.body:
            bucket.vices.pop(ROOT, None)
            s2ct_convert.convert(sources, ADDRESS, scratch="other")
        else:
            bucket.vices[ROOT] = [come]  # only the mark of an unfinished store
        handler.store()

    bucket.vices[ROOT] = [come]


@pytest.mark.slow
def test_a_run_that_is_overtaken_finishes_with_the_units_of_both(bucket, made_sources, made):
    another_first(bucket, made_sources[1:])
    summary = s2ct_convert.convert(made_sources[:1], ADDRESS)
    assert len(summary.converted) == 1
    assert summary.state == "complete"
    assert same_as_on_disk(bucket, made["zarr"])
    planned = json.loads((bucket.folder / "b" / "made.zarr.s2ct" / "store.json").read_bytes())["units"]
    assert planned == ["train/49RGN", "train/50SMG", "val/50SMG"]


@pytest.mark.slow
def test_without_if_match_the_same_command_puts_it_right(bucket, made_sources, made):
    bucket.matches = False
    another_first(bucket, made_sources[1:])
    s2ct_convert.convert(made_sources[:1], ADDRESS)
    with s2ct_convert.open_store(ADDRESS) as store:
        assert list(store.units) == ["train/50SMG"]
    s2ct_convert.convert(made_sources[:1], ADDRESS)
    assert same_as_on_disk(bucket, made["zarr"])


@pytest.mark.parametrize(("create", "match"), [(True, True), (True, False), (False, False)])
def test_the_conditions_of_a_service_are_found_out(bucket, create, match):
    bucket.conditions, bucket.matches = create, match
    assert try_conditions(ObjectPath("s3://b/x")) == Conditions(create, match)
    assert not list(bucket.folder.rglob("probe-*"))


@pytest.mark.slow
def test_a_record_that_comes_back_meanwhile_stays(bucket, made_sources, tmp_path):
    damaged = tmp_path / made_sources[1].name
    damaged.write_bytes(made_sources[1].read_bytes()[:-50])
    with pytest.raises(s2ct_convert.UnitsFailed):  # so the scratch folder stays
        s2ct_convert.convert([made_sources[0], damaged], ADDRESS, scratch="mine")
    record = bucket.folder / "b" / "made.zarr.s2ct" / "units" / "train_50SMG.json"
    written = record.read_bytes()

    def come_back(handler: Handler) -> None:
        handler.refuse(404, "NoSuchKey")
        record.write_bytes(written)

    bucket.vices["GET b/made.zarr.s2ct/units/train_50SMG.json"] = [come_back]
    s2ct_convert.convert(made_sources[:2], ADDRESS, scratch="mine")
    assert not bucket.vices["GET b/made.zarr.s2ct/units/train_50SMG.json"]
    assert record.read_bytes() == written
