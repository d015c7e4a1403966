"""All progress of a command: meters as bars on a terminal, and as a line every 30 s elsewhere."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..words import clock_time, escaped, of_total, size
from .meter import MONOTONIC, Clock, Meter
from .terminal import line_of, make_console, note_lines, shorten, width_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LINE_EVERY = 30.0  # seconds between two lines about the progress
ECHO = 3  # columns at the right that stay free: the ^C that a terminal shows must not begin a line, which would stay
LEAST_BAR, MOST_BAR, LEAST_LABEL = 6, 40, 14  # characters


class Board:
    """The meters of a command, and the lines that it prints. Threads may use it.

    Parameters
    ----------
    write : callable
        Prints a line.
    width : callable
        Columns of the terminal; None if there is none.
    periodic : bool
        Print a line about the progress every ``LINE_EVERY`` seconds, once a meter changes.
    clock : callable
        Seconds, as ``time.monotonic``.
    """

    def __init__(
        self, write: Callable[[str], None], *, width: Callable[[], int | None], periodic: bool, clock: Clock = MONOTONIC
    ) -> None:
        self.write, self._width, self._periodic, self._clock = write, width, periodic, clock
        self.redraw: Callable[[], None] = _nothing  # draws bars now, not at the next eighth of a second
        self._meters: list[Meter] = []
        self._last = clock()
        self._lock = threading.RLock()  # not held while a line is written: rich has a lock of its own

    def add(self, label: str, total: int = 0, done: int = 0, *, part: bool = False, working: bool = True) -> Meter:
        """Show a new meter. Work that follows other work comes last."""
        meter = Meter(label, total, done, part=part, working=working, clock=self._clock)
        with self._lock:
            self._meters.append(meter)
            self._meters.sort(key=lambda one: one.follows)
        return meter

    def drop(self, meter: Meter | None) -> None:
        """Show a meter no longer."""
        with self._lock:
            if meter in self._meters:
                self._meters.remove(meter)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change meters: one thread at a time. Then a line is printed if it is due."""
        with self._lock:
            yield
            line, now = "", self._clock()
            if self._periodic and now - self._last >= LINE_EVERY and (line := self.line()):
                self._last = now
        if line:
            self.write(line)

    def write_name(self, name: str, rest: str, before: str = "") -> None:
        """Print a name between other words on one line. A terminal shortens the name if there is no room."""
        self.write(line_of(name, rest, self._width(), before))

    def line(self) -> str:
        """The progress in one line; empty if no total is known."""
        with self._lock:
            meters = [meter for meter in self._meters if meter.total and not meter.part]
            parts = [", ".join([f"{one.label}: {one.percent} %", *_words(one)]) for one in meters]
            left = _all_left(meters)
        if not parts:
            return ""
        if len(parts) > 1:
            return "; ".join([*parts, f"{left} in all" if left else "time left not known yet"])
        return f"{parts[0]}, {left}" if left else parts[0]

    def bar_lines(self, width: int) -> list[tuple[str, int, int, str]]:
        """The bars for a terminal of this width: label, filled and empty characters of the bar, words."""
        with self._lock:
            whole = [meter for meter in self._meters if not meter.part and meter.total]
            rows = [row for meter in self._meters for row in _rows(meter, alone=len(whole) == 1)]
            if len(whole) > 1:
                rows.append(_Row("in all", None, [_all_left(whole) or "time left not known yet"]))
        bars = [row for row in rows if row.part is not None]
        columns = [max((len(row.cells[i]) for row in bars if len(row.cells) > i + 1), default=0) for i in range(3)]
        words = max((len(row.words(columns)) for row in bars), default=0)
        longest = max((len(row.label) for row in bars), default=0)
        label = min(longest, max(width - words - LEAST_BAR - 4, LEAST_LABEL))
        bar = min(max(width - words - label - 4, 0), MOST_BAR)
        lines = []
        for row in rows:
            text = row.words(columns)
            if row.part is None:
                lines.append((shorten(f"{row.label.ljust(label)}  {text}" if text else row.label, width), 0, 0, ""))
            else:
                full, room = round(row.part * bar), max(width - label - bar - 4, 0)
                lines.append((shorten(row.label, label).ljust(label), full, bar - full, text[:room]))
        return lines


@dataclass(frozen=True)
class _Row:
    """A row on a terminal: label, part done (None: no bar), and words in columns."""

    label: str
    part: float | None
    cells: list[str]

    def words(self, columns: list[int]) -> str:
        """The words on one line. ``columns``: the widths of all but the last."""
        padded = [cell.rjust(columns[i]) for i, cell in enumerate(self.cells[:-1])]
        return "  ".join([*padded, *self.cells[-1:]])


def _rows(meter: Meter, *, alone: bool) -> Iterator[_Row]:
    """The rows of a meter. ``alone``: no other work has a time left."""
    label = f"  {meter.label}" if meter.part else meter.label
    if not meter.total:
        yield _Row(label, None, [])
    else:
        cells = [f"{meter.percent} %", *_words(meter)]
        if meter.state:
            cells[2:] = [meter.state]
        elif (alone or meter.part) and meter.left is not None:
            cells.append(f"{clock_time(meter.left)} left")
        yield _Row(label, min(meter.done / meter.total, 1.0), cells)
    if meter.detail:
        yield _Row(f"  {meter.detail}", None, [])


def _words(meter: Meter) -> list[str]:
    if meter.unit:
        return [f"{meter.done:,} of {meter.total:,} {meter.unit}"]
    return [of_total(meter.done, meter.total), *([f"{size(meter.rate)}/s"] if meter.rate else [])]


def _all_left(meters: list[Meter]) -> str:
    """The time left until all of this work is done, which runs at the same time; empty if unknown."""
    left = [meter.left for meter in meters if meter.total]
    known = [one for one in left if one is not None]
    return f"{clock_time(max(known))} left" if known and len(known) == len(left) else ""


@contextmanager
def open_board(*, quiet: bool) -> Iterator[tuple[Board, bool]]:
    """Yield a board, and whether it shows bars: on a terminal that can, unless ``quiet`` is set."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM", "") in ("dumb", "unknown"):
        yield Board(_to_stderr, width=lambda: width_of(sys.stderr), periodic=not quiet), False
        return
    from rich.live import Live

    console = make_console(stderr=True)

    def above(line: str) -> None:
        """Print above the bars: no colours, no emoji, and only notes are wrapped: a copied name or command works."""
        for part in note_lines(line, console.width):
            console.print(escaped(part), markup=False, highlight=False, emoji=False, soft_wrap=True)

    board = Board(above, width=lambda: console.width, periodic=False)
    drawn = Live(get_renderable=lambda: _drawn(board, console), console=console, refresh_per_second=8, transient=True)
    with drawn:
        board.redraw = drawn.refresh
        yield board, True


def _nothing() -> None:
    """Draw no bars."""


def _to_stderr(line: str) -> None:
    print("\n".join(note_lines(line, width_of(sys.stderr))), file=sys.stderr, flush=True)


def _drawn(board: Board, console: Console) -> RenderableType:
    from rich.text import Text

    lines = []
    for label, full, empty, words in board.bar_lines(console.width - ECHO):
        line = Text(escaped(label))
        if full or empty or words:
            line.append("  ").append("━" * full, "bar.complete").append("─" * empty, "bar.back").append(f"  {words}")
        lines.append(line)
    return Text("\n", no_wrap=True, overflow="crop").join(lines)
