"""Processor, memory and open files, as far as this process may use them."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from ..engines.local import share
from ..limits import cores, cpu_quota, memory_limit, read
from ..units.unit import PEAK_BYTES
from ..words import plural, size
from .findings import Findings

FEW_FILES = 256


def examine_machine(found: Findings) -> None:
    """Report the limits of this process: affinity, cgroups of both versions, resource limits."""
    allowed, quota = cores(), cpu_quota()
    words = f"{plural(allowed, 'core')} of {os.cpu_count()} may be used"
    words += f"; the cgroup allows {quota:g} at a time" if quota else ""
    found.fact("processor", words, {"cores": os.cpu_count(), "usable": allowed, "quota": quota})
    _examine_memory(allowed, memory_limit(), found)
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


def _memory(name: str) -> int | None:
    """A line of /proc/meminfo in bytes."""
    for line in read(Path("/proc/meminfo"), str.splitlines) or ():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
