"""Watches a program that sends no bytes. One that works or waits for the disk stays; one that hangs is named."""

from __future__ import annotations

from pathlib import Path

TOLD_SECONDS = 60.0  # without a byte, until the user is told; then again after each further SILENT_SECONDS
SILENT_SECONDS = 600.0  # without a byte, and without a sign of work


class Silence:
    """The time since a program sent a byte.

    Parameters
    ----------
    pid : int
    limit : float
        Seconds without a byte and without a sign of work after which it hangs.
    """

    def __init__(self, pid: int, limit: float) -> None:
        self._pid, self._limit = pid, limit
        self._all, self._idle, self._told = 0.0, 0.0, 0.0
        self._cpu = _work(pid)

    @property
    def step(self) -> float:
        """Seconds to wait for a byte, until the next look."""
        return min(TOLD_SECONDS, self._limit)

    def went_on(self) -> str | None:
        """Count one step without a byte. The text for the user, if it is due."""
        self._all += self.step
        cpu = _work(self._pid)
        works = cpu is not None and (cpu == _ON_DISK or cpu != self._cpu)
        self._cpu, self._idle = cpu, 0.0 if works else self._idle + self.step
        if self._all < (self._told + SILENT_SECONDS if self._told else TOLD_SECONDS):
            return None
        self._told = self._all
        return f"no data for {self._all:,.0f} s ({'it works, or waits for the disk' if works else 'it does not work'})"

    @property
    def hangs(self) -> bool:
        return self._idle >= self._limit


_ON_DISK = "D"


def _work(pid: int) -> str | None:
    """CPU time of a process, as text; ``D`` if one of its threads waits for the disk. None if the system is silent."""
    try:
        paths = sorted(Path(f"/proc/{pid}/task").glob("*/stat"))
        tasks = [path.read_text().rpartition(") ")[2].split() for path in paths]
    except OSError:
        return None
    if any(fields[0] == _ON_DISK for fields in tasks):
        return _ON_DISK
    return " ".join(f"{fields[11]}+{fields[12]}" for fields in tasks) or None
