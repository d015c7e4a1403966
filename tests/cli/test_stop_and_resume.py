"""Signals during a conversion: finished units stay, and the final store has the bytes of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import random_group, tfrecord_bytes
from proc import servers_of, workers_of
from twins import SUFFIXES

from .helpers import assert_no_store, assert_tidy

COMMAND = [sys.executable, "-m", "s2ct_convert", "convert"]
UNITS = ("train_50SMG", "val_50SMG")
NAMES = [unit.replace("_", "/") for unit in UNITS]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of 17 MB each, with samples in several examples, so that a unit takes two passes."""
    rng, folder = np.random.default_rng(17), tmp_path_factory.mktemp("long")
    data = tfrecord_bytes([random_group(rng, localid, 50) for localid in (3, 1, 2, 0)]) * 6
    for unit in UNITS:
        (folder / f"{unit}_24").write_bytes(data)
    return folder


@pytest.fixture(scope="module", params=SUFFIXES)
def undisturbed(request, sources, tmp_path_factory) -> Path:
    """A store from one run, with the name and the command that the tests use."""
    folder = tmp_path_factory.mktemp("whole")
    resume(folder, sources, f"x.{request.param}")
    return folder / f"x.{request.param}"


def environment() -> dict[str, str]:
    return {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}


class Stopped:
    """A conversion that got a signal once it had printed ``word``.

    Its pipes close when the last process ends, so a worker that survives causes a timeout.
    """

    def __init__(self, folder: Path, sources: Path, name: str, jobs: int, word: str, *signals: int) -> None:
        process = start(folder, sources, name, jobs)
        self.stderr = read_to(process, word)
        for number in signals:
            os.killpg(process.pid, number)  # to the whole process group, like a terminal or SLURM
        self.stdout, rest = process.communicate(timeout=60)
        self.stderr += rest
        self.code = process.returncode


def start(folder: Path, sources: Path, name: str, jobs: int) -> subprocess.Popen[str]:
    """Start a conversion in its own process group."""
    command, pipe = [*COMMAND, str(sources), name, f"-j{jobs}"], subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment(), text=True, start_new_session=True, stdout=pipe, stderr=pipe
    )


def read_to(process: subprocess.Popen[str], word: str) -> str:
    """The stderr of a process up to the line with ``word``."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if word in line:
            break
    return seen


linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are found in /proc")


def resume(folder: Path, sources: Path, name: str) -> str:
    """Run to the end and return the summary."""
    command = [*COMMAND, str(sources), name, "-q", "-j1"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=environment()).stdout


def assert_equal(store: Path, other: Path) -> None:
    """Compare every file byte for byte."""
    one, two = plain.file_bytes(store), plain.file_bytes(other)
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.parametrize(
    ("number", "code", "word", "jobs"),
    [(signal.SIGINT, 130, "interrupted", 1), (signal.SIGTERM, 143, "terminated", 2)],
)
def test_a_signal_while_a_unit_is_made_is_reported_and_a_rerun_resumes(
    tmp_path, sources, undisturbed, number, code, word, jobs
):
    store = tmp_path / undisturbed.name
    stopped = Stopped(tmp_path, sources, store.name, jobs, ": started", number)
    assert stopped.code == code, stopped.stderr
    done = stopped.stderr.count(": done")
    kept = f"s2ct: {word}; {done} of 2 units of {store.name} {'is' if done == 1 else 'are'} done and kept"
    command = f"  to go on: s2ct convert {sources} {store.name} -j{jobs}"
    assert stopped.stderr.splitlines()[-2:] == [kept, command]
    assert stopped.stderr.count("s2ct: ") == 1
    assert "Traceback" not in stopped.stderr
    assert "FAILED" not in stopped.stderr
    assert stopped.stdout == ""
    assert_no_store(store)
    assert f"{2 - stopped.stderr.count(': done')} converted" in resume(tmp_path, sources, store.name)
    assert_equal(store, undisturbed)


@pytest.mark.slow
def test_a_unit_done_before_a_signal_stays(tmp_path, sources, undisturbed):
    store = tmp_path / undisturbed.name
    stopped = Stopped(tmp_path, sources, store.name, 1, ": done", signal.SIGTERM)
    assert stopped.code == 143, stopped.stderr
    assert_no_store(store)
    assert "1 converted, 1 done before" in resume(tmp_path, sources, store.name)
    assert_equal(store, undisturbed)
    assert_tidy(store)


def test_a_killed_run_leaves_an_incomplete_store_for_the_next_run(tmp_path, sources):
    store, work = tmp_path / "x.zarr", tmp_path / "x.zarr.s2ct" / "work"
    process = start(tmp_path, sources, store.name, 1)
    while not work.exists() or not list(work.iterdir()):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert plain.attributes(store)["state"] == "incomplete"
    assert list(work.iterdir()), "there is a leftover for the next run"
    resume(tmp_path, sources, store.name)
    assert sorted(plain.unit_names(store)) == NAMES
    assert_tidy(store)


@pytest.mark.slow
def test_three_ctrl_c_give_no_traceback(tmp_path, sources):
    stopped = Stopped(tmp_path, sources, "x.h5", 2, ": started", *[signal.SIGINT] * 3)
    assert stopped.code == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr
    resume(tmp_path, sources, "x.h5")
    assert sorted(plain.unit_names(tmp_path / "x.h5")) == NAMES
    assert_tidy(tmp_path / "x.h5")


def interrupt_first(process: subprocess.Popen[str], find: Callable[[int], list[int]]) -> None:
    """Send SIGINT to the first process that is found alive."""
    while process.poll() is None:
        for pid in find(process.pid)[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.002)  # gives it CPU time: a walk through /proc takes longer than it should
    raise AssertionError("the run ended before a process was found")


@linux_only
@pytest.mark.slow
def test_a_starting_worker_ignores_ctrl_c(tmp_path, sources):
    """A terminal signals all processes; a worker that is not yet ignoring SIGINT would show a traceback."""
    process = start(tmp_path, sources, "x.zarr", 2)
    read_to(process, "2 units to convert")
    interrupt_first(process, servers_of)
    interrupt_first(process, workers_of)
    _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    assert process.returncode == 0, stderr


@linux_only
def test_a_killed_worker_loses_only_its_own_unit(tmp_path, sources):
    process = start(tmp_path, sources, "x.zarr", 2)
    read_to(process, ": started")
    first = workers_of(process.pid)[0]
    os.kill(first, signal.SIGKILL)
    stderr = read_to(process, "s2ct retries it once at the end, with 1 job at a time")
    assert "the worker process died (SIGKILL" in stderr
    read_to(process, ": done")  # the other unit
    read_to(process, ": started")
    (second,) = workers_of(process.pid)
    os.kill(second, signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    assert "1 converted, 1 failed" in stdout
    assert stderr.count("the worker process died (SIGKILL, ") == 1
    assert "use fewer jobs (-j)" in stderr
    assert "Traceback" not in stderr
    assert "1 converted, 1 done before" in resume(tmp_path, sources, "x.zarr")
    assert sorted(plain.unit_names(tmp_path / "x.zarr")) == NAMES
    assert_tidy(tmp_path / "x.zarr")
