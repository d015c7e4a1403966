"""SIGKILL at random moments to all processes of a conversion, to a worker, to finalise; then the same command resumes.

A moment is a fraction of the time that an uninterrupted run took on this machine, from its first line on.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord
from proc import workers_of
from twins import first_quick

UNITS = [f"{split}_{tile}" for split in ("train", "val") for tile in ("31TCJ", "34VFN", "49RGN")]
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}


def moments(*numbers: int) -> pytest.MarkDecorator:
    """How many kills; more than a few take minutes, and test_crash.py kills before each step."""
    return pytest.mark.parametrize("kills", first_quick(numbers, quick=len(numbers) - 1))


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """Six units of 4 MB; every second one needs a second pass."""
    rng, folder = np.random.default_rng(71), tmp_path_factory.mktemp("in")
    for i, unit in enumerate(UNITS):
        write_tfrecord(folder, [random_group(rng, localid, 95) for localid in ((1, 2, 3), (3, 1, 2))[i % 2]], unit=unit)
    return folder


class Run:
    """A conversion in two processes and its own process group; ``word`` has appeared on its stderr."""

    def __init__(self, sources: Path, store: Path, *, word: str = "to convert") -> None:
        command = [sys.executable, "-m", "s2ct_convert", "convert", str(sources), store.name, "-j2"]
        self._process = subprocess.Popen(
            command,
            cwd=store.parent,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        for line in self._process.stderr:
            self.output += line
            if word in line:
                break
        self.began = time.monotonic()

    def kill(self) -> None:
        """Kill its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill_a_worker(self, choice: random.Random) -> None:
        if workers := workers_of(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(choice.choice(workers), signal.SIGKILL)

    def end(self) -> int:
        """Wait for the end of all its processes; return the exit code."""
        self.output += self._process.communicate(timeout=120)[1]
        return self._process.returncode


def content(store: Path) -> dict[str, bytes]:
    """Every file of the store and beside it. Entries are left out, since they hold times."""
    files = [path for path in store.parent.rglob("*") if path.is_file()]
    return {
        path.relative_to(store.parent).as_posix(): b"" if path.match("*.s2ct/units/*.json") else path.read_bytes()
        for path in files
    }


def entries(store: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each entry; an entry that is written again differs."""
    folder = store.with_name(f"{store.name}.s2ct") / "units"
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.json")}


@pytest.fixture(scope="module", params=first_quick(["x.zarr", "x.h5"]))
def undisturbed(request, sources, tmp_path_factory) -> tuple[str, dict[str, bytes], float, float]:
    """Name and content of an uninterrupted store, the seconds of its conversion, and those of its finalise."""
    store = tmp_path_factory.mktemp("whole") / request.param
    run = Run(sources, store)
    assert run.end() == 0
    seconds = time.monotonic() - run.began
    store = tmp_path_factory.mktemp("again") / request.param
    run = Run(sources, store, word="writing the index")
    assert run.end() == 0
    plain.unit_names(store)
    return request.param, content(store), seconds, time.monotonic() - run.began


def stores(folder: Path, name: str) -> Iterator[Path]:
    for n in range(1_000_000):
        (folder / str(n)).mkdir()
        yield folder / str(n) / name


@pytest.mark.slow
@moments(1, 100)
def test_repeated_kills_never_repeat_finished_units(tmp_path, sources, undisturbed, kills):
    name, wanted, seconds, _ = undisturbed
    choice, places = random.Random(f"group {name}"), stores(tmp_path, name)
    store, committed = next(places), {}
    while True:
        run = Run(sources, store)
        if kills:
            time.sleep(choice.random() * seconds)
            run.kill()
            kills -= 1
        code = run.end()
        assert code in (0, -signal.SIGKILL), run.output
        found = entries(store)
        assert committed.items() <= found.items()
        committed = found
        if code == 0:
            assert content(store) == wanted
            if not kills:
                return
            store, committed = next(places), {}


@moments(30)
def test_a_run_with_a_killed_worker_completes(tmp_path, sources, undisturbed, kills):
    name, wanted, seconds, _ = undisturbed
    choice, places = random.Random(f"worker {name}"), stores(tmp_path, name)
    for _ in range(kills):
        store = next(places)
        run = Run(sources, store)
        time.sleep(choice.random() * seconds)
        run.kill_a_worker(choice)
        assert run.end() == 0, run.output  # the unit was retried
        assert content(store) == wanted


@moments(30)
def test_the_next_run_completes_after_a_kill_of_finalise(tmp_path, sources, undisturbed, kills):
    name, wanted, _, seconds = undisturbed
    choice, places = random.Random(f"finalise {name}"), stores(tmp_path, name)
    store = next(places)
    while kills:
        run = Run(sources, store, word="writing the index")
        time.sleep(choice.random() * seconds)
        run.kill()
        kills -= 1
        run.end()
        committed = entries(store)
        assert len(committed) == len(UNITS)
        last = Run(sources, store)
        assert last.end() == 0, last.output
        assert entries(store) == committed
        assert content(store) == wanted
        store = next(places)
