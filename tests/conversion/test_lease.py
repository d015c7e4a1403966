"""Leases with a heartbeat, of runs and units: their owners, their timeout, and taking them from dead processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2ct_convert import lease as lease_module
from s2ct_convert.errors import EXIT_INCOMPLETE, Incomplete
from s2ct_convert.events import Event, Message
from s2ct_convert.lease import SILENT_SECONDS, Lease, Owner
from s2ct_convert.processes import boot_id, started_at

HERE = socket.gethostname()
TAKER = """
import sys
from pathlib import Path
from s2ct_convert.events import Event, Message
from s2ct_convert.errors import Incomplete
from s2ct_convert.lease import Lease
kept = []
for line in sys.stdin:
    kept.append(Lease(Path(line.strip()), Path("x.zarr"), "busy", beats=True))
    try:
        kept[-1].take()
        print("taken", flush=True)
    except Incomplete as error:
        print(error.found or error.what, flush=True)
"""


def lease_at(path: Path) -> Lease:
    return Lease(path, Path("x.zarr"), "another run is using this store", beats=True)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run.lease"


class Taker:
    """Another process that takes leases on request and keeps them."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", TAKER], stdin=pipe, stdout=pipe, text=True)
        self.pid = self.process.pid

    def ask(self, path: Path) -> None:
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        return self.process.stdout.readline().strip()

    def take(self, path: Path) -> str:
        self.ask(path)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def takers() -> Iterator[list[Taker]]:
    """Three other processes."""
    takers = [Taker() for _ in range(3)]
    yield takers
    for taker in takers:
        taker.kill()


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def of_another_machine(path: Path, seconds: float, *, pid: int = 7) -> None:
    """Write a lease of another host whose last heartbeat was ``seconds`` ago."""
    path.write_text(json.dumps({"host": "another", "pid": pid, "boot": "x", "started": 1, "lease": "y"}))
    age(path, seconds)


def test_a_held_lease_names_its_owner_and_is_deleted_afterwards(path, takers):
    with lease_at(path).held():
        content = json.loads(path.read_text())
        assert {name: content[name] for name in ("host", "pid", "boot", "started")} == {
            "host": HERE,
            "pid": os.getpid(),
            "boot": boot_id(),
            "started": started_at(os.getpid()),
        }
        assert takers[0].take(path) == f"process {os.getpid()} on {HERE}"
    assert not path.exists()
    assert takers[0].take(path) == "taken"


def test_a_refusal_names_the_owner_and_what_to_do(path, takers):
    assert takers[0].take(path) == "taken"
    with pytest.raises(Incomplete) as caught:
        lease_at(path).take()
    error = caught.value
    assert error.exit_code == EXIT_INCOMPLETE
    assert error.what == "another run is using this store"
    assert error.where == "x.zarr"
    assert error.found == f"process {takers[0].pid} on {HERE}"
    assert error.todo == f"wait for it to end; if it no longer runs, delete {lease_at(path).path}"


def test_a_lease_is_released_after_an_error(path):
    with pytest.raises(ZeroDivisionError), lease_at(path).held():
        raise ZeroDivisionError
    assert not path.exists()


def test_a_second_thread_of_the_same_process_is_refused(path):
    with lease_at(path).held(), pytest.raises(Incomplete):
        lease_at(path).take()


def test_a_killed_owner_loses_its_lease_and_a_suspended_one_keeps_it(path, takers):
    first, second, third = takers
    assert first.take(path) == "taken"
    first.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, first.pid, os.WSTOPPED)
    assert second.take(path) == f"process {first.pid} on {HERE}"
    first.kill()
    assert third.take(path) == "taken"
    assert json.loads(path.read_text())["pid"] == third.pid


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the start time of processes in /proc")
def test_a_reused_process_id_is_known_by_its_start_time(path, takers):
    first, second, third = takers
    assert first.take(path) == "taken"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "started": content["started"] - 1}))
    assert lease_at(path).owner() is None
    path.write_text(json.dumps({**content, "started": None}))  # of a system without start times
    assert second.take(path) == f"process {first.pid} on {HERE}"
    path.write_text(json.dumps({**content, "boot": "an earlier one"}))
    assert third.take(path) == "taken"


class TestHeartbeat:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.01)

    def test_the_holder_sends_heartbeats(self, path):
        with lease_at(path).held():
            age(path, 1000)
            while time.time() - path.stat().st_mtime > 500:
                time.sleep(0.001)  # until the next heartbeat; the timeout of the test is the limit
        assert "s2ct-heartbeat" not in [thread.name for thread in threading.enumerate()]

    def test_heartbeats_do_not_restore_a_broken_lease(self, path):
        with lease_at(path).held():
            path.unlink()
            (heart,) = [thread for thread in threading.enumerate() if thread.name == "s2ct-heartbeat"]
            heart.join(0.1)
            assert heart.is_alive()
            assert not path.exists()

    def test_a_lease_taken_by_another_process_is_not_released(self, path):
        with lease_at(path).held():
            of_another_machine(path, 0)
        assert json.loads(path.read_text())["host"] == "another"


