"""Several tasks for the same unit, with real processes, suspended and killed: the unit is made once and never lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import plain
import pytest
from makers import random_group, write_tfrecord
from twins import first_quick, slow

import s2ct_convert
from s2ct_convert.conversion.batch import init_batch, run_units
from s2ct_convert.conversion.batch_finalise import finalise_batch
from s2ct_convert.errors import EXIT_INCOMPLETE
from s2ct_convert.units.plan import make_plan

DRIVER = Path(__file__).with_name("race_driver.py")
pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="needs signals and processes of Linux")


class Task:
    """``s2ct batch run STORE 1`` in its own process, which is suspended at a moment."""

    def __init__(self, store: Path, moment: str = "-", host: str = "-") -> None:
        command = [sys.executable, str(DRIVER), moment, host, "batch", "run", str(store), "1"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        self.pid = self.process.pid

    def wait_until_suspended(self) -> None:
        assert self.process.stdout is not None
        word = self.process.stdout.readline()
        assert word.startswith("at "), self.process.communicate()
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> tuple[int, str]:
        """Wait for its end; return exit code and stderr."""
        stderr = self.process.communicate(timeout=60)[1]
        return self.process.returncode, stderr


@pytest.fixture
def task() -> Iterator[Callable[..., Task]]:
    """Starts tasks, and kills them at the end of the test."""
    tasks: list[Task] = []

    def start(*args: object) -> Task:
        tasks.append(Task(*args))  # type: ignore[arg-type]
        return tasks[-1]

    yield start
    for one in tasks:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def sources(tmp_path, rng) -> list[Path]:
    """The first unit is the larger one."""
    return [
        write_tfrecord(tmp_path / "in", [random_group(rng, i, 9) for i in (2, 1)]),
        write_tfrecord(tmp_path / "in", [random_group(rng, 1, 2)], unit="val_50SMG"),
    ]


@pytest.fixture
def store(tmp_path, sources) -> Path:
    """A batch after init."""
    begin(sources, tmp_path / "x.zarr")
    return tmp_path / "x.zarr"


def begin(sources: list[Path], store: Path, **options: object) -> None:
    plan = make_plan(sources, store)
    init_batch(plan, command="s2ct", **options)  # type: ignore[arg-type]


def lines(ended: list[tuple[int, str]]) -> list[str]:
    """Lines that report a unit as made."""
    return [line for _, text in ended for line in text.splitlines() if ": done, " in line]


def units_of(store: Path) -> dict[str, int]:
    """The inode of each unit's folder, which differs after a replacement."""
    return {name: (store / name).stat().st_ino for name in plain.unit_names(store)}


@pytest.mark.slow
def test_one_of_three_tasks_that_saw_no_unit_makes_it(task, store):
    tasks = [task(store, "looked") for _ in range(3)]
    for one in tasks:
        one.wait_until_suspended()
    tasks[0].wake()
    ended = [tasks[0].end()]
    run_units(store, [2])
    finalise_batch(store, command="s2ct")
    before = units_of(store)
    for one in tasks[1:]:
        one.wake()
    ended += [one.end() for one in tasks[1:]]
    assert len(lines(ended)) == 1, ended
    assert {code for code, _ in ended} <= {0, EXIT_INCOMPLETE}  # another task may hold the lease at the check
    assert plain.attributes(store)["state"] == "complete"
    assert units_of(store) == before
    assert finalise_batch(store, command="s2ct")[1] == ()


@slow
def test_three_concurrent_tasks_make_a_unit_once(task, sources, tmp_path):
    for n in range(4):
        store = tmp_path / f"{n}.zarr"
        begin(sources, store)
        ended = [one.end() for one in [task(store) for _ in range(3)]]
        assert len(lines(ended)) == 1, ended
        assert {code for code, _ in ended} <= {0, EXIT_INCOMPLETE}


@pytest.mark.parametrize("moment", ["rename", "entry"])
@pytest.mark.slow
def test_a_task_killed_while_replacing_leaves_an_incomplete_store(task, tmp_path, rng, moment):
    """The store is complete; then the source changes."""
    source, store = write_tfrecord(tmp_path / "in", [random_group(rng, 1, 3)]), tmp_path / "x.zarr"
    begin([source], store)
    run_units(store, [1])
    finalise_batch(store, command="s2ct")
    write_tfrecord(tmp_path / "in", [random_group(rng, 2, 3)])
    plan = make_plan([source], store)
    (store.with_name("x.zarr.s2ct") / "plan.json").unlink()
    init_batch(plan, command="s2ct")
    assert task(store, moment).end()[0] == -signal.SIGKILL
    assert plain.attributes(store)["state"] == "incomplete"
    run_units(store, [1])
    finalise_batch(store, command="s2ct")
    with s2ct_convert.open_store(store) as opened:
        assert opened["train/50SMG"].localid.tolist() == [2]


@pytest.mark.slow
def test_a_finished_unit_stays_when_a_late_task_is_killed(task, store):
    late = task(store, "looked")
    late.wait_until_suspended()
    run_units(store, [1, 2])
    digest, _ = finalise_batch(store, command="s2ct")
    late.process.kill()
    late.end()
    assert plain.attributes(store)["state"] == "complete"
    assert plain.store_digest(store) == digest


@pytest.mark.parametrize("finished", first_quick([False, True]))
@pytest.mark.slow
def test_a_suspended_holder_does_not_publish_after_losing_its_lease(task, store, finished):
    stopped = task(store, "made", "node-a")
    stopped.wait_until_suspended()
    lease = store.with_name("x.zarr.s2ct") / "leases" / "train_50SMG.lease"
    os.utime(lease, (2e9, 2e9))  # the clock there is ahead
    ended = [task(store).end()]
    waited = f"note: process {stopped.pid} on node-a holds train_50SMG.lease: waiting up to 1 s for a heartbeat"
    assert waited in ended[0][1]
    assert ended[0][0] == 0
    if finished:
        run_units(store, [2])
        finalise_batch(store, command="s2ct")
    before, entry = units_of(store) if finished else {}, entry_of(store)
    stopped.wake()
    ended.append(stopped.end())
    assert ended[1][0] == EXIT_INCOMPLETE
    assert "this process has lost its lease" in ended[1][1]
    assert len(lines(ended)) == 1
    assert entry_of(store) == entry
    assert list((store.with_name("x.zarr.s2ct") / "work").iterdir()) == []
    if finished:
        assert plain.attributes(store)["state"] == "complete"
        assert units_of(store) == before


def test_a_holder_suspended_after_its_check_keeps_a_finished_unit(task, store):
    """It is suspended between the check and the rename. Both tasks have written the same bytes; the first ones stay."""
    stopped = task(store, "publishing", "node-a")
    stopped.wait_until_suspended()
    assert task(store).end()[0] == 0
    before = (store / "train" / "50SMG").stat().st_ino
    stopped.wake()
    assert stopped.end()[0] == 0
    assert (store / "train" / "50SMG").stat().st_ino == before
    assert list((store.with_name("x.zarr.s2ct") / "work").iterdir()) == []
    run_units(store, [2])
    digest, missing = finalise_batch(store, command="s2ct")
    assert (digest, missing) == (plain.store_digest(store), ())


def entry_of(store: Path) -> dict[str, object]:
    return json.loads((store.with_name("x.zarr.s2ct") / "units" / "train_50SMG.json").read_text())
