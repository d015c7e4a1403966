"""Two runs on one store: the second names the owner of the lease, and a killed run does not block the next."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pytest
from makers import random_group, tfrecord_bytes

from s2ct_convert.errors import EXIT_INCOMPLETE

from .helpers import assert_says, assert_tidy, tree

UNITS = ("train_50SMG", "val_50SMG")
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
HERE = socket.gethostname()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of 17 MB each, with samples in several examples, so that a unit takes two passes."""
    rng, folder = np.random.default_rng(19), tmp_path_factory.mktemp("long")
    data = tfrecord_bytes([random_group(rng, localid, 50) for localid in (3, 1, 2, 0)]) * 6
    for unit in UNITS:
        (folder / f"{unit}_24").write_bytes(data)
    return folder


class Stopped:
    """A command that was stopped (SIGSTOP) once it had printed ``word``, and runs as long as a test needs it."""

    def __init__(self, store: Path, *command: object, word: str) -> None:
        arguments = [sys.executable, "-m", "s2ct_convert", *map(str, command)]
        self.process = subprocess.Popen(
            arguments,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid, self.stderr = self.process.pid, ""
        for line in self.process.stderr:
            self.stderr += line
            if word in line:
                break
        leases = store.with_name(f"{store.name}.s2ct") / "leases"
        while word == ": started" and not any(path.read_text() for path in leases.glob("*_*.lease")):
            assert self.process.poll() is None, self.stderr  # it takes the lease of the unit right after this line
        self.signal(signal.SIGSTOP)
        assert self.process.poll() is None, self.stderr

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def resume(self) -> int:
        self.signal(signal.SIGCONT)
        self.stderr += self.process.communicate(timeout=100)[1]
        return self.process.returncode

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.communicate(timeout=60)


@pytest.fixture
def stopped() -> Iterator[Any]:
    """Start such commands, and kill their processes at the end."""
    started: list[Stopped] = []

    def start(store: Path, *command: object, word: str = ": started") -> Stopped:
        started.append(Stopped(store, *command, word=word))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "x.zarr"


def initialise(run: Any, sources: Path, store: Path) -> None:
    done = run("batch", "init", sources, store)
    assert done.returncode == 0, done.stderr


def finished(run: Any, store: Path) -> bool:
    return json.loads(run("batch", "status", store, "--json").stdout)["finished"]


def test_a_second_run_is_refused_and_names_the_first(run, stopped, sources, store):
    first = stopped(store, "convert", sources, store, "-j2")
    before = tree(store.parent)
    for command in (
        ("convert", sources, store, "-j2"),
        ("convert", sources, store, "--overwrite"),
        ("batch", "init", sources, store),
        ("batch", "finalise", store),
    ):
        done = run(*command)
        assert_says(
            done, EXIT_INCOMPLETE, f"{store}: another run is using this store", f"process {first.pid} on {HERE}"
        )
    assert tree(store.parent) == before
    status = json.loads(run("batch", "status", store, "--json").stdout)
    assert (status["run"]["pid"], status["run"]["host"]) == (first.pid, HERE)
    assert status["counts"]["running"] >= 1
    assert first.resume() == 0, first.stderr
    assert finished(run, store)
    assert_tidy(store)


@pytest.mark.slow
def test_a_killed_run_does_not_block_the_next(run, stopped, sources, store):
    first = stopped(store, "convert", sources, store, "-j1")
    first.kill()
    status = json.loads(run("batch", "status", store, "--json").stdout)
    assert (status["run"], status["counts"]["running"]) == (None, 0)
    done = run("convert", sources, store, "-j1")
    assert done.returncode == 0, done.stderr
    assert "2 converted" in done.stdout
    assert_tidy(store)


def test_a_running_unit_is_refused_with_its_owner_and_the_rest_is_made(run, stopped, sources, store):
    initialise(run, sources, store)
    first = stopped(store, "batch", "run", store, 1)
    done = run("batch", "run", store, "1-2")
    unit = json.loads(run("batch", "status", store, "--json").stdout)["units"][0]
    assert (unit["state"], unit["owner"]["pid"], unit["owner"]["host"]) == ("running", first.pid, HERE)
    assert done.returncode == EXIT_INCOMPLETE, done.stderr
    assert f"another process is making {unit['unit']}" in done.stderr
    assert f"process {first.pid} on {HERE}" in done.stderr
    assert f"s2ct batch run {store} 1" in done.stderr
    status = run("batch", "status", store)
    assert "1 running, 1 done" in status.stdout
    assert f"process {first.pid} on {HERE}, last heartbeat" in status.stdout
    assert "missing" not in status.stdout
    assert first.resume() == 0, first.stderr
    assert run("batch", "finalise", store).returncode == 0
    assert_tidy(store)


@pytest.mark.slow
def test_finalise_waits_for_a_running_unit_then_names_its_owner(run, stopped, sources, store):
    initialise(run, sources, store)
    first = stopped(store, "batch", "run", store, "1")
    done = run("batch", "finalise", store)
    assert f"process {first.pid} on {HERE} is making a unit of this store; waiting" in done.stderr
    assert_says(done, EXIT_INCOMPLETE, "another process is making", f"process {first.pid} on {HERE}")


def test_finalise_is_refused_beside_a_living_one_not_beside_a_dead_one(run, stopped, sources, store):
    initialise(run, sources, store)
    assert run("batch", "run", store, "1-2").returncode == 0
    first = stopped(store, "batch", "finalise", store, word="writing the index")
    done = run("batch", "finalise", store)
    if done.returncode:  # otherwise the first had finished before it was stopped
        assert_says(done, EXIT_INCOMPLETE, "another run is using this store", f"process {first.pid} on {HERE}")
    first.kill()
    assert run("batch", "finalise", store).returncode == 0
    assert finished(run, store)
    assert_tidy(store)


@pytest.mark.slow
def test_a_terminated_task_drops_its_unit_and_can_run_again(run, stopped, sources, store):
    initialise(run, sources, store)
    first = stopped(store, "batch", "run", store, 2)
    first.signal(signal.SIGTERM)
    assert first.resume() == 143, first.stderr
    kept = f"s2ct: terminated; 0 of 1 unit of {store} are done and kept"
    assert first.stderr.splitlines()[-2:] == [kept, f"  to go on: s2ct batch run {store} 2"]
    status = json.loads(run("batch", "status", store, "--json").stdout)
    assert [unit["state"] for unit in status["units"]] == ["planned", "planned"]
    assert list((store.with_name("x.zarr.s2ct") / "work").iterdir()) == []
    assert list((store.with_name("x.zarr.s2ct") / "leases").iterdir()) == []
    assert run("batch", "run", store, 2).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["zarr", pytest.param("h5", marks=pytest.mark.slow)], indirect=True)
