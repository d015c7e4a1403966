"""Lost workers, a lost scheduler, a stopped client: only finished units stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import plain
import pytest
from twins import SUFFIXES, first_quick, slow

import s2ct_convert
from s2ct_convert.engines import dask_engine
from s2ct_convert.errors import Incomplete
from s2ct_convert.events import Message
from s2ct_convert.units.events import UnitDone, UnitFailed, UnitStarted

pytest.importorskip("distributed")

from .dask_processes import DaskProcesses, at_work

COMMAND = [sys.executable, "-m", "s2ct_convert", "convert"]


@pytest.fixture(autouse=True)
def dated(monkeypatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture(scope="module", params=SUFFIXES)
def undisturbed(request, long_sources, tmp_path_factory) -> Path:
    """A store made locally without interruption."""
    store = tmp_path_factory.mktemp("whole") / f"x.{request.param}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        s2ct_convert.convert(long_sources, store, command="the same")
    return store


class Listener:
    """Collects events; ``act`` is called once, with the process id of the worker, when a unit is being made."""

    def __init__(self, store: Path, act=None) -> None:
        self.events: list[object] = []
        self._store, self._act = store, act

    def __call__(self, event: object) -> None:
        self.events.append(event)
        if self._act and isinstance(event, UnitStarted):
            act, self._act = self._act, None
            act(at_work(self._store))

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


def convert(dask, sources: Path, listener: Listener, store: Path, timeout: float = 60.0):
    return s2ct_convert.convert(
        sources,
        store,
        engine="dask",
        scheduler_file=dask.file,
        workers_timeout=timeout,
        on_event=listener,
        command="the same",
    )


def no_work_left(store: Path) -> bool:
    return list((Path(f"{store}.s2ct") / "work").iterdir()) == []


def assert_equal(store: Path, other: Path) -> None:
    one, two = plain.file_bytes(store), plain.file_bytes(other)
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.parametrize("nanny", first_quick([True, False]), ids=["with a nanny", "alone"])
@pytest.mark.slow
def test_the_unit_of_a_killed_worker_is_made_by_another(dask, tmp_path, long_sources, undisturbed, nanny):
    store = tmp_path / undisturbed.name
    dask.start_workers(2, nanny=nanny)
    killed: list[str] = []

    def kill(pid: int) -> None:
        killed.append(dask.addresses()[pid])
        os.kill(pid, signal.SIGKILL)

    listener = Listener(store, kill)
    convert(dask, long_sources, listener, store)
    (note,) = listener.of(Message)
    assert f"its worker {killed[0]} was lost; making the unit again" in note.text
    assert len(listener.of(UnitDone)) == len(listener.of(UnitStarted)) == 4
    assert no_work_left(store)
    assert_equal(store, undisturbed)


@pytest.mark.slow
def test_a_unit_is_done_if_its_worker_dies_after_writing_the_entry(dask, tmp_path, long_sources, undisturbed):
    """The ledger has the entry, so the unit is not made again."""
    preload = dask.folder / "preload.py"
    preload.write_text(
        "import os, signal\n"
        "from s2ct_convert.units.ledger import Ledger\n"
        "write = Ledger.write\n"
        "def write_and_die(self, entry):\n    write(self, entry)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "def dask_setup(worker):\n    Ledger.write = write_and_die\n"
    )
    store = tmp_path / undisturbed.name
    dask.start_workers(2, "--preload", str(preload), nanny=True)
    listener = Listener(store)
    convert(dask, long_sources, listener, store)
    assert listener.of(Message) == []
    assert len(listener.of(UnitDone)) == len(listener.of(UnitStarted)) == 4
    assert_equal(store, undisturbed)


@pytest.mark.slow
def test_leftovers_of_a_killed_worker_on_another_host_are_deleted(dask, tmp_path, long_sources):
    """The client does not know whether a process on another host is alive; a worker there does."""
    if os.geteuid() or subprocess.run(["unshare", "-u", "hostname", "node2"], capture_output=True).returncode:
        pytest.skip("a second host name needs root, and not every container allows it")
    store = tmp_path / "x.zarr"
    dask.start_workers(2, prefix=["unshare", "-u", "sh", "-c", 'hostname node2 && exec "$@"', "sh"])
    listener = Listener(store, lambda pid: os.kill(pid, signal.SIGKILL))
    convert(dask, long_sources, listener, store)
    assert len(listener.of(Message)) == 1
    assert no_work_left(store)


@slow
def test_a_unit_fails_after_three_dead_workers_and_others_are_done(dask, tmp_path, long_sources):
    """Its source is a pipe without a writer; each worker that opens it is killed, and its nanny starts a new one."""
    folder, store = tmp_path / "in", tmp_path / "x.h5"
    folder.mkdir()
    for source in long_sources.iterdir():
        (folder / source.name).symlink_to(source)
    dask.start_workers(1, nanny=True)
    killed: list[str] = []

    def kill_when_at_work() -> None:
        work = Path(f"{store}.s2ct") / "work"
        dead: set[int] = set()
        while len(killed) < 3:
            for path in work.glob("train_31TCJ.*") if work.exists() else ():
                pid = int(path.name.rpartition(".")[2])
                if pid not in dead:
                    dead.add(pid)
                    killed.append(dask.addresses()[pid])
                    os.kill(pid, signal.SIGKILL)

    run_dask, listener = dask_engine.run_dask, Listener(store)

    def with_a_pipe(tasks, cluster, on_event):
        (folder / "train_31TCJ_24").unlink()
        os.mkfifo(folder / "train_31TCJ_24")
        threading.Thread(target=kill_when_at_work, daemon=True).start()
        run_dask(tasks, cluster, on_event)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(s2ct_convert.UnitsFailed) as caught:
        patch.setattr(dask_engine, "run_dask", with_a_pipe)
        convert(dask, folder, listener, store)
    (failed,) = listener.of(UnitFailed)
    assert (failed.unit, failed.exit_code, failed.bug) == ("train/31TCJ", 3, False)
    assert f"3 workers died while they made this unit: {', '.join(killed)}" in failed.message
    assert caught.value.exit_code == 3
    assert len(listener.of(UnitDone)) == 3
    assert no_work_left(store)


@pytest.mark.slow
def test_the_unit_of_a_retired_worker_is_made_by_another(dask, tmp_path, long_sources, undisturbed):
    store = tmp_path / undisturbed.name
    workers = dask.start_workers(2)
    retired: list[subprocess.Popen[bytes]] = []

    def retire(pid: int) -> None:
        dask.admin.retire_workers([dask.addresses()[pid]])
        retired.extend(worker for worker in workers if worker.pid == pid)

    listener = Listener(store, retire)
    convert(dask, long_sources, listener, store)
    assert len(listener.of(UnitDone)) == 4
    assert retired[0].wait(timeout=60) == 0
    assert no_work_left(store)
    assert_equal(store, undisturbed)


@slow
def test_a_run_without_workers_times_out_and_resumes(dask, tmp_path, long_sources, undisturbed):
    store = tmp_path / undisturbed.name
    workers = dask.start_workers(2)

    def kill_all(pid: int) -> None:
        for worker in workers:
            worker.kill()

    began = time.monotonic()
    with pytest.raises(Incomplete) as caught:
        convert(dask, long_sources, Listener(store, kill_all), store, timeout=2.0)
    assert time.monotonic() - began < 30
    assert caught.value.exit_code == 3
    assert "4 units are not done" in caught.value.found
    assert "start workers and run the same command again" in caught.value.todo
    dask.start_workers(1)
    listener = Listener(store)
    convert(dask, long_sources, listener, store)
    assert no_work_left(store)
    assert_equal(store, undisturbed)


def start(dask, sources: Path, store: Path) -> subprocess.Popen[str]:
    """Start the command in its own process group."""
    command = [*COMMAND, str(sources), str(store), "--engine", "dask", "--scheduler-file", str(dask.file)]
    return subprocess.Popen(command, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def resume(dask, sources: Path, store: Path, undisturbed: Path, before: int) -> None:
    """Run again to the end: finished units are skipped, and the store equals an uninterrupted one."""
    listener = Listener(store)
    summary = convert(dask, sources, listener, store)
    assert len(summary.skipped) == before
    assert no_work_left(store)
    assert_equal(store, undisturbed)


def entries(store: Path) -> int:
    return len(list((Path(f"{store}.s2ct") / "units").glob("*.json")))


STOPPED = [("SIGTERM", 143, "terminated"), ("SIGINT", 130, "interrupted")]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "word"), STOPPED)
def test_a_stopped_client_stops_its_workers_and_resumes(dask, tmp_path, long_sources, undisturbed, number, code, word):
    store = tmp_path / undisturbed.name
    dask.start_workers(2)
    process = start(dask, long_sources, store)
    at_work(store)
    process.send_signal(signal.Signals[number])
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert no_work_left(store)  # at once
    assert f"s2ct: {word}; 0 of 4 units of {store} are done and kept" in stderr.splitlines()
    assert stderr.splitlines()[-1].startswith("  to go on: s2ct convert ")
    assert "Traceback" not in stderr
    assert "distributed" not in stderr
    assert "FAILED" not in stderr
    assert "note: " not in stderr
    assert stdout == ""
    resume(dask, long_sources, store, undisturbed, entries(store))


@pytest.mark.slow
def test_workers_stop_when_the_client_is_killed(dask, tmp_path, long_sources, undisturbed):
    store = tmp_path / undisturbed.name
    dask.start_workers(1)
    process = start(dask, long_sources, store)
    at_work(store)
    process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 20
    while not no_work_left(store):
        assert time.monotonic() < end
    assert entries(store) < 4
    resume(dask, long_sources, store, undisturbed, entries(store))


@pytest.mark.slow
def test_a_lost_scheduler_ends_client_and_workers_and_the_run_resumes(
    dask, tmp_path, long_sources, undisturbed, tmp_path_factory
):
    store = tmp_path / undisturbed.name
    workers = dask.start_workers(2)
    process = start(dask, long_sources, store)
    while not entries(store):
        assert process.poll() is None
    at_work(store)
    dask.scheduler.kill()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 7, stderr
    assert "lost the connection to the Dask scheduler" in stderr
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert stderr.count("s2ct: ") == 1
    for worker in workers:
        worker.wait(timeout=60)
    assert no_work_left(store)
    another = DaskProcesses(tmp_path_factory.mktemp("another"))
    try:
        another.start_workers(1)
        resume(another, long_sources, store, undisturbed, entries(store))
    finally:
        another.close()
