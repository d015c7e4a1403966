"""Which processes are alive, so that leftovers of dead ones can be deleted."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import socket
import sys
from pathlib import Path

WORKER = "s2ct worker"  # name of a process that makes a unit
EXIT_MAIN_AGAIN = 86  # of a worker that starts the conversion again while it imports the main script


def end_if_script_runs_again() -> None:
    """End this process if it is a worker that is still importing the main script of its parent.

    The script then calls the conversion outside ``if __name__ == "__main__":``. The parent reports it.
    """
    process = multiprocessing.current_process()
    if process.name == WORKER and getattr(process, "_inheriting", False):  # as multiprocessing itself finds out
        os._exit(EXIT_MAIN_AGAIN)


def owner_tag() -> str:
    """Host and process as a part of a file name, ``host.pid``."""
    return f"{_host()}.{os.getpid()}"


def may_be_alive(tag: str) -> bool:
    """Whether the process of an :func:`owner_tag` may be alive. Always true for another host, where it is unknown."""
    host, _, pid = tag.rpartition(".")
    return host != _host() or is_alive(int(pid))


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def is_alive(pid: int) -> bool:
    """Whether a process of this host runs. A zombie counts as dead: its parent may never reap it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it belongs to another user
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no /proc on this system, or the process just ended and is gone the next time
    return state not in "ZX"


def started_at(pid: int) -> int | None:
    """Start time of a process of this host, in clock ticks since boot; None if unknown."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def peak_memory(pid: int | str = "self") -> int | None:
    """Peak memory of a process in bytes; None if unknown."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    if pid != "self":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def boot_id() -> str:
    """Id of the current boot, since pids repeat after a reboot; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