class TestAnotherMachine:
    """Whether a process on another host is alive is unknown, so it must send heartbeats."""

    def test_a_lease_without_heartbeats_for_too_long_is_taken_at_once(self, path):
        of_another_machine(path, SILENT_SECONDS + 1)
        assert lease_at(path).owner() is None
        with lease_at(path).held():
            assert json.loads(path.read_text())["host"] == HERE

    def test_a_heartbeat_during_the_wait_keeps_the_lease(self, path):
        of_another_machine(path, SILENT_SECONDS - 30)
        owner = lease_at(path).owner()
        assert owner == Owner("another", 7, pytest.approx(SILENT_SECONDS - 30, abs=5))
        beat = threading.Timer(0.3, os.utime, [path])
        beat.start()
        with pytest.raises(Incomplete) as caught:
            lease_at(path).take()
        assert caught.value.found == "process 7 on another"
        beat.join()

    def test_a_lease_without_a_heartbeat_is_taken_after_the_timeout(self, path):
        """A node died a moment ago, and its task was queued again at once."""
        of_another_machine(path, SILENT_SECONDS - 1.5)
        began = time.monotonic()
        lease_at(path).take()
        assert 1.0 < time.monotonic() - began < 30

    def test_a_new_owner_during_the_wait_keeps_the_lease(self, path):
        of_another_machine(path, SILENT_SECONDS - 30)
        change = threading.Timer(0.3, of_another_machine, [path, 100], {"pid": 8})
        change.start()
        with pytest.raises(Incomplete, match="process 8 on another"):
            lease_at(path).take()
        change.join()

    def test_an_owner_with_a_fast_clock_counts_as_alive(self, path):
        of_another_machine(path, -3600)
        assert lease_at(path).owner() == Owner("another", 7, 0.0)


@pytest.mark.parametrize("left", ["nothing", "the lease of a dead process"])
def test_exactly_one_of_several_processes_gets_a_lease(tmp_path, takers, left):
    dead = Taker()
    paths = [tmp_path / f"{n}.lease" for n in range(100)]
    if left != "nothing":
        assert {dead.take(path) for path in paths} == {"taken"}
    dead.kill()
    for path in paths:
        for taker in takers:
            taker.ask(path)
        answers = [taker.answer() for taker in takers]
        assert answers.count("taken") == 1, answers
        winner = takers[answers.index("taken")]
        assert json.loads(path.read_text())["pid"] == winner.pid
        assert {answer for answer in answers if answer != "taken"} <= {f"process {winner.pid} on {HERE}"}


def test_a_process_that_died_while_breaking_a_lease_blocks_no_other(path, takers):
    takers[0].take(path)
    takers[0].kill()
    broken = path.with_name(f"{path.name}.breaking")
    broken.touch()
    age(broken, 60)
    assert takers[1].take(path) == "taken"
    assert list(path.parent.iterdir()) == [path]


class TestClocks:
    """A lease of another host whose time is in the future: any change of the file counts as a heartbeat."""

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(lease_module, "SILENT_SECONDS", 0.5)

    def test_an_owner_without_heartbeats_loses_its_lease_with_a_message(self, path):
        of_another_machine(path, -3600)
        told = []
        with lease_at(path).held(told.append):
            assert json.loads(path.read_text())["host"] == HERE
        assert told == [Message("process 7 on another holds run.lease: waiting up to 0 s for a heartbeat")]

    def test_an_owner_with_heartbeats_keeps_its_lease(self, path, monkeypatch):
        monkeypatch.setattr(lease_module, "SILENT_SECONDS", 60.0)
        of_another_machine(path, -3600)
        told = []

        def on_event(event: Event) -> None:
            told.append(event)
            of_another_machine(path, -3630)  # its next heartbeat

        with pytest.raises(Incomplete, match="process 7 on another"), lease_at(path).held(on_event):
            pass
        assert told == [Message("process 7 on another holds run.lease: waiting up to 60 s for a heartbeat")]


def test_check_raises_after_another_process_takes_the_lease(path):
    with lease_at(path).held() as lease:
        lease.check()
        of_another_machine(path, 0)
        with pytest.raises(Incomplete, match="lost its lease") as caught:
            lease.check()
        assert caught.value.found == "process 7 on another"
        path.unlink()
        with pytest.raises(Incomplete, match="lost its lease"):
            lease.check()
