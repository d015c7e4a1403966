"""Progress of downloads: one bar per file and one for the total, or plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..events import Event
from ..record.events import (
    Checked,
    Checking,
    FileDone,
    FileFailed,
    FileIdle,
    FileProgress,
    FilesPlanned,
    FileStarted,
    FileWaiting,
)
from ..words import plural, seconds, size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_TOTAL_EVERY = 30.0  # seconds between two lines about the total


class LaneLines:
    """Lines about events, and a line about the total every 30 s.

    ``every``: also starts, short waits and the total. ``bars``: bars are shown too, and show stalled files themselves.
    """

    def __init__(self, *, every: bool, bars: bool) -> None:
        self._every, self._bars = every, bars
        self._have: dict[str, int] = {}
        self._total = self._before = self._received = 0  # bytes: of all files, before the run, in the run
        self._start = self._last_line = time.monotonic()
        self._idle: set[str] = set()

    def __call__(self, event: Event) -> Iterator[str]:
        """Yield the lines for an event."""
        match event:
            case Checking(files, n):
                yield f"checking {plural(files, 'existing file')}, {size(n)}"
            case FilesPlanned(files, n, have, done):
                self._total, self._before = n, have
                self._start = self._last_line = time.monotonic()
                partial = f" ({size(have)} of it already here)" if have else ""
                yield f"{plural(files, 'file')} to download, {size(n)}{partial}; {done} already here"
            case FileStarted(key, n, have):
                self._have[key] = have
                if self._every:
                    yield f"{key}: " + (f"resumes at {size(have)} of {size(n)}" if have else f"started, {size(n)}")
            case FileWaiting(key, wait, why):
                if self._every or wait >= 5:
                    yield f"{key}: {why}; retries in {seconds(wait)}"
            case FileIdle(key, idle, _) if not self._bars and key not in self._idle:
                self._idle.add(key)
                yield f"{key}: no data for {idle:.0f} s"
            case FileProgress(key, have):
                self._idle.discard(key)
                self._received += have - self._have[key]
                self._have[key] = have
                yield from self._total_line()
            case FileDone(key, n, fetched, took):
                rate = f", {size(fetched / took)}/s" if took > 0 and fetched else ""
                yield f"{key}: done, {size(n)}, md5 correct, {seconds(took)}{rate}"
            case FileFailed(key, _, message):
                yield f"{key}: FAILED\n{message}"

    def _total_line(self) -> Iterator[str]:
        now = time.monotonic()
        if not self._every or now - self._last_line < _TOTAL_EVERY:
            return
        self._last_line = now
        have = self._before + self._received
        rate = max(1.0, self._received / (now - self._start))
        yield f"{size(have)} of {size(self._total)}, {size(rate)}/s, {seconds((self._total - have) / rate)} left"


class LaneBars:
    """One bar per file that is being downloaded, and one for the total."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._total = bar.add_task("total", total=None, visible=False)  # hidden until the total is known
        self._files: dict[str, tuple[TaskID, int]] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Checking(_, n):
                self._bar.update(self._total, description="checking existing files", total=n, completed=0, visible=True)
            case Checked(n):
                self._bar.advance(self._total, n)
            case FilesPlanned(_, n, have, _):
                self._bar.update(self._total, description="total", total=n, visible=True)
                self._bar.reset(self._total, completed=have, total=n)
            case FileStarted(key, n, have):
                self._files[key] = (self._bar.add_task(key, total=n, completed=have), have)
            case FileProgress(key, have):
                self._to(key, have)
            case FileIdle(key, idle, have) if key in self._files:  # the file may have finished since
                self._to(key, have)
                self._bar.advance(self._files[key][0], 0)  # rich lowers the rate only on advance()
                self._describe(key, f"{key}: no data for {idle:.0f} s")
            case FileWaiting(key, wait, _):
                self._describe(key, f"{key}: retries in {wait:.0f} s")
            case FileDone(key, n, _, _):
                self._to(key, n)
                self._bar.remove_task(self._files.pop(key)[0])
            case FileFailed(key):
                if key in self._files:
                    self._bar.remove_task(self._files.pop(key)[0])

    def _to(self, key: str, have: int) -> None:
        task, before = self._files[key]
        self._files[key] = (task, have)
        self._bar.update(task, completed=have, description=key)
        self._bar.advance(self._total, have - before)

    def _describe(self, key: str, text: str) -> None:
        if key in self._files:
            self._bar.update(self._files[key][0], description=text)
