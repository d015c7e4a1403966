"""How far one piece of long work is, and how long it still takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]  # seconds, as time.monotonic

WINDOW = 60.0  # seconds of work that a rate is from
_SAMPLE = 1.0  # seconds between two samples of the progress


class Meter:
    """Bytes done of a total, with a rate over the last minute of work and the time left.

    Parameters
    ----------
    label : str
        What is done.
    total, done : int
        Bytes; 0 if the total is not known yet. ``done`` bytes exist from before.
    part : bool
        A part of the work, such as one file; another meter counts its bytes too.
    working : bool
        Whether time counts from now on; see :meth:`work`.
    """

    def __init__(
        self, label: str, total: int = 0, done: int = 0, *, part: bool = False, working: bool = True, clock: Clock
    ) -> None:
        self.label, self.part = label, part
        self.state = ""  # instead of rate and time left, such as "no data for 5 s"
        self.detail = ""  # what is worked on now
        self.unit = ""  # what is counted, if not bytes, such as "files"
        self.follows = not working  # other work comes first
        self._clock, self._working = clock, working
        self.start(total, done)

    def start(self, total: int, done: int = 0) -> None:
        """Start from here."""
        self.total, self.done = total, done
        self._worked, self._since = 0.0, self._clock()
        self._samples = deque([(0.0, done)])

    def add(self, n: int) -> None:
        """Count ``n`` more bytes. A negative number takes bytes back that do not count as work any more."""
        self.done += n
        if n < 0:
            self._samples = deque((at, done + n) for at, done in self._samples)
        now = self._seconds()
        if now - self._samples[-1][0] >= _SAMPLE:
            self._samples.append((now, self.done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW:
            self._samples.popleft()

    def skip(self, n: int) -> None:
        """Count ``n`` bytes that need no work: they do not make the rate higher."""
        self.done += n
        self._samples = deque((at, done + n) for at, done in self._samples)

    def work(self, working: bool) -> None:
        """Start or stop the time: while there is nothing to work on, the rate stays."""
        if working != self._working:
            self._worked, self._since, self._working = self._seconds(), self._clock(), working

    def _seconds(self) -> float:
        """Seconds of work since the start."""
        return self._worked + (self._clock() - self._since if self._working else 0.0)

    @property
    def rate(self) -> float | None:
        """Bytes per second over the last minute of work; None if there is none yet."""
        at, done = self._samples[0]
        seconds = self._seconds() - at
        return (self.done - done) / seconds if seconds > 0 and self.done > done else None

    @property
    def left(self) -> float | None:
        """Seconds that the rest takes at this rate; None if unknown."""
        rest = max(self.total - self.done, 0)
        return rest / self.rate if self.rate else None if rest or not self.total else 0.0

    @property
    def percent(self) -> int:
        """Percent done, rounded down."""
        return min(100 * self.done // self.total, 100) if self.total else 0


MONOTONIC: Clock = time.monotonic
