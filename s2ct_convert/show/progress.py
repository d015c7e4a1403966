"""Progress on stderr: bars on a terminal; elsewhere one line per event, and one about the progress every 30 s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..events import Event, Message, OnEvent
from ..record.events import FileFailed
from ..units.events import UnitFailed, UnitLog, UnitRetried
from .board import Board, open_board
from .lanes import LaneLines, LaneMeters
from .meter import Meter
from .peek import PeekMeter, peek_line
from .units import UnitMeter, unit_line

_ALWAYS = (Message, UnitFailed, UnitLog, UnitRetried, FileFailed)  # shown even with --quiet


@contextmanager
def show_progress(*, quiet: bool, verbose: bool, debug: bool = False) -> Iterator[OnEvent]:
    """Yield a callback for all events. With ``quiet`` it shows only failures and messages."""
    with open_board(quiet=quiet) as (board, bars):
        yield show_events(board, quiet=quiet, every=verbose or not bars, tracebacks=debug, bars=bars)


def show_events(board: Board, *, quiet: bool, every: bool, tracebacks: bool, bars: bool) -> OnEvent:
    """The callback that shows events on a board. ``every``: lines also for events that bars show."""
    lanes, meters = LaneLines(every=every, bars=bars), (UnitMeter(board), LaneMeters(board), PeekMeter(board))

    def show(event: Event) -> None:
        if not quiet or isinstance(event, _ALWAYS):
            written = [*_unit_lines(event, every, tracebacks), *lanes(event)]
        else:
            written = []
        for line in written:
            board.write(line)
        with board.changing():
            for meter in meters:
                meter(event)
        if written:
            board.redraw()  # or the bars below a line would show what was before it

    return show


def _unit_lines(event: Event, every: bool, tracebacks: bool) -> Iterator[str]:
    if isinstance(event, Message):
        yield f"note: {event.text}"
    elif line := unit_line(event, every=every, tracebacks=tracebacks) or (peek_line(event) if every else ""):
        yield line


class ByteProgress:
    """Progress of work that counts bytes: one meter, and lines about files."""

    def __init__(self, board: Board, meter: Meter, *, quiet: bool) -> None:
        self._board, self._meter, self._quiet = board, meter, quiet

    def advance(self, n: int) -> None:
        """Add the number of bytes done since the last call."""
        with self._board.changing():
            self._meter.add(n)

    def set_total(self, total: int) -> None:
        """Set the total number of bytes, if it was not known at the start."""
        with self._board.changing():
            self._meter.start(total)

    def line(self, text: str, *, always: bool = False) -> None:
        """Show a line. ``always``: even with ``quiet``."""
        if always or not self._quiet:
            self._board.write(text)

    def named(self, name: str, rest: str, before: str = "") -> None:
        """Show a line with a name; a terminal shortens the name if there is no room."""
        if not self._quiet:
            self._board.write_name(name, rest, before)


@contextmanager
def byte_progress(label: str, total: int = 0, *, quiet: bool) -> Iterator[ByteProgress]:
    """Show progress over ``total`` bytes; 0 if :meth:`ByteProgress.set_total` gives the total."""
    with open_board(quiet=quiet) as (board, _):
        yield ByteProgress(board, board.add(label, total), quiet=quiet)
