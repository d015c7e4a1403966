"""The commands that salvage: exit codes, what they say, and what they write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from damaged import NAME, archive_bytes, flipped, groups, put, records
from records import payloads

from .helpers import assert_says, tree

RECORDS = records(groups())
GOOD = archive_bytes(b"".join(RECORDS), block=150_000)
DAMAGED = flipped(GOOD, len(GOOD) // 2)


@pytest.fixture
def source(tmp_path) -> Path:
    return put(tmp_path / "a", DAMAGED)


def test_convert_salvage_ends_with_3_and_shows_the_gap(run, source, tmp_path):
    store = tmp_path / "s.zarr"
    done = run("convert", "--salvage", source, store)
    assert_says(done, 3, "salvaged from damaged sources", "train/50SMG", "fetch these sources again")
    assert "salvaged      gap after " in done.stdout
    assert "partial: salvaged, with gaps: train/50SMG" in done.stdout
    assert "salvaged  gap after " in run("info", store).stdout
    (unit,) = json.loads(run("info", store, "--json").stdout)["units"]
    assert unit["gaps"][0]["file"] == f"{NAME}.7z"


def test_the_salvage_report_counts_and_writes_nothing(run, source, tmp_path):
    before = tree(tmp_path)
    done = run("verify", "sources", source, "--salvage-report")
    assert_says(done, 5, "1 of 1 source cannot be used")
    assert "salvage:  train/50SMG: 9 whole examples, 1 gap; 9 samples, 36 observations" in done.stdout
    document = json.loads(run("verify", "sources", source, "--salvage-report", "--json").stdout)
    assert [one["examples"] for one in document["salvage"]] == [9]
    assert tree(tmp_path) == before


@pytest.mark.slow
def test_extract_salvage_writes_the_whole_records_and_a_report(run, source, tmp_path):
    bare = put(tmp_path / "a", b"".join(RECORDS)[:-5], "val_50SMG_12")
    assert_says(run("extract", source, tmp_path / "out"), 5, "--salvage")
    done = run("extract", "--salvage", source, bare, tmp_path / "out")
    assert_says(done, 3, "2 TFRecords salvaged")
    there = [RECORDS.index(record) for record in _records(tmp_path / "out" / f"{NAME}.salvaged.tfrecord")]
    assert len(there) == 9
    assert len(_records(tmp_path / "out" / "val_50SMG_12.salvaged.tfrecord")) == 11
    report = json.loads((tmp_path / "out" / f"{NAME}.salvaged.json").read_bytes())
    k = report["gaps"][0]["after"]
    assert report["numbers"] == [*there[:k], *[None] * (9 - k)]
    assert_says(run("extract", "--salvage", source, tmp_path / "out"), 2, "exists")


def _records(path: Path) -> list[bytes]:
    from makers import record_bytes

    return [record_bytes(one) for one in payloads(path)]


@pytest.mark.slow
def test_a_batch_with_a_salvaged_unit_is_finalised_only_as_partial(run, source, tmp_path):
    store = tmp_path / "s.zarr"
    assert run("batch", "init", "--salvage", source, store).returncode == 0
    assert_says(run("batch", "run", store, 1), 3, "salvaged from damaged sources")
    assert "salvaged: 9 examples, 1 gap" in run("batch", "status", store).stdout
    assert_says(run("batch", "finalise", store), 3, "--partial")
    assert "salvaged, with gaps: train/50SMG" in run("batch", "finalise", store, "--partial").stdout


@pytest.mark.slow
def test_against_a_good_source_the_missing_examples_are_counted(run, source, tmp_path):
    store = tmp_path / "s.zarr"
    run("convert", "--salvage", source, store)
    assert run("verify", "store", store, "--against", source).returncode == 0
    done = run("verify", "store", store, "--against", put(tmp_path / "g", GOOD))
    assert_says(done, 3, "the store lacks examples of these sources")
    assert "train/50SMG is salvaged: it lacks 3 examples of the source" in done.stdout


@pytest.mark.slow
def test_plan_shows_sources_whose_headers_are_damaged(run, tmp_path):
    cut = put(tmp_path / "a", GOOD[: len(GOOD) // 2])
    assert "to be salvaged" in run("plan", "--salvage", cut, tmp_path / "s.zarr").stdout
