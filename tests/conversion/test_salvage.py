"""A damaged source makes a salvaged unit on request only; good sources replace it, and damaged ones replace nothing."""

from __future__ import annotations

import gzip
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from damaged import NAME, archive_bytes, flipped, groups, put, records, without_headers
from records import all_features, features, payloads

import s2ct_convert
from s2ct_convert.errors import PartialStoreWarning, TFRecordDamaged, WrongUsage
from s2ct_convert.missing import NO_NUMBER
from s2ct_convert.units.summary import UnitsFailed

UNIT = "train/50SMG"
RECORDS = records(groups())
DATA = b"".join(RECORDS)
GOOD = archive_bytes(DATA, block=150_000)
DAMAGED = flipped(GOOD, len(GOOD) // 2)


@pytest.fixture(scope="module")
def salvaged(tmp_path_factory) -> tuple[Path, Path]:
    """A store with a salvaged unit, and the damaged archive. Not to be changed."""
    folder = tmp_path_factory.mktemp("salvaged")
    source = put(folder / "a", DAMAGED)
    s2ct_convert.convert(source, folder / "s.zarr", salvage=True)
    return folder / "s.zarr", source


def salvage(source: Path, store: Path, **options):
    return s2ct_convert.convert(source, store, salvage=True, **options)


def unit_of(store: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartialStoreWarning)
        return s2ct_convert.open_store(store)[UNIT]


def failures(source: Path, store: Path, **options) -> list[str]:
    with pytest.raises(UnitsFailed) as raised:
        s2ct_convert.convert(source, store, **options)
    return [one.message for one in raised.value.summary.failures]


def test_a_damaged_source_is_refused_without_the_flag(tmp_path):
    for name, data in ((f"{NAME}.7z", DAMAGED), (f"{NAME}.7z", GOOD[: len(GOOD) // 2]), (NAME, flipped(DATA, 5000))):
        (message,) = failures(put(tmp_path, data, name), tmp_path / "s.zarr")
        assert "--salvage" in message
        (tmp_path / name).unlink()
    assert not list(tmp_path.glob("s.zarr.s2ct/units/*"))


def test_a_salvaged_unit_says_what_it_lacks(salvaged):
    store, source = salvaged
    with pytest.warns(PartialStoreWarning, match=f"salvaged, with gaps: {UNIT}"):
        opened = s2ct_convert.open_store(store)
    unit = opened[UNIT]
    (gap,) = unit.gaps
    assert unit.salvaged
    assert gap.file == source.name
    assert 0 < gap.after < int(unit.attributes["source_examples"]) < len(RECORDS)
    example, found = unit["example"][...], unit["found"][...]
    assert (example[found < gap.after] == found[found < gap.after]).all()
    assert (example[found >= gap.after] == NO_NUMBER).all()
    assert "_FillValue" in unit["example"].attributes
    assert not unit_of(store).form.undated
    assert "salvaged" in str(unit)


def test_a_salvaged_store_verifies_and_a_good_unit_has_none_of_it(salvaged, tmp_path):
    assert s2ct_convert.verify_store(salvaged[0]).findings == []
    s2ct_convert.convert(put(tmp_path, GOOD), tmp_path / "s.zarr")
    unit = unit_of(tmp_path / "s.zarr")
    assert (unit.salvaged, unit.gaps) == (False, ())
    assert "found" not in unit
    assert "_FillValue" not in unit["example"].attributes


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_everything_found_without_headers_gives_the_digest_of_the_good_source(tmp_path, suffix):
    good = s2ct_convert.convert(put(tmp_path / "good", GOOD), tmp_path / f"good.{suffix}")
    store = tmp_path / f"s.{suffix}"
    summary = salvage(put(tmp_path / "a", without_headers(GOOD)), store)
    assert summary.digest == good.digest
    assert (summary.state, summary.salvaged) == ("partial", (UNIT,))
    assert s2ct_convert.verify_store(store).findings == []
    assert (unit_of(store)["example"][...] >= 0).all()


def test_the_export_has_the_found_examples_in_their_order(salvaged, tmp_path):
    with pytest.warns(PartialStoreWarning):
        (one,) = s2ct_convert.export_tfrecord(salvaged[0], tmp_path)
    assert one.path.name == f"train_50SMG_{one.examples}.salvaged.tfrecord"
    (made,) = s2ct_convert.salvage_tfrecord(salvaged[1], tmp_path / "out")
    assert all_features(one.path) == all_features(made.path)
    every = [features(record[12:-4]) for record in RECORDS]
    places = [every.index(one) for one in all_features(one.path)]
    assert places == sorted(places)
    assert json.loads(made.report.read_bytes())["gaps"][0]["after"] == made.gaps[0].after
    assert [RECORDS[k][12:-4] for k in places] == payloads(made.path)


def test_an_export_of_a_salvaged_store_says_what_is_missing(salvaged, tmp_path):
    with pytest.warns(PartialStoreWarning):
        done = s2ct_convert.export_netcdf(salvaged[0], tmp_path / "nc")
    assert UNIT in json.loads((tmp_path / "nc" / "export.json").read_bytes())["store_lacks"]
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    with xarray.open_dataset(done.files[0].path) as dataset:
        assert dataset.attrs["salvaged"] == 1
        assert json.loads(dataset.attrs["gaps"])
    with pytest.raises(WrongUsage, match="has no place in a store"):
        s2ct_convert.export_netcdf(salvaged[0], salvaged[0] / "sub")


@pytest.mark.slow
def test_the_same_source_is_done_and_the_state_stays_partial(salvaged, tmp_path):
    store = tmp_path / "s.zarr"
    source = put(tmp_path / "a", DAMAGED)
    salvage(source, store)
    for options in ({"salvage": True}, {}):
        again = s2ct_convert.convert(source, store, **options)
        assert ([one.unit for one in again.skipped], again.converted, again.state) == ([UNIT], (), "partial")


def test_a_good_source_replaces_a_salvaged_unit_and_a_damaged_one_does_not(tmp_path):
    store, place = tmp_path / "s.zarr", tmp_path / "a"
    salvage(put(place, DAMAGED), store)
    before = unit_of(store).digest
    (message,) = failures(put(tmp_path / "b", GOOD[: len(GOOD) // 3]), store, salvage=True)
    assert "salvaged from another source" in message
    assert unit_of(store).digest == before
    then = (place / f"{NAME}.7z").stat()
    os.utime(put(place, GOOD), ns=(then.st_atime_ns, then.st_mtime_ns))
    summary = s2ct_convert.convert(place, store)  # the same name, size, time and end header: its content decides
    assert (summary.state, [one.unit for one in summary.converted]) == ("complete", [UNIT])
    assert not unit_of(store).salvaged


def test_a_source_with_fewer_examples_does_not_replace_a_salvaged_unit(tmp_path):
    """A bare TFRecord that is cut between two records has no damage."""
    store = tmp_path / "s.zarr"
    found = salvage(put(tmp_path / "a", DAMAGED), store).converted[0].examples
    cut = tmp_path / "b" / NAME
    cut.parent.mkdir()
    cut.write_bytes(b"".join(RECORDS[: found - 1]))
    (message,) = failures(cut, store, accept_count=True)
    assert f"at least {found} examples" in message
    assert unit_of(store).salvaged
    cut.write_bytes(b"".join(RECORDS[:found]))
    assert s2ct_convert.convert(cut, store, accept_count=True).state == "complete"


@pytest.mark.slow
def test_another_damaged_source_replaces_a_salvaged_unit_if_asked(tmp_path):
    store = tmp_path / "s.zarr"
    salvage(put(tmp_path / "a", DAMAGED), store)
    summary = salvage(put(tmp_path / "b", without_headers(GOOD)), store, overwrite_units=[UNIT])
    assert [one.examples for one in summary.converted] == [12]


def test_a_damaged_source_never_replaces_a_good_unit(tmp_path):
    store = tmp_path / "s.zarr"
    good = s2ct_convert.convert(put(tmp_path / "a", GOOD), store).digest
    before = unit_of(store).digest
    cut = put(tmp_path / "b", GOOD[: len(GOOD) // 2])
    for options in ({}, {"overwrite_units": [UNIT]}):
        (message,) = failures(cut, store, salvage=True, **options)
        assert UNIT in message
        assert unit_of(store).digest == before
    assert s2ct_convert.convert(tmp_path / "a", store).digest == good


@pytest.mark.slow
def test_of_a_damaged_source_and_its_copies_the_best_is_taken(tmp_path):
    put(tmp_path / "a", flipped(GOOD, 2000))  # the headers of both are those of the good one
    put(tmp_path / "b", flipped(GOOD, len(GOOD) - 5000))
    counts = [s2ct_convert.salvage_report(tmp_path / one / f"{NAME}.7z")[0].examples for one in ("a", "b")]
    summary = s2ct_convert.convert([tmp_path / "a", tmp_path / "b"], tmp_path / "s.zarr", salvage=True)
    assert counts[0] < counts[1] == summary.converted[0].examples


@pytest.mark.slow
def test_a_cut_gzip_gives_what_unpacks(tmp_path):
    packed = gzip.compress(DATA, 1)
    store = tmp_path / "s.zarr"
    salvage(put(tmp_path, packed[: len(packed) // 2], f"{NAME}.gz"), store)
    (gap,) = unit_of(store).gaps
    assert 3 <= gap.after < 9
    assert (unit_of(store)["example"][...] >= 0).all()


@pytest.mark.slow
def test_shards_are_numbered_through_until_a_gap(tmp_path):
    first, second = b"".join(RECORDS[:6]), b"".join(RECORDS[6:])
    put(tmp_path, flipped(first, len(RECORDS[0]) + 900), "train_50SMG_12-00000-of-00002.tfrecord")
    put(tmp_path, second[: -len(RECORDS[0]) // 2], "train_50SMG_12-00001-of-00002.tfrecord")
    store = tmp_path / "s.zarr"
    summary = salvage(tmp_path, store)
    unit = unit_of(store)
    assert [(gap.after, gap.examples) for gap in unit.gaps] == [(1, 1), (10, None)]
    assert sorted(set(np.asarray(unit["example"][...]).tolist())) == [0, *range(2, 11)]
    assert summary.converted[0].examples == 10
    assert [c.differences for c in s2ct_convert.verify_against(store, tmp_path)] == [()]


@pytest.mark.slow
def test_a_tfrecord_cut_between_records_has_a_gap_at_its_end(tmp_path):
    source = put(tmp_path, b"".join(RECORDS[:1]), "train_50SMG_500")
    salvage(source, tmp_path / "s.zarr")
    (gap,) = unit_of(tmp_path / "s.zarr").gaps
    assert (gap.after, gap.begin, gap.end) == (1, len(RECORDS[0]), None)


def test_a_source_without_a_whole_example_fails_with_its_damage(tmp_path):
    (message,) = failures(put(tmp_path, GOOD[:300]), tmp_path / "s.zarr", salvage=True)
    assert "truncated" in message


@pytest.mark.slow
def test_a_salvaged_tfrecord_is_not_taken_for_a_whole_one(tmp_path):
    (made,) = s2ct_convert.salvage_tfrecord(put(tmp_path, DAMAGED), tmp_path / "out")
    store = tmp_path / "s.zarr"
    (message,) = failures(made.path, store)
    assert "was salvaged" in message
    salvage(made.path, store)
    assert (unit_of(store)["example"][...] == NO_NUMBER).all()
    with pytest.raises(TFRecordDamaged, match="no whole example"):
        s2ct_convert.salvage_tfrecord(put(tmp_path, GOOD[:300], "val_50SMG_1.7z"), tmp_path / "out")


def test_a_salvaged_unit_is_compared_with_its_source_and_with_a_good_one(salvaged, tmp_path):
    store, source = salvaged
    own, good, other = (
        s2ct_convert.verify_against(store, path)[0]
        for path in (source, put(tmp_path / "g", GOOD), put(tmp_path / "x", DATA + RECORDS[0], "train_50SMG_12"))
    )
    found = int(unit_of(store).attributes["source_examples"])
    assert (own.differences, own.lacking) == ((), 0)
    assert (good.differences, good.lacking) == ((), 12 - found)
    assert (other.differences, other.lacking) == ((), 13 - found)


def test_an_example_that_the_source_does_not_have_is_a_difference(salvaged, tmp_path):
    changed = groups()
    changed[0].labels = (changed[0].labels + 1) % 6  # before the gap: found by its number
    changed[11].image[0, 0, 0, 0] += 1  # after it: found by its content
    path = put(tmp_path, b"".join(records(changed)), NAME)
    (compared,) = s2ct_convert.verify_against(salvaged[0], path)
    assert any("examples of the store are not in the source" in one.what for one in compared.differences)
    changed[11].image[0, 0, 0, 0] -= 1
    (compared,) = s2ct_convert.verify_against(salvaged[0], put(tmp_path, b"".join(records(changed)), NAME))
    assert [one.what for one in compared.differences] == ["label differs"]


@pytest.mark.slow
def test_statistics_of_a_salvaged_unit_are_of_what_was_saved_and_say_so(tmp_path):
    salvage(put(tmp_path / "a", DAMAGED), tmp_path / "s.zarr", statistics=True)
    with s2ct_convert.open_store(tmp_path / "s.zarr") as store:
        unit = store[UNIT]
        assert unit.salvaged and unit.attributes["statistics_all_observations"] == unit.observations > 0
        assert "only of the observations that were salvaged" in unit.attributes["statistics"]
        found, expected = store.statistics(), store.statistics(from_pixels=True)
        assert (found.all.histogram == expected.all.histogram).all()
    assert s2ct_convert.verify_store(tmp_path / "s.zarr").ok
