"""Progress of files that are fetched: a bar per lane and one over all, or lines."""

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

_TOTAL_EVERY = 30.0  # seconds between two plain lines about the whole


class LaneLines:
    """One line per event, and one about the whole now and then.

    ``every``: also for starts, short waits and the whole. ``bars``: there are some, which show what stands still.
    """

    def __init__(self, *, every: bool, bars: bool) -> None:
        self._every, self._bars = every, bars
        self._have: dict[str, int] = {}
        self._total = self._begun = self._came = 0  # bytes: of all, here before, here since
        self._began = self._said = time.monotonic()
        self._idle: set[str] = set()

    def __call__(self, event: Event) -> Iterator[str]:
        """What there is to say of an event."""
        match event:
            case Checking(files, n):
                yield f"reading {plural(files, 'file')} that {'is' if files == 1 else 'are'} there, {size(n)}"
            case FilesPlanned(files, n, have, done):
                self._total, self._begun = n, have
                self._began = self._said = time.monotonic()
                begun = f", {size(have)} of that are here" if have else ""
                yield f"{plural(files, 'file')} to fetch, {size(n)}{begun}; {done} here before"
            case FileStarted(key, n, have):
                self._have[key] = have
                if self._every:
                    yield f"{key}: " + (f"goes on at {size(have)} of {size(n)}" if have else f"started, {size(n)}")
            case FileWaiting(key, wait, why):
                if self._every or wait >= 5:
                    yield f"{key}: {why}; asks again in {seconds(wait)}"
            case FileIdle(key, idle, _) if not self._bars and key not in self._idle:
                self._idle.add(key)
                yield f"{key}: no data for {idle:.0f} s"
            case FileProgress(key, have):
                self._idle.discard(key)
                self._came += have - self._have[key]
                self._have[key] = have
                yield from self._whole()
            case FileDone(key, n, fetched, took):
                rate = f", {size(fetched / took)}/s" if took > 0 and fetched else ""
                yield f"{key}: done, {size(n)}, md5 correct, {seconds(took)}{rate}"
            case FileFailed(key, _, message):
                yield f"{key}: FAILED\n{message}"

    def _whole(self) -> Iterator[str]:
        now = time.monotonic()
        if not self._every or now - self._said < _TOTAL_EVERY:
            return
        self._said = now
        have = self._begun + self._came
        rate = max(1.0, self._came / (now - self._began))
        yield f"{size(have)} of {size(self._total)}, {size(rate)}/s, {seconds((self._total - have) / rate)} left"


class LaneBars:
    """A bar per file under way, and one over all."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._total = bar.add_task("total", total=None, visible=False)  # until it is known
        self._files: dict[str, tuple[TaskID, int]] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Checking(_, n):
                self._bar.update(self._total, description="reading what is there", total=n, completed=0, visible=True)
            case Checked(n):
                self._bar.advance(self._total, n)
            case FilesPlanned(_, n, have, _):
                self._bar.update(self._total, description="total", total=n, visible=True)
                self._bar.reset(self._total, completed=have, total=n)
            case FileStarted(key, n, have):
                self._files[key] = (self._bar.add_task(key, total=n, completed=have), have)
            case FileProgress(key, have):
                self._to(key, have)
            case FileIdle(key, idle, have) if key in self._files:  # the file may have ended since
                self._to(key, have)
                self._bar.advance(self._files[key][0], 0)  # a rate goes down only with an advance of nothing
                self._describe(key, f"{key}: no data for {idle:.0f} s")
            case FileWaiting(key, wait, _):
                self._describe(key, f"{key}: asks again in {wait:.0f} s")
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
