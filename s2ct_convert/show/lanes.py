"""Progress of downloads: a meter for all files and one for each file that is being fetched, and lines about events."""

from __future__ import annotations

from collections.abc import Iterator

from ..events import Event
from ..record.events import (
    Checked,
    Checking,
    FileDamaged,
    FileDone,
    FileFailed,
    FileIdle,
    FileProgress,
    FileRepairing,
    FilesPlanned,
    FileStarted,
    FileWaiting,
)
from ..words import plural, seconds, size
from .board import Board
from .meter import Meter


class LaneLines:
    """Lines about events.

    ``every``: also starts and short waits. ``bars``: bars are shown too, and show stalled files themselves.
    """

    def __init__(self, *, every: bool, bars: bool) -> None:
        self._every, self._bars = every, bars
        self._idle: set[str] = set()

    def __call__(self, event: Event) -> Iterator[str]:
        """Yield the lines for an event."""
        match event:
            case Checking(files, n):
                yield f"checking {plural(files, 'existing file')}, {size(n)}"
            case FilesPlanned(files, n, have, done):
                partial = f" ({size(have)} of it already here)" if have else ""
                yield f"{plural(files, 'file')} to download, {size(n)}{partial}; {done} already here"
            case FileStarted(key, n, have) if self._every:
                yield f"{key}: " + (f"resumes at {size(have)} of {size(n)}" if have else f"started, {size(n)}")
            case FileWaiting(key, wait, why) if self._every or wait >= 5:
                yield f"{key}: {why}; retries in {seconds(wait)}"
            case FileIdle(key, idle, _) if not self._bars and key not in self._idle:
                self._idle.add(key)
                yield f"{key}: no data for {idle:.0f} s"
            case FileProgress(key, _):
                self._idle.discard(key)
            case FileDamaged(key, _) if self._every:
                yield f"{key}: complete, but with the wrong md5; looking for the damage"
            case FileRepairing(key, start, n) if self._every:
                yield f"{key}: fetching {size(n)} again, from byte {start:,}"
            case FileDone(key, n, fetched, took, repaired):
                if repaired:
                    yield f"{key}: repaired, fetched {size(repaired)} of {size(n)} again"
                rate = f", {size(fetched / took)}/s" if took > 0 and fetched else ""
                yield f"{key}: done, {size(n)}, md5 correct, {seconds(took)}{rate}"
            case FileFailed(key, _, message):
                yield f"{key}: FAILED\n{message}"


class LaneMeters:
    """A meter over all files, and one for each file that is being fetched."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._checking: Meter | None = None
        self._all: Meter | None = None
        self._files: dict[str, Meter] = {}

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Checking(_, n):
                self._checking = self._board.add("checking", n)
            case Checked(n) if self._checking:
                self._checking.add(n)
            case FilesPlanned(files, n, have, _):
                self._board.drop(self._checking)
                self._all = self._board.add("download", n, have) if files else None
            case FileStarted(key, n, have):
                self._files[key] = self._board.add(key, n, have, part=True)
            case FileProgress(key, have):
                self._to(key, have)
            case FileIdle(key, idle, have) if key in self._files:  # the file may have finished since
                self._to(key, have)
                self._files[key].state = f"no data for {idle:.0f} s"
            case FileWaiting(key, wait, _) if key in self._files:
                self._files[key].state = f"retries in {wait:.0f} s"
            case FileDamaged(key, _) if key in self._files:
                self._files[key].state = "looking for damage"
            case FileRepairing(key, _, _) if key in self._files:
                self._files[key].state = "repairing"
            case FileDone(key, n) if key in self._files:
                self._to(key, n)
                self._end(key)
            case FileFailed(key) if key in self._files:
                self._end(key)

    def _to(self, key: str, have: int) -> None:
        file = self._files[key]
        if self._all:
            self._all.add(have - file.done)
        file.add(have - file.done)
        file.state = ""

    def _end(self, key: str) -> None:
        file = self._files.pop(key)
        self._board.drop(file)
        if self._all:
            self._all.skip(file.total - file.done)  # the rest of a failed file does not come any more
            if self._all.done >= self._all.total:
                self._board.drop(self._all)
