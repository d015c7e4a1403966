"""Progress over files on stderr: a bar over bytes on a terminal, one line per file elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class FileProgress:
    """Shows bytes read and lines about files."""

    def __init__(self, *, quiet: bool, bar: Progress | None = None, task: TaskID | None = None) -> None:
        self._quiet, self._bar, self._task = quiet, bar, task

    def advance(self, n: int) -> None:
        """Add the number of bytes read since the last call."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, n)

    def set_total(self, total: int) -> None:
        """Set the total number of bytes, if it was not known at the start."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)

    def line(self, text: str, *, always: bool = False) -> None:
        """Show a line about one file. ``always``: even with ``quiet``."""
        if self._bar is not None:
            print_above(self._bar, text)
        elif always or not self._quiet:
            print(text, file=sys.stderr, flush=True)


@contextmanager
def file_progress(what: str, total: int, *, quiet: bool) -> Iterator[FileProgress]:
    """Show progress over ``total`` bytes of files."""
    with bar_or_none(quiet=quiet) as bar:
        yield FileProgress(quiet=quiet, bar=bar, task=bar.add_task(what, total=total) if bar else None)


@contextmanager
def bar_or_none(*, quiet: bool) -> Iterator[Progress | None]:
    """Yield a bar if stderr is a terminal and ``quiet`` is not set, else None."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with bytes_bar() as bar:
        yield bar


def print_above(bar: Progress, text: str) -> None:
    """Print a line above a bar unchanged: no colours, no emoji, no wrapping at the width of the terminal."""
    bar.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def bytes_bar() -> Progress:
    """A rich progress bar on stderr with bytes, rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
