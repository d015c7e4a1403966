"""Worker processes: their number and order, what they inherit, and the report of each way in which they end."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from archives.native_programs import script
from makers import random_group, write_archive, write_tfrecord
from twins import first_quick

import s2ct_convert
from s2ct_convert.engines import local
from s2ct_convert.engines.local import run_here, run_processes
from s2ct_convert.source.find import find_sources
from s2ct_convert.units.entries import StoreOptions
from s2ct_convert.units.events import UnitDone, UnitFailed, UnitProgress, UnitRetried, UnitStarted
from s2ct_convert.units.ledger import Ledger
from s2ct_convert.units.unit import UnitTask, open_container

OPTIONS = StoreOptions("zarr", "balanced")
UNITS = ("train_31TCJ", "train_34VFN", "train_50SMG", "val_50SMG")
NAMES = [unit.replace("_", "/") for unit in UNITS]


@pytest.fixture
def tasks(tmp_path) -> list[UnitTask]:
    rng = np.random.default_rng(47)
    paths = [write_tfrecord(tmp_path / "in", [random_group(rng, 1, 90)], unit=unit) for unit in UNITS]
    store = tmp_path / "x.zarr"
    sources = find_sources(paths).sources
    ledger = Ledger(store)
    ledger.begin(OPTIONS, [source.unit for source in sources])
    open_container(store, OPTIONS).begin(ledger.planned(), {})
    return [UnitTask(store, OPTIONS, source, 1) for source in sources]


class Listener:
    """Collects events, and the live processes at each; calls ``act`` at the first ``times`` starts of ``unit``."""

    def __init__(self, unit: str = "", act: object = None, times: int = 1) -> None:
        self.events: list[object] = []
        self.alive: list[int] = []
        self._unit, self._act, self._times = unit, act, times

    def __call__(self, event: object) -> None:
        self.events.append(event)
        self.alive.append(len(multiprocessing.active_children()))
        if self._act and isinstance(event, UnitStarted) and event.unit == self._unit:
            self._times -= 1
            act = self._act
            if not self._times:
                self._act = None
            act()

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


def block(task: UnitTask) -> None:
    """Replace the source by a pipe without a writer, so that a process which opens it blocks."""
    task.source.path.unlink()
    os.mkfifo(task.source.path)


def broken(task: UnitTask) -> UnitTask:
    """A task that triggers a bug: the number of threads is not a number."""
    return dataclasses.replace(task, threads="two")


def test_one_job_runs_tasks_in_order_one_at_a_time(tasks):
    listener = Listener()
    run_processes(tasks, 1, listener)
    kinds = [(type(event), getattr(event, "unit", None)) for event in listener.events]
    starts = [unit for kind, unit in kinds if kind is UnitStarted]
    assert starts == NAMES
    assert [kind for kind, _ in kinds if kind is not UnitProgress] == [UnitStarted, UnitDone] * 4
    assert max(listener.alive) == 1


def test_there_are_never_more_workers_than_jobs(tasks):
    listener = Listener()
    run_processes(tasks, 2, listener)
    assert max(listener.alive) == 2
    assert len(listener.of(UnitDone)) == 4


@pytest.mark.parametrize("engine", [run_here, lambda tasks, listener: run_processes(tasks, 2, listener)])
def test_the_progress_of_a_unit_adds_up_to_its_file(tasks, engine):
    listener = Listener()
    engine(tasks, listener)
    for task, unit in zip(tasks, NAMES, strict=True):
        read = sum(event.bytes for event in listener.of(UnitProgress) if event.unit == unit)
        assert read == task.source.path.stat().st_size
    assert all(event.bytes > 0 for event in listener.of(UnitProgress))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_workers_hold_no_file_of_the_parent_open(tasks, tmp_path):
    """A plain fork would inherit the open files of the parent, and the locks of its threads."""
    block(tasks[0])
    found: list[str] = []

    def look() -> None:
        (child,) = multiprocessing.active_children()
        proc = Path(f"/proc/{child.pid}")
        found[:] = [(proc / "cmdline").read_text()]
        for fd in (proc / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed in the meantime
                found.append(str(fd.readlink()))
        os.kill(child.pid, signal.SIGKILL)

    with open(tmp_path / "of the parent", "w"):
        listener = Listener(NAMES[0], look, times=2)
        run_processes(tasks[:1], 2, listener)  # the unit is tried twice
    command, *files = found
    assert "multiprocessing.forkserver" in command, (found, listener.events)
    assert files
    assert not [file for file in files if file.endswith("of the parent")]


@pytest.mark.parametrize(
    ("by", "cause"),
    first_quick([("SIGKILL", "(SIGKILL, "), ("SIGTERM", "(exit code 143, "), ("SIGSEGV", "(SIGSEGV, ")], quick=2),
)
def test_a_dead_worker_loses_only_its_own_unit(tasks, by, cause):
    block(tasks[1])

    def kill() -> None:
        (child,) = multiprocessing.active_children()
        os.kill(child.pid, signal.Signals[by])

    listener = Listener(NAMES[1], kill, times=2 if by == "SIGKILL" else 1)
    run_processes(tasks, 1, listener)
    (failed,) = listener.of(UnitFailed)
    assert [event.unit for event in listener.of(UnitRetried)] == ([NAMES[1]] if by == "SIGKILL" else [])
    assert (failed.unit, failed.exit_code, failed.bug) == (NAMES[1], 3, False)
    assert f"{UNITS[1]}_1: the worker process died" in failed.message
    assert cause in failed.message
    assert re.search(r", peak memory [1-9][\d,]* MB\)", failed.message)
    assert ledger_failure(tasks[1]) == (3, failed.message)
    assert "run the same command again" in failed.message
    assert [event.entry.unit for event in listener.of(UnitDone)] == [NAMES[0], *NAMES[2:]]
    ledger = Ledger(tasks[0].store)
    ledger.clean()
    assert list((ledger.path / "work").iterdir()) == []
    assert ledger.entry(tasks[1].source.unit) is None


def ledger_failure(task: UnitTask) -> tuple[int, str]:
    failure = Ledger(task.store).failure(task.source.unit)
    return failure.exit_code, failure.message


@pytest.mark.parametrize(("jobs", "left"), first_quick([(4, 2), (1, 1)]))
def test_the_unit_of_a_killed_worker_is_retried_once_with_fewer_jobs(tasks, jobs, left):
    """The system kills processes when memory runs out; at the retry there may be more memory."""
    path = tasks[0].source.path
    content = path.read_bytes()
    block(tasks[0])

    def kill() -> None:
        (child,) = [child for child in multiprocessing.active_children() if holds_open(child.pid, path)]
        path.unlink()
        path.write_bytes(content)
        os.kill(child.pid, signal.SIGKILL)

    listener = Listener(NAMES[0], kill)
    run_processes(tasks, jobs, listener)
    (again,) = listener.of(UnitRetried)
    assert (again.unit, again.jobs, again.bytes) == (NAMES[0], left, 0)
    assert again.cause.startswith("the worker process died (SIGKILL")
    assert listener.of(UnitFailed) == []
    assert [event.unit for event in listener.of(UnitStarted)][-1] == NAMES[0]
    assert {event.entry.unit for event in listener.of(UnitDone)} == set(NAMES)
    assert Ledger(tasks[0].store).failure(tasks[0].source.unit) is None


def holds_open(pid: int, path: Path) -> bool:
    """Whether a process makes the unit of this source, by its lease."""
    lease = Ledger(path.parent.parent / "x.zarr").path / "leases" / f"{UNITS[0]}.lease"
    while not (lease.exists() and lease.read_text()):
        assert multiprocessing.active_children()
    return json.loads(lease.read_text())["pid"] == pid


@pytest.mark.slow
def test_output_of_a_worker_is_shown_with_its_unit(tmp_path):
    """Output is shown in whole lines, with or without a final newline, also with ``-q``."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'multiprocessing.forkserver' in ' '.join(sys.orig_argv):\n"
        "    from multiprocessing.util import Finalize, register_after_fork\n"
        "    output = (2, b'one\\ntwo \\xff\\n' + b'3' * 200_000)\n"
        "    register_after_fork(Finalize, lambda _: Finalize(None, os.write, output, exitpriority=1))\n"
    )
    rng = np.random.default_rng(47)
    paths = [write_tfrecord(tmp_path / "in", [random_group(rng, 1, 9)], unit=unit) for unit in UNITS[:2]]
    command = [sys.executable, "-m", "s2ct_convert", "convert", *map(str, paths), str(tmp_path / "x.zarr"), "-j2", "-q"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 0, done.stderr
    for unit in NAMES[:2]:
        lines = [line.removeprefix(f"{unit}: ") for line in done.stderr.splitlines() if line.startswith(unit)]
        assert [line for line in lines if not line.startswith(("started", "done"))] == [
            "one",
            "two \\xff",
            "3" * 200_000,
        ]


@pytest.mark.slow
def test_workers_have_the_current_environment_of_their_parent(tasks, monkeypatch, tmp_path):
    """Not the older environment of the server that forks them. Here, PATH gets a 7-Zip program that fails."""
    archive = tasks[0].source.path.with_suffix(".7z")
    write_archive(archive, {tasks[0].source.path.name: tasks[0].source.path.read_bytes()})
    (source,) = find_sources([archive]).sources
    run_processes(tasks[1:2], 2, Listener())
    script(tmp_path / "bin", "exit 2", version="77.01")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    listener = Listener()
    run_processes([dataclasses.replace(tasks[0], source=source, unpacker="7zz")], 2, listener)
    (failed,) = listener.of(UnitFailed)
    assert "7zz 77.01" in failed.message


def test_a_worker_that_cannot_start_fails_only_its_unit(tasks, capfd):
    """The worker cannot unpickle its task, and ends before its first event."""
    tasks[0] = dataclasses.replace(tasks[0], threads=_NotThere())
    listener = Listener()
    run_processes(tasks, 2, listener)
    (failed,) = listener.of(UnitFailed)
    assert failed.unit == NAMES[0]
    assert "the worker process died (exit code 1" in failed.message
    assert len(listener.of(UnitDone)) == 3


class _NotThere:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple:
        return (int, ("not a number",))


@pytest.mark.parametrize("engine", [run_here, lambda tasks, listener: run_processes(tasks, 2, listener)])
def test_a_bug_in_one_unit_has_a_traceback_and_others_are_done(tasks, engine):
    listener = Listener()
    engine([broken(tasks[0]), *tasks[1:]], listener)
    (failed,) = listener.of(UnitFailed)
    assert (failed.unit, failed.exit_code, failed.bug) == (NAMES[0], 1, True)
    assert "this is a bug of s2ct; please report it" in failed.message
    assert failed.traceback.startswith("Traceback")
    assert "TypeError" in failed.traceback
    assert len(listener.of(UnitDone)) == 3


def test_a_machine_fault_starts_no_unit_and_waits_for_running_ones(tasks):
    """The split folder of one unit is a file. The test kills the unit beside it, after that failure was reported."""
    first, second, third, bad = tasks
    (bad.store / "val" / "zarr.json").unlink()
    (bad.store / "val").rmdir()
    (bad.store / "val").write_bytes(b"")
    block(first)
    events: list[object] = []

    def on_event(event: object) -> None:
        events.append(event)
        if isinstance(event, UnitFailed) and event.unit == "val/50SMG":
            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGKILL)

    run_processes([first, bad, second, third], 2, on_event)
    failed = [event for event in events if isinstance(event, UnitFailed)]
    assert [(event.unit, event.exit_code) for event in failed] == [("val/50SMG", 6), (NAMES[0], 3)]
    assert "SIGKILL" in failed[1].message
    assert {event.unit for event in events if isinstance(event, UnitStarted)} == {NAMES[0], "val/50SMG"}


