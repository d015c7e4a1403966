"""Progress of a download on stderr: a line per lane and a total on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..record.events import (
    Checked,
    Checking,
    Event,
    FileDone,
    FileFailed,
    FileIdle,
    FileProgress,
    FileStarted,
    FileWaiting,
    Note,
    OnEvent,
    Planned,
)
from ..words import plural, seconds, size
from .bar import bar_or_none, print_above

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_TOTAL_EVERY = 30.0  # seconds between two plain lines about the whole


@contextmanager
def show_lanes(*, quiet: bool, verbose: bool) -> Iterator[OnEvent]:
    """Give a listener for events. Failures and notes are always shown, all else not if ``quiet``."""
    with bar_or_none(quiet=quiet) as bar:
        yield listener(bar, quiet=quiet, verbose=verbose)


def listener(bar: Progress | None, *, quiet: bool, verbose: bool) -> OnEvent:
    """Draws on ``bar``, or prints lines where there is none."""
    if bar is None:
        return _Lines(quiet=quiet, all_waits=True)
    return _Lanes(bar, _Lines(quiet=False, all_waits=verbose, write=lambda line: print_above(bar, line)))


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Lines:
    """One line per event, and one about the whole now and then."""

    def __init__(self, *, quiet: bool, all_waits: bool, write: Callable[[str], None] = _to_stderr) -> None:
        self._quiet, self._all_waits, self._write = quiet, all_waits, write
        self._have: dict[str, int] = {}
        self._total = self._begun = self._came = 0  # bytes: of all, here before, here since
        self._began = self._said = time.monotonic()
        self._idle: set[str] = set()

    def __call__(self, event: Event) -> None:
        for line in self._lines(event):
            if not self._quiet or isinstance(event, FileFailed | Note):
                self._write(line)

    def _lines(self, event: Event) -> Iterator[str]:
        match event:
            case Note(text):
                yield f"note: {text}"
            case Checking(files, n):
                yield f"reading {plural(files, 'file')} that {'is' if files == 1 else 'are'} there, {size(n)}"
            case Planned(files, n, have, done):
                self._total, self._begun = n, have
                self._began = self._said = time.monotonic()
                begun = f", {size(have)} of that are here" if have else ""
                yield f"{plural(files, 'file')} to fetch, {size(n)}{begun}; {done} here before"
            case FileStarted(key, n, have):
                self._have[key] = have
                if self._all_waits:
                    yield f"{key}: " + (f"goes on at {size(have)} of {size(n)}" if have else f"started, {size(n)}")
            case FileWaiting(key, wait, why):
                if self._all_waits or wait >= 5:
                    yield f"{key}: {why}; asks again in {seconds(wait)}"
            case FileIdle(key, idle, _) if key not in self._idle:
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
        if not self._all_waits or now - self._said < _TOTAL_EVERY:
            return
        self._said = now
        have = self._begun + self._came
        rate = max(1.0, self._came / (now - self._began))
        yield f"{size(have)} of {size(self._total)}, {size(rate)}/s, {seconds((self._total - have) / rate)} left"


class _Lanes:
    """A bar per file under way, and one over all."""

    def __init__(self, bar: Progress, lines: _Lines) -> None:
        self._bar, self._lines = bar, lines
        self._total = bar.add_task("total", total=None, visible=False)  # until it is known
        self._files: dict[str, tuple[TaskID, int]] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, FileIdle):
            self._lines(event)
        match event:
            case Checking(_, n):
                self._bar.update(self._total, description="reading what is there", total=n, completed=0, visible=True)
            case Checked(n):
                self._bar.advance(self._total, n)
            case Planned(_, n, have, _):
                self._bar.update(self._total, description="total", total=n, visible=True)
                self._bar.reset(self._total, completed=have, total=n)
            case FileStarted(key, n, have):
                self._files[key] = (self._bar.add_task(key, total=n, completed=have), have)
            case FileProgress(key, have):
                self._to(key, have)
            case FileIdle(key, idle, have) if key in self._files:  # the file may have ended since
                self._to(key, have)
                self._bar.advance(self._files[key][0], 0)  # a rate goes down only when it is told that nothing came
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
