"""Which processes are alive: for whoever finds what another one left."""

from __future__ import annotations

import os
import re
import resource
import socket
import sys
from pathlib import Path


def owner_tag() -> str:
    """This machine and this process as a part of a file name, ``host.pid``."""
    return f"{_host()}.{os.getpid()}"


def may_be_alive(tag: str) -> bool:
    """Whether the process of an :func:`owner_tag` may still be at work; of another machine nobody here can tell."""
    host, _, pid = tag.rpartition(".")
    return host != _host() or is_alive(int(pid))


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there and not a zombie, which works no more and may never be waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # a system without /proc; or it ends just now, and is gone the next time
    return state not in "ZX"


def started_at(pid: int) -> int | None:
    """When a process of this machine began, in ticks since the boot; None if unknown."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def peak_memory(pid: int | str = "self") -> int | None:
    """Most bytes of memory a process has had at once; None where it cannot be told."""
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
    """What tells this run of the machine from others, in which numbers of processes mean others; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
