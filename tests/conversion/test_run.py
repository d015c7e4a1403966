"""The conversion as a function: arguments, events, result."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import Group, random_group, tfrecord_bytes, write_archive, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import DestinationExists, WrongUsage
from s2ct_convert.events import Message
from s2ct_convert.units.events import Finalising, UnitDone, UnitFailed, UnitProgress, UnitsPlanned, UnitStarted


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    rng = np.random.default_rng(23)
    folder = tmp_path_factory.mktemp("in")
    return [
        write_tfrecord(folder, [random_group(rng, 2, 30), random_group(rng, 1, 40)]),
        write_tfrecord(folder, [random_group(rng, 9, 35)], unit="val_50SMG"),
        write_archive(folder / "train_49RGN_1.7z", {"train_49RGN_1": tfrecord_bytes([random_group(rng, 3, 33)])}),
    ]


@pytest.mark.parametrize("kind", [str, Path, lambda path: [str(path)], lambda path: (path,)])
def test_sources_may_be_one_path_or_several(tmp_path, sources, kind):
    summary = s2ct_convert.convert(kind(sources[0]), str(tmp_path / "x.zarr"))
    assert [entry.unit for entry in summary.converted] == ["train/50SMG"]


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_the_summary_matches_the_store(tmp_path, sources, suffix):
    summary = s2ct_convert.convert(sources, tmp_path / f"x.{suffix}")
    assert summary.digest == plain.store_digest(summary.store)
    assert summary.bytes_in == sum(source.stat().st_size for source in sources)
    assert summary.bytes_raw == (70 + 35 + 33) * 14_112
    assert summary.failures == summary.skipped == summary.missing == ()
    for entry in summary.converted:
        unit = plain.arrays(summary.store, entry.unit)
        assert (entry.samples, entry.observations) == (len(unit["localid"]), len(unit["time"]))
        assert (entry.time_first, entry.time_last) == (unit["time"].min(), unit["time"].max())
        assert entry.label_count == np.bincount(unit["label"], minlength=6).tolist()
        assert entry.digest == plain.unit_digest(unit)
        assert entry.seconds > 0
    assert {entry.unit: entry.passes for entry in summary.converted} == {
        "train/49RGN": 1,
        "train/50SMG": 2,
        "val/50SMG": 1,
    }


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_jobs_and_order_do_not_change_the_bytes(tmp_path, sources, suffix, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")

    def made(name: str, *steps: list[Path], jobs: int) -> dict[str, bytes]:
        store = tmp_path / name / f"x.{suffix}"
        for step in steps:
            s2ct_convert.convert(step, store, jobs=jobs, command="s2ct convert")
        return plain.file_bytes(store)

    at_once = made("one", sources, jobs=1)
    assert made("two", sources, jobs=2) == at_once
    assert made("three", list(reversed(sources)), jobs=3) == at_once
    assert made("grown", sources[2:], sources, jobs=1) == at_once


class TestEvents:
    def test_events_are_ordered_and_bytes_add_up(self, tmp_path, sources):
        events = []
        s2ct_convert.convert(sources, tmp_path / "x.zarr", on_event=events.append)
        kinds = [type(event) for event in events if not isinstance(event, UnitProgress)]
        assert kinds == [UnitsPlanned, *[UnitStarted, UnitDone] * 3, Finalising]
        assert events[0] == UnitsPlanned(sum(source.stat().st_size for source in sources), 3, 0)
        for source, unit in zip(sources, ("train/50SMG", "val/50SMG", "train/49RGN"), strict=True):
            read = sum(event.bytes for event in events if isinstance(event, UnitProgress) and event.unit == unit)
            assert read >= source.stat().st_size

    def test_the_largest_source_comes_first(self, tmp_path, sources):
        events = []
        s2ct_convert.convert(sources, tmp_path / "x.zarr", on_event=events.append)
        started = [event.unit for event in events if isinstance(event, UnitStarted)]
        by_size = sorted(sources, key=lambda path: path.stat().st_size, reverse=True)
        assert started == [f"{split}/{tile}" for split, tile, _ in (path.stem.split("_") for path in by_size)]

    def test_skipped_files_are_noted(self, tmp_path, sources):
        folder = tmp_path / "in"
        shutil.copytree(sources[0].parent, folder)
        (folder / "readme.txt").write_text("hello")
        events = []
        s2ct_convert.convert(folder, tmp_path / "x.zarr", on_event=events.append)
        (note,) = (event for event in events if isinstance(event, Message))
        assert "readme.txt" in note.text

    def test_a_failure_is_an_event_and_other_units_are_made(self, tmp_path, sources):
        lying = Path(shutil.copy(sources[0], tmp_path / "train_50SMG_3000"))
        events = []
        with pytest.raises(s2ct_convert.UnitsFailed) as caught:
            s2ct_convert.convert([lying, *sources[1:]], tmp_path / "x.zarr", on_event=events.append)
        (failed,) = (event for event in events if isinstance(event, UnitFailed))
        assert (failed.unit, failed.exit_code) == ("train/50SMG", 5)
        summary = caught.value.summary
        assert {entry.unit for entry in summary.converted} == {"train/49RGN", "val/50SMG"}
        assert summary.failures == (failed,)
        assert summary.missing == ("train/50SMG",)
        assert (summary.state, summary.digest) == ("partial", plain.store_digest(tmp_path / "x.zarr"))
        again = s2ct_convert.convert(sources, tmp_path / "x.zarr")
        assert [entry.unit for entry in again.converted] == ["train/50SMG"]


class TestAgain:
    @pytest.fixture
    def store(self, tmp_path, sources, suffix) -> Path:
        path = tmp_path / f"x.{suffix}"
        s2ct_convert.convert(sources, path)
        return path

    def test_a_touched_archive_is_known_by_its_md5(self, tmp_path, sources):
        mine = Path(shutil.copy(sources[2], tmp_path))
        s2ct_convert.convert(mine, tmp_path / "x.zarr")
        os.utime(mine, (1, 1))
        assert len(s2ct_convert.convert(mine, tmp_path / "x.zarr").skipped) == 1

    def test_a_unit_deleted_from_a_zarr_store_is_made_again(self, tmp_path, sources):
        store = tmp_path / "x.zarr"
        digest = s2ct_convert.convert(sources, store).digest
        shutil.rmtree(store / "val" / "50SMG")
        summary = s2ct_convert.convert(sources, store)
        assert [entry.unit for entry in summary.converted] == ["val/50SMG"]
        assert summary.digest == digest

    def test_a_store_without_its_ledger_is_not_changed(self, store, sources):
        shutil.rmtree(store.with_name(f"{store.name}.s2ct"))
        before = plain.file_bytes(store)
        with pytest.raises(DestinationExists):
            s2ct_convert.convert(sources, store)
        assert plain.file_bytes(store) == before
        assert len(s2ct_convert.convert(sources, store, overwrite=True).converted) == 3

    def test_a_unit_with_a_broken_entry_is_made_again(self, store, sources, suffix):
        entry = store.with_name(f"{store.name}.s2ct") / "units" / "val_50SMG.json"
        entry.write_text(entry.read_text()[:50])
        summary = s2ct_convert.convert(sources, store)
        assert [one.unit for one in summary.converted] == ["val/50SMG"]

    def test_a_broken_ledger_is_refused_and_nothing_changes(self, store, sources):
        path = store.with_name(f"{store.name}.s2ct") / "store.json"
        path.write_text(path.read_text()[:20])
        before = plain.file_bytes(store)
        with pytest.raises(s2ct_convert.S2ctError, match="restore this file") as caught:
            s2ct_convert.convert(sources, store)
        assert str(path) in str(caught.value)
        assert "--overwrite" not in str(caught.value)  # do not suggest to delete unreadable data
        assert plain.file_bytes(store) == before
        assert len(s2ct_convert.convert(sources, store, overwrite=True).converted) == 3

    def test_a_run_on_some_sources_keeps_the_other_units(self, store, sources):
        summary = s2ct_convert.convert(sources[:1], store)
        assert len(summary.skipped) == 1
        assert len(plain.unit_names(store)) == 3

    def test_other_options_are_refused(self, store, sources, suffix):
        with pytest.raises(DestinationExists, match="a conversion with other options was started here"):
            s2ct_convert.convert(sources, store, codec={"zarr": "fast", "h5": "blosc"}[suffix])


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_examples_without_timestamps_are_samples_without_observations(tmp_path, rng, suffix):
    empty = Group(7, *(np.empty(0, dtype) for dtype in ("<u2", "i1", "<i8", "<f4")))
    s2ct_convert.convert(write_tfrecord(tmp_path, [random_group(rng, 5, 3), empty]), tmp_path / f"x.{suffix}")
    with s2ct_convert.open_store(tmp_path / f"x.{suffix}") as store:
        unit = store["train/50SMG"]
        assert unit.localid.tolist() == [5, 7]
        assert len(unit.sample(7).time) == 0
        assert store.index["row_size"].tolist() == [3, 0]


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_labels_of_6_x_6_pixels_stay_6_x_6(tmp_path, rng, suffix):
    group = random_group(rng, 5, 3, label_pixels=36)
    s2ct_convert.convert(write_tfrecord(tmp_path, [group]), tmp_path / f"x.{suffix}")
    with s2ct_convert.open_store(tmp_path / f"x.{suffix}") as store:
        sample = store["train/50SMG"].sample(5)
        assert sample.label.tobytes() == group.labels.tobytes()
        assert sample.label.shape == (3, 6, 6)


def test_an_unknown_format_is_wrong_usage(tmp_path, sources):
    with pytest.raises(WrongUsage, match="unknown format 'netcdf'"):
        s2ct_convert.convert(sources, tmp_path / "x", format="netcdf")
