"""Processor, memory and open files, as far as this process may use them."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ..engines.local import share
from ..threads import cores
from ..units.unit import PEAK_BYTES
from ..words import plural, size
from .findings import Findings

T = TypeVar("T")

FEW_FILES = 256
_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2^63 for no limit


def examine_machine(found: Findings, *, cgroups: Path = _CGROUPS, own: Path = _OWN) -> None:
    """Report the limits of this process: affinity, cgroups of both versions, resource limits."""
    allowed, quota = cores(), cpu_quota(cgroups, own)
    words = f"{plural(allowed, 'core')} of {os.cpu_count()} may be used"
    words += f"; the cgroup allows {quota:g} at a time" if quota else ""
    found.fact("processor", words, {"cores": os.cpu_count(), "usable": allowed, "quota": quota})
    if quota and math.ceil(quota) < allowed:
        found.problem(
            f"s2ct would start {allowed} jobs, but the cgroup allows only {quota:g} cores",
            f"give -j {math.ceil(quota)} to s2ct convert and s2ct build",
        )
    _examine_memory(allowed, memory_limit(cgroups, own), found)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    value = None if soft == resource.RLIM_INFINITY else soft
    found.fact("open files", "no limit" if value is None else f"at most {value:,}", value)
    if value is not None and value < FEW_FILES:
        found.problem(f"only {value} files may be open at a time", "raise the limit: ulimit -n 1024")


def _examine_memory(jobs: int, limit: int | None, found: Findings) -> None:
    total, free = _memory("MemTotal"), _memory("MemAvailable")
    words = f"{size(free)} free of {size(total)}" if free and total else "unknown"
    words += f"; the limit of this process is {size(limit)}" if limit else ""
    found.fact("memory", words, {"total": total, "free": free, "limit": limit})
    usable = min([one for one in (free, limit) if one is not None], default=None)
    if usable is None:
        return
    if usable < PEAK_BYTES:
        todo = "use a machine with more memory, or end other programs"
        found.problem(f"{size(usable)} of memory may be used, but one unit may need {size(PEAK_BYTES)}", todo)
    elif (fits := share(jobs, jobs, usable)[0]) < jobs:
        found.problem(
            f"memory is enough for {plural(fits, 'unit')} at a time, not for {jobs} ({size(PEAK_BYTES)} each)",
            f"give --memory {usable >> 20}M to s2ct convert and s2ct build",
        )


def cpu_quota(cgroups: Path = _CGROUPS, own: Path = _OWN) -> float | None:
    """Cores that the cgroups of this process allow at a time; None if there is no limit."""
    quotas = []
    for folder in _folders(cgroups, own, "cpu"):
        if words := _read(folder / "cpu.max", str.split):  # version 2: "max 100000"
            quota, period = (*words, "100000")[:2]
        else:
            quota = _read(folder / "cpu.cfs_quota_us", str.strip) or "max"
            period = _read(folder / "cpu.cfs_period_us", str.strip) or "100000"
        if quota.isdigit() and int(quota):
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int | None:
    """Bytes of memory that cgroups and the address space limit (ulimit -v) allow; None if there is no limit."""
    limits = []
    for folder in _folders(cgroups, own, "memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            text = _read(folder / name, str.strip)
            if text and text.isdigit() and int(text) < _UNLIMITED:
                limits.append(int(text))
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min([*limits, *([space] if space != resource.RLIM_INFINITY else [])], default=None)


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroups and of all above them, of both versions, as far as they are visible."""
    for line in (_read(own, str.splitlines)) or ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        here = top / path.lstrip("/")
        # In a container the path may be that of the host, and only the top is visible.
        yield from (one for one in (here, *here.parents) if one.is_relative_to(top) and one.is_dir())


def _read(path: Path, parse: Callable[[str], T]) -> T | None:
    try:
        return parse(path.read_text())
    except OSError:
        return None


def _memory(name: str) -> int | None:
    """A line of /proc/meminfo in bytes."""
    for line in _read(Path("/proc/meminfo"), str.splitlines) or ():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
