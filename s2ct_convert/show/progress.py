"""Progress on stderr, fed by events: a bar on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..units.events import (
    Event,
    Finalising,
    Note,
    OnEvent,
    Started,
    UnitDone,
    UnitFailed,
    UnitLog,
    UnitProgress,
    UnitRetried,
    UnitStarted,
)
from ..words import plural, seconds, size
from .bar import bar_or_none, print_above

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def show_progress(*, quiet: bool, verbose: bool, debug: bool = False) -> Iterator[OnEvent]:
    """Give a listener for events. Failures and notes are always shown, all else not if ``quiet``."""
    with bar_or_none(quiet=quiet) as bar:
        yield listener(bar, quiet=quiet, verbose=verbose, debug=debug)


def listener(bar: Progress | None, *, quiet: bool, verbose: bool, debug: bool) -> OnEvent:
    """Draws on ``bar``, or prints lines where there is none."""
    if bar is None:
        return _Lines(quiet=quiet, starts=True, tracebacks=debug)
    lines = _Lines(quiet=False, starts=verbose, tracebacks=debug, write=lambda line: print_above(bar, line))
    return _Bar(bar, lines)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Lines:
    """One line per event."""

    def __init__(
        self, *, quiet: bool, starts: bool, tracebacks: bool, write: Callable[[str], None] = _to_stderr
    ) -> None:
        self._quiet, self._starts, self._tracebacks, self._write = quiet, starts, tracebacks, write

    def __call__(self, event: Event) -> None:
        line = self._line(event)
        if line is not None and (not self._quiet or isinstance(event, UnitFailed | UnitLog | UnitRetried | Note)):
            self._write(line)

    def _line(self, event: Event) -> str | None:
        match event:
            case Note(text):
                return f"note: {text}"
            case Started(total, units, done):
                before = f", {done} done before" if done else ""
                return f"{plural(units, 'unit')} to convert, {size(total)}{before}"
            case UnitStarted(unit, source) if self._starts:
                return f"{unit}: started, {source}"
            case UnitDone(record, False):
                return f"{record.unit} is done: another process made it meanwhile"
            case UnitDone(record):
                return (
                    f"{record.unit}: done, {plural(record.samples, 'sample')}, "
                    f"{plural(record.observations, 'observation')}, {size(record.source_bytes)} -> "
                    f"{size(record.bytes)}, {seconds(record.seconds)}"
                )
            case UnitFailed(unit, _, _, message, refused=True):
                return f"{unit}: REFUSED\n{message}"
            case UnitFailed(unit, _, _, message, bug, traceback):
                return f"{unit}: FAILED\n{traceback if bug or self._tracebacks else ''}{message}"
            case UnitLog(unit, line):
                return f"{unit}: {line}"
            case UnitRetried(unit, cause, jobs, _):
                return f"{unit}: {cause}; it is tried once more at the end, with {plural(jobs, 'job')} at a time"
            case Finalising():
                return "writing the index"
        return None


class _Bar:
    """One bar over all bytes of the sources, with the units under way in front of it."""

    def __init__(self, bar: Progress, lines: _Lines) -> None:
        self._bar, self._lines = bar, lines
        self._task = bar.add_task("", total=None)
        self._running: list[str] = []

    def __call__(self, event: Event) -> None:
        self._lines(event)
        match event:
            case Started(total, _, _):
                self._bar.update(self._task, total=total)
            case UnitStarted(unit, _):
                self._running.append(unit)
            case UnitProgress(_, n):
                self._bar.advance(self._task, n)
            case UnitDone(record):
                self._running.remove(record.unit)
            case UnitRetried(unit, _, _, n):
                self._bar.advance(self._task, -n)
                self._forget(unit)
            case UnitFailed(unit):
                self._forget(unit)
        self._bar.update(self._task, description=" ".join(self._running))

    def _forget(self, unit: str) -> None:
        if unit in self._running:  # a source that is no unit fails without having started
            self._running.remove(unit)
