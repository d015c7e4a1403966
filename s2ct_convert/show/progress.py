"""Progress on stderr from events: bars on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ..events import Event, Message, OnEvent
from ..record.events import FileFailed
from ..units.events import UnitFailed, UnitLog, UnitRetried
from .bar import bar_or_none, print_above
from .lanes import LaneBars, LaneLines
from .units import UnitBar, unit_line

_ALWAYS = (Message, UnitFailed, UnitLog, UnitRetried, FileFailed)  # shown even with --quiet


@contextmanager
def show_progress(*, quiet: bool, verbose: bool, debug: bool = False) -> Iterator[OnEvent]:
    """Yield a callback for all events. With ``quiet`` it shows only failures and messages."""
    with bar_or_none(quiet=quiet) as bar:
        if bar is None:
            yield _Lines(_to_stderr, quiet=quiet, every=True, tracebacks=debug)
        else:
            lines = _Lines(partial(print_above, bar), quiet=False, every=verbose, tracebacks=debug, bars=True)
            shown = (lines, UnitBar(bar), LaneBars(bar))

            def show(event: Event) -> None:
                for one in shown:
                    one(event)

            yield show


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Lines:
    """Writes lines for events. ``every``: also for events that bars show. ``bars``: bars are shown too."""

    def __init__(
        self, write: Callable[[str], None], *, quiet: bool, every: bool, tracebacks: bool, bars: bool = False
    ) -> None:
        self._write, self._quiet, self._every, self._tracebacks = write, quiet, every, tracebacks
        self._lanes = LaneLines(every=every, bars=bars)

    def __call__(self, event: Event) -> None:
        lines = [*self._unit_lines(event), *self._lanes(event)]
        if not self._quiet or isinstance(event, _ALWAYS):
            for line in lines:
                self._write(line)

    def _unit_lines(self, event: Event) -> Iterator[str]:
        if isinstance(event, Message):
            yield f"note: {event.text}"
        elif line := unit_line(event, every=self._every, tracebacks=self._tracebacks):
            yield line
