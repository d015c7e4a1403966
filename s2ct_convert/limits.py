"""Cores and memory that this process may use: affinity, cgroups of both versions, ulimit."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2^63 for no limit


@cache
def cores() -> int:
    """Number of cores that this process may use. A batch system or a container may grant fewer than the machine has."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, math.ceil(cpu_quota() or allowed))


def cpu_quota(cgroups: Path = _CGROUPS, own: Path = _OWN) -> float | None:
    """Cores that the cgroups of this process allow at a time; None if there is no limit."""
    quotas = []
    for folder in _folders(cgroups, own, "cpu"):
        if words := read(folder / "cpu.max", str.split):  # version 2: "max 100000"
            quota, period = (*words, "100000")[:2]
        else:
            quota = read(folder / "cpu.cfs_quota_us", str.strip) or "max"
            period = read(folder / "cpu.cfs_period_us", str.strip) or "100000"
        if quota.isdigit() and int(quota):
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def shared_memory(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int | None:
    """Bytes of memory that the cgroups allow all processes of a job together; None if there is no limit."""
    limits = []
    for folder in _folders(cgroups, own, "memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            text = read(folder / name, str.strip)
            if text and text.isdigit() and int(text) < _UNLIMITED:
                limits.append(int(text))
    return min(limits, default=None)


def memory_limit(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int | None:
    """Bytes of memory that cgroups and the address space limit (ulimit -v) allow this process; None for no limit."""
    shared, space = shared_memory(cgroups, own), resource.getrlimit(resource.RLIMIT_AS)[0]
    return min([one for one in (shared, space) if one is not None and one != resource.RLIM_INFINITY], default=None)


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroups and of all above them, of both versions, as far as they are visible."""
    for line in (read(own, str.splitlines)) or ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        here = top / path.lstrip("/")
        # In a container the path may be that of the host, and only the top is visible.
        yield from (one for one in (here, *here.parents) if one.is_relative_to(top) and one.is_dir())


def read(path: Path, parse: Callable[[str], T]) -> T | None:
    try:
        return parse(path.read_text())
    except OSError:
        return None