def test_killed_tasks_and_finalise_run_again_give_the_same_bytes(run, stopped, sources, tmp_path, suffix, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    names = ("whole", "killed")
    for name in names:
        (tmp_path / name).mkdir()
        initialise(run, sources, tmp_path / name / f"x.{suffix}")
    whole, store = (tmp_path / name / f"x.{suffix}" for name in names)
    assert run("batch", "run", whole, "1-2").returncode == 0
    stopped(store, "batch", "run", store, "1-2").kill()
    stopped(store, "batch", "run", store, "1-2", word=": done").kill()
    states = [unit["state"] for unit in json.loads(run("batch", "status", store, "--json").stdout)["units"]]
    assert states == ["done", "planned"]
    assert "is done" in run("batch", "run", store, "1-2").stderr
    stopped(store, "batch", "finalise", store, word="writing the index").kill()
    for one in (whole, store):
        done = run("batch", "finalise", one.name, cwd=one.parent)
        assert done.returncode == 0, done.stderr
    # The history has the command, and the killed run may already have written it.
    one, two = plain.view(whole), plain.view(store)
    assert one.keys() == two.keys()
    assert [name for name in one if name not in ("", "True ", "False ") and one[name] != two[name]] == []
    assert plain.attributes(whole)["content_digest"] == plain.attributes(store)["content_digest"]
    if suffix == "zarr":
        different = {
            name for name, content in plain.file_bytes(store).items() if content != plain.file_bytes(whole)[name]
        }
        assert different <= {"zarr.json"}
    assert_tidy(store)
