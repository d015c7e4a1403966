from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2ct_convert.processes import boot_id, is_alive


def test_this_process_and_its_parent_are_alive():
    assert is_alive(os.getpid())
    assert is_alive(os.getppid())


def test_an_ended_process_is_not_alive_even_as_a_zombie():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_alive(process.pid)
        process.stdin.close()
        if sys.platform.startswith("linux"):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # now it is a zombie
            assert not is_alive(process.pid)
        process.wait()
        assert not is_alive(process.pid)


@pytest.mark.skipif(not Path("/proc/sys/kernel/random/boot_id").exists(), reason="only Linux has boot ids")
def test_a_boot_has_an_id():
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()
