"""Leases on partial files: of live and dead processes, of other hosts, and torn ones."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers.zenodo import StandIn, serving

from s2ct_convert import lease as lease_module
from s2ct_convert.errors import EXIT_INCOMPLETE, Incomplete
from s2ct_convert.lease import LEASE_SECONDS
from s2ct_convert.processes import boot_id
from s2ct_convert.record.manifest import RecordFile
from s2ct_convert.record.partial import Partial, lease_of, partial_path

from .test_fetching import command, grown, left, stall_after

pytestmark = pytest.mark.every_variant  # all are quick

KEY = "train_50SMG_2.7z"
DATA = np.random.default_rng(89).bytes(1_500_000)
FILE = RecordFile(KEY, hashlib.md5(DATA).hexdigest(), len(DATA))
HERE = {"host": socket.gethostname(), "boot": boot_id()}


@pytest.fixture
def part(tmp_path) -> Path:
    return partial_path(tmp_path / KEY, FILE)


@pytest.fixture
def lease(part) -> Path:
    return part.with_name(f"{part.name}.lease")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which runs until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def take(part: Path) -> None:
    """Take the lease, check its file, release it."""
    lease = lease_of(part)
    lease.take()
    assert json.loads(part.with_name(f"{part.name}.lease").read_text())["pid"] == os.getpid()
    lease.give_back()
    assert not part.with_name(f"{part.name}.lease").exists()


class TestThisMachine:
    def test_a_lease_of_a_live_process_holds(self, part, lease, process):
        lease.write_text(json.dumps({**HERE, "pid": process.pid}))
        age(lease, 1e6)  # the age does not matter while the process is alive
        with pytest.raises(Incomplete) as caught:
            Partial(part.with_name(KEY), FILE)
        assert caught.value.exit_code == EXIT_INCOMPLETE
        assert caught.value.found == f"process {process.pid} on {HERE['host']}"
        assert lease.name in caught.value.todo
        assert lease.exists()
        assert not part.exists()

    def test_a_lease_of_a_stopped_process_holds(self, part, lease, process):
        lease.write_text(json.dumps({**HERE, "pid": process.pid}))
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with pytest.raises(Incomplete):
            take(part)

    @pytest.mark.parametrize("waited_for", [True, False])
    def test_a_lease_of_a_dead_process_or_zombie_is_free(self, part, lease, process, waited_for):
        lease.write_text(json.dumps({**HERE, "pid": process.pid}))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        if waited_for:
            process.wait()
        take(part)

    def test_a_lease_from_before_a_reboot_is_free(self, part, lease, process):
        lease.write_text(json.dumps({**HERE, "pid": process.pid, "boot": "another"}))
        take(part)

    def test_a_lease_of_an_older_process_with_our_pid_is_free(self, part, lease):
        lease.write_text(json.dumps({**HERE, "pid": os.getpid()}))
        take(part)


class TestAnotherMachine:
    """Whether a process on another host is alive is unknown: a lease holds while it or the file is recent."""

    @pytest.mark.parametrize(
        ("lease_age", "part_age", "holds"),
        [
            (0, None, True),
            (LEASE_SECONDS - 30, None, True),
            (LEASE_SECONDS + 30, None, False),
            (LEASE_SECONDS + 30, LEASE_SECONDS + 30, False),
            (LEASE_SECONDS + 30, 5, True),
            (5, LEASE_SECONDS + 30, True),
            (-3600, None, True),  # its clock is ahead
        ],
    )
    def test_a_lease_holds_while_it_or_the_file_is_recent(self, part, lease, process, lease_age, part_age, holds):
        lease.write_text(json.dumps({"host": "another", "pid": process.pid, "boot": boot_id()}))
        age(lease, lease_age)
        if part_age is not None:
            part.write_bytes(b"x")
            age(part, part_age)
        if holds:
            with pytest.raises(Incomplete, match="another process is fetching") as caught:
                take(part)
            assert caught.value.found == f"process {process.pid} on another"
        else:
            take(part)


TORN = [
    b"",
    b"{",
    b'{"host": "x", "pid": 1',
    b"[]",
    b"null",
    b"7",
    b'{"host": "x"}',
    b"\xff\xfe",
    bytes(100),
    *(json.dumps({**HERE, "pid": pid}).encode() for pid in ("x", None, [], 0, -1, 2**31, 10**30, float("inf"))),
]


class TestTorn:
    @pytest.mark.parametrize("content", TORN, ids=map(str, range(len(TORN))))
    def test_a_torn_lease_is_waited_for_until_it_expires(self, part, lease, content, monkeypatch):
        """A process that is killed while it takes a lease must not stop the next one."""
        lease.write_bytes(content)
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                age(lease, 6)

        monkeypatch.setattr(lease_module.time, "sleep", pause)
        take(part)
        assert len(pauses) == 3

    def test_the_owner_that_finishes_writing_it_keeps_it(self, part, lease, monkeypatch):
        lease.write_bytes(b"")
        mine = json.dumps({**HERE, "pid": os.getppid()})
        monkeypatch.setattr(lease_module.time, "sleep", lambda _: lease.write_text(mine))
        with pytest.raises(Incomplete) as caught:
            take(part)
        assert f"process {os.getppid()} on " in caught.value.found


def test_only_its_owner_releases_a_lease(part, lease):
    one = lease_of(part)
    one.take()
    theirs = json.dumps({"host": "another", "pid": 1, "boot": "x", "lease": "y"})
    lease.write_text(theirs)
    one.give_back()
    assert lease.read_text() == theirs
    lease.unlink()
    one.give_back()


@pytest.fixture
def zenodo() -> Iterator[StandIn]:
    with serving({KEY: DATA}) as stand_in:
        yield stand_in


class TestTwoProcesses:
    """Two real processes, one folder."""

    @pytest.fixture
    def first(self, zenodo, tmp_path) -> Iterator[subprocess.Popen[str]]:
        """A download that has 500 kB and waits for more until the service continues."""
        zenodo.vices[KEY] = [stall_after(500_000)]
        with subprocess.Popen(command(zenodo, tmp_path), stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and not grown(tmp_path, 500_000):
                time.sleep(0.01)  # polls: no event reports the writes of another process
            yield process
            process.kill()

    def test_a_second_download_is_refused_and_the_first_continues(self, zenodo, tmp_path, first):
        second = subprocess.run(command(zenodo, tmp_path), capture_output=True, text=True)
        assert second.returncode == EXIT_INCOMPLETE, second.stderr
        assert f"process {first.pid} on {HERE['host']}" in second.stderr
        assert zenodo.asked(KEY) == [0]
        zenodo.release.set()
        _, stderr = first.communicate(timeout=60)
        assert first.returncode == 0, stderr
        assert (tmp_path / KEY).read_bytes() == DATA
        assert left(tmp_path) == {KEY}

    @pytest.mark.slow
    def test_a_process_that_lost_its_lease_stops(self, zenodo, tmp_path, first, lease, part):
        lease.write_text(json.dumps({"host": "another", "pid": first.pid, "boot": "x", "lease": "y"}))
        for path in (lease, part):
            age(path, LEASE_SECONDS + 60)
        second = subprocess.run(command(zenodo, tmp_path), capture_output=True, text=True)
        assert second.returncode == 0, second.stderr
        assert zenodo.asked(KEY) == [0, 500_000]
        published = (tmp_path / KEY).stat()
        zenodo.release.set()
        _, stderr = first.communicate(timeout=60)
        assert first.returncode == EXIT_INCOMPLETE, stderr
        assert "another process replaced the file" in stderr
        assert (tmp_path / KEY).stat() == published
        assert (tmp_path / KEY).read_bytes() == DATA
        assert left(tmp_path) == {KEY}

    @pytest.mark.slow
    def test_many_processes_that_find_a_dead_lease_do_no_harm(self, zenodo, tmp_path, part, lease, process):
        part.write_bytes(DATA[:100_000])
        lease.write_text(json.dumps({**HERE, "pid": process.pid}))
        process.kill()
        process.wait()
        many = [subprocess.Popen(command(zenodo, tmp_path), stderr=subprocess.PIPE, text=True) for _ in range(4)]
        stderr = [one.communicate(timeout=120)[1] for one in many]
        assert {one.returncode for one in many} <= {0, EXIT_INCOMPLETE}, stderr
        assert 0 in {one.returncode for one in many}, stderr
        assert (tmp_path / KEY).read_bytes() == DATA
        assert left(tmp_path) == {KEY}
