"""Progress of units: one meter over the bytes of all sources, and lines about events."""

from __future__ import annotations

from ..events import Event
from ..units.events import (
    Finalising,
    SourceSkipped,
    UnitDone,
    UnitFailed,
    UnitLog,
    UnitProgress,
    UnitRetried,
    UnitSending,
    UnitsPlanned,
    UnitStarted,
)
from ..words import plural, seconds, size
from .board import Board
from .meter import Meter


def unit_line(event: Event, *, every: bool, tracebacks: bool) -> str | None:
    """The line for an event, or None. ``every``: also for the start of a unit."""
    match event:
        case UnitsPlanned(total, units, done):
            before = f", {done} done before" if done else ""
            return f"{plural(units, 'unit')} to convert, {size(total)}{before}"
        case UnitStarted(unit, source) if every:
            return f"{unit}: started, {source}"
        case UnitSending(unit, 0, n) if every:
            return f"{unit}: sending {size(n)}"
        case UnitDone(entry, False):
            return f"{entry.unit}: done by another process in the meantime"
        case UnitDone(entry):
            return (
                f"{entry.unit}: {'salvaged' if entry.salvaged else 'done'}, {plural(entry.samples, 'sample')}, "
                f"{plural(entry.observations, 'observation')}, {size(entry.bytes)}, {seconds(entry.seconds)}"
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


class UnitMeter:
    """A meter over the bytes of all sources, with the names of the running units."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._meter: Meter | None = None
        self._running: dict[str, list[int]] = {}  # bytes of the source, and bytes read, by unit
        self._sending: dict[str, Meter] = {}  # by unit

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case UnitsPlanned(total, units, _):
                self._meter = self._board.add("conversion", total, working=False) if units else None
            case UnitStarted(unit, _, n):
                self._running[unit] = [n, 0]
            case UnitProgress(unit, n):
                self._read(unit, n)
            case UnitSending(unit, sent, n):
                self._send(unit, sent, n)
            case UnitDone(entry):
                planned, read = self._running.get(entry.unit, (0, 0))
                self._read(entry.unit, planned - read)  # what was read since the last report
                self._end(entry.unit)
            case UnitFailed(unit):
                self._end(unit)
            case UnitRetried(unit, _, _, n):
                self._read(unit, -n)
                self._running.pop(unit, None)
                self._board.drop(self._sending.pop(unit, None))
            case SourceSkipped(n) if self._meter:
                self._meter.skip(n)
            case Finalising():
                self._board.drop(self._meter)
                self._meter = self._board.add("writing the index")
            case _:
                return
        if self._meter:
            self._meter.work(bool(self._running))
            self._meter.detail = ", ".join(self._running)

    def _read(self, unit: str, n: int) -> None:
        if self._meter:
            self._meter.add(n)
        if unit in self._running:
            self._running[unit][1] += n

    def _send(self, unit: str, sent: int, total: int) -> None:
        if unit not in self._sending:
            self._sending[unit] = self._board.add(f"sending {unit}", total, part=True)
        meter = self._sending[unit]
        meter.add(sent - meter.done)

    def _end(self, unit: str) -> None:
        """A unit has ended: what was not read of its source is not read any more."""
        self._board.drop(self._sending.pop(unit, None))
        planned, read = self._running.pop(unit, (0, 0))  # a source without a unit fails before it starts
        if self._meter and planned > read:
            self._meter.skip(planned - read)
