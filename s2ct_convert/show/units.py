"""Progress of units: one bar over the bytes of all sources, or one line per event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import Event
from ..units.events import (
    Finalising,
    UnitDone,
    UnitFailed,
    UnitLog,
    UnitProgress,
    UnitRetried,
    UnitsPlanned,
    UnitStarted,
)
from ..words import plural, seconds, size

if TYPE_CHECKING:
    from rich.progress import Progress


def unit_line(event: Event, *, every: bool, tracebacks: bool) -> str | None:
    """The line for an event, or None. ``every``: also for the start of a unit."""
    match event:
        case UnitsPlanned(total, units, done):
            before = f", {done} done before" if done else ""
            return f"{plural(units, 'unit')} to convert, {size(total)}{before}"
        case UnitStarted(unit, source) if every:
            return f"{unit}: started, {source}"
        case UnitDone(entry, False):
            return f"{entry.unit}: done by another process in the meantime"
        case UnitDone(entry):
            return (
                f"{entry.unit}: done, {plural(entry.samples, 'sample')}, "
                f"{plural(entry.observations, 'observation')}, {size(entry.source_bytes)} -> "
                f"{size(entry.bytes)}, {seconds(entry.seconds)}"
            )
        case UnitFailed(unit, _, _, message, refused=True):
            return f"{unit}: REFUSED\n{message}"
        case UnitFailed(unit, _, _, message, bug, traceback):
            return f"{unit}: FAILED\n{traceback if bug or tracebacks else ''}{message}"
        case UnitLog(unit, line):
            return f"{unit}: {line}"
        case UnitRetried(unit, cause, jobs, _):
            return f"{unit}: {cause}; s2ct retries it once at the end, with {plural(jobs, 'job')} at a time"
        case Finalising():
            return "writing the index"
    return None


class UnitBar:
    """One bar over the bytes of all sources, labelled with the running units."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, visible=False)  # hidden until there is a unit to convert
        self._running: list[str] = []

    def __call__(self, event: Event) -> None:
        match event:
            case UnitsPlanned(total, _, _):
                self._bar.update(self._task, total=total, visible=True)
            case UnitStarted(unit, _):
                self._running.append(unit)
                self._bar.update(self._task, visible=True)
            case UnitProgress(_, n):
                self._bar.advance(self._task, n)
            case UnitDone(entry):
                self._running.remove(entry.unit)
            case UnitRetried(unit, _, _, n):
                self._bar.advance(self._task, -n)
                self._forget(unit)
            case UnitFailed(unit):
                self._forget(unit)
            case _:
                return
        self._bar.update(self._task, description=" ".join(self._running))

    def _forget(self, unit: str) -> None:
        if unit in self._running:  # a source without a unit fails before it starts
            self._running.remove(unit)
