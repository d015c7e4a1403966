"""Units in this process and in worker processes: order, failures, bugs of s2ct."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from makers import random_group, write_tfrecord

from s2ct_convert.engines.local import run_here, run_processes
from s2ct_convert.names import UnitName
from s2ct_convert.source.find import find_sources
from s2ct_convert.units.entries import StoreOptions
from s2ct_convert.units.events import UnitDone, UnitFailed, UnitStarted
from s2ct_convert.units.ledger import Ledger
from s2ct_convert.units.unit import UnitTask, convert_unit, open_container

OPTIONS = StoreOptions("zarr", "balanced")
UNITS = ("train_31TCJ", "train_34VFN", "train_50SMG")


@pytest.fixture
def tasks(tmp_path) -> list[UnitTask]:
    rng = np.random.default_rng(29)
    paths = [write_tfrecord(tmp_path / "in", [random_group(rng, 1, 3)], unit=unit) for unit in UNITS]
    store = tmp_path / "x.zarr"
    sources = find_sources(paths).sources
    ledger = Ledger(store)
    ledger.begin(OPTIONS, [source.unit for source in sources])
    open_container(store, OPTIONS).begin(ledger.planned(), {})
    return [UnitTask(store, OPTIONS, source, 1) for source in sources]


def run(engine: str, tasks: list[UnitTask]) -> list[object]:
    events: list[object] = []
    if engine == "here":
        run_here(tasks, events.append)
    else:
        run_processes(tasks, 2, events.append)
    return events


both = pytest.mark.parametrize("engine", ["here", "processes"])


@both
def test_every_unit_is_started_and_done(tasks, engine):
    events = run(engine, tasks)
    started = [event.unit for event in events if isinstance(event, UnitStarted)]
    done = [event.entry.unit for event in events if isinstance(event, UnitDone)]
    assert sorted(started) == sorted(done) == ["train/31TCJ", "train/34VFN", "train/50SMG"]
    if engine == "here":
        assert started == done
    assert multiprocessing.active_children() == []


@both
def test_a_damaged_source_fails_alone(tasks, engine):
    path = tasks[1].source.path
    path.write_bytes(path.read_bytes()[:-1])
    events = run(engine, tasks)
    (failed,) = (event for event in events if isinstance(event, UnitFailed))
    assert (failed.unit, failed.exit_code, failed.bug) == ("train/34VFN", 5, False)
    assert sum(isinstance(event, UnitDone) for event in events) == 2


@both
def test_a_machine_fault_stops_the_waiting_units(tasks, engine):
    """The work folder of the ledger is replaced by a file, so that nothing can be written."""
    work = Path(f"{tasks[0].store}.s2ct") / "work"
    work.rmdir()
    work.write_bytes(b"")
    events = run(engine, tasks)
    failed = [event for event in events if isinstance(event, UnitFailed)]
    assert {event.exit_code for event in failed} == {6}
    assert len(failed) == {"here": 1, "processes": 2}[engine]
    assert not any(isinstance(event, UnitDone) for event in events)


def test_a_bug_is_reported_as_a_bug_with_its_traceback(tasks, monkeypatch):
    def broken(*args: object) -> None:
        raise ZeroDivisionError("one divided by none")

    monkeypatch.setattr("s2ct_convert.engines.worker.convert_unit", broken)
    (failed, *_) = (event for event in run("here", tasks) if isinstance(event, UnitFailed))
    assert "this is a bug of s2ct" in failed.message
    assert "ZeroDivisionError: one divided by none" in failed.message
    assert failed.bug
    assert failed.traceback.startswith("Traceback")


def test_out_of_memory_is_a_machine_fault(tasks, monkeypatch):
    def hungry(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr("s2ct_convert.engines.worker.convert_unit", hungry)
    (failed,) = (event for event in run("here", tasks) if isinstance(event, UnitFailed))
    assert failed.exit_code == 6
    assert "use fewer jobs" in failed.message


@pytest.mark.parametrize("when", [lambda n: n > 0, lambda n: n == 0], ids=["reading", "second pass"])
def test_the_progress_callback_may_abort_a_unit_without_leftovers(tmp_path, when):
    """It raises a BaseException, like a Dask worker that must stop. The samples of the source are not sorted."""

    class Stop(BaseException):
        pass

    def on_bytes(n: int) -> None:
        if when(n):
            raise Stop

    rng = np.random.default_rng(31)
    path = write_tfrecord(tmp_path / "in", [random_group(rng, localid, 3) for localid in (2, 1)])
    store = tmp_path / "x.zarr"
    (source,) = find_sources([path]).sources
    ledger = Ledger(store)
    ledger.begin(OPTIONS, [source.unit])
    open_container(store, OPTIONS).begin(ledger.planned(), {})
    with pytest.raises(Stop):
        convert_unit(UnitTask(store, OPTIONS, source, 1), on_bytes)
    assert list((ledger.path / "work").iterdir()) == []
    assert ledger.entry(source.unit) is None


def test_an_exception_in_the_callback_ends_the_workers(tasks):
    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_processes(tasks, 2, stop)
    assert multiprocessing.active_children() == []


def test_unit_names_sort_by_split_then_tile():
    assert sorted([UnitName("val", "31TCJ"), UnitName("train", "50SMG")])[0].split == "train"