def test_no_tasks_give_no_events():
    listener = Listener()
    run_here([], listener)
    run_processes([], 2, listener)
    assert listener.events == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_exception_ends_all_workers_and_they_clean_up(tasks, error, monkeypatch):
    """The exception comes when there is work to delete: the file of a unit is created before its source is opened."""
    tasks = [dataclasses.replace(task, options=StoreOptions("hdf5", "gzip")) for task in tasks]
    block(tasks[0])
    monkeypatch.setattr(local, "STOP_SECONDS", 120)  # however slow the machine
    work = Ledger(tasks[0].store).path / "work"

    def leave() -> None:
        while not list(work.iterdir()):  # the worker will create it
            assert multiprocessing.active_children()
        raise error

    with pytest.raises(error):
        run_processes(tasks[:1], 2, Listener(NAMES[0], leave))
    assert list(work.iterdir()) == []
    assert multiprocessing.active_children() == []


def test_a_script_without_a_main_guard_fails_with_one_sentence(tmp_path):
    paths = [str(write_tfrecord(tmp_path, [random_group(np.random.default_rng(1), 1, 2)], unit=u)) for u in UNITS[:2]]
    script, call = tmp_path / "mine.py", f"s2ct_convert.convert({paths}, {str(tmp_path / 'x.zarr')!r}, jobs=2)\n"
    script.write_text(f"import s2ct_convert\n{call}")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("Traceback") == 1
    *_, sentence, todo = done.stderr.splitlines()
    assert sentence.endswith("each worker process imports this script, and the script then starts the conversion again")
    assert str(script) in sentence
    assert 'under  if __name__ == "__main__":  or give jobs=1' in todo
    script.write_text(f"import s2ct_convert\nif __name__ == '__main__':\n    {call}")
    subprocess.run([sys.executable, script], check=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_a_worker_imports_no_package_that_its_server_could_have(s2ct, tmp_path, suffix):
    sources = s2ct_convert.sample_sources()[:2]
    said = s2ct("convert", "-j2", *sources, tmp_path / f"x.{suffix}", env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"})
    assert not said.returncode, said.stderr
    found = re.findall(r"^(?:train|val)/\w+: import time:[\d |]+ ([\w.]+)$", said.stderr, re.MULTILINE)
    known = sys.stdlib_module_names | {"h5py"}  # which imports a part of itself late
    assert found and {name.partition(".")[0] for name in found} - known == set()
