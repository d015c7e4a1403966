"""stdin, stdout and stderr of the command: closed ones, full ones, and ones whose reader has gone."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any

from ..words import escaped

RESULTS = "standard output"  # the name of stdout in errors


class _Results(io.FileIO):
    """stdout; an error names it."""

    def write(self, data: Any, /) -> int:  # blocking
        try:
            return super().write(data) or 0
        except OSError as error:
            error.filename = RESULTS
            raise


class _Messages(io.FileIO):
    """stderr; a message that does not fit on its disk is lost, and the work goes on."""

    def write(self, data: Any, /) -> int:  # blocking
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            raise
        except OSError:  # the place for reports is what fails
            return len(data)


class _Shown(io.TextIOWrapper):
    """Text for people. Names and messages from elsewhere may hold characters that a terminal obeys: they are escaped.

    ``plain`` is the same stream without that, for colours and bars.
    """

    plain: io.TextIOWrapper

    def write(self, text: str, /) -> int:
        return super().write(escaped(text))


def prepare() -> None:
    """Make stdin, stdout and stderr fit for use, in whatever state the shell left them.

    A closed one (``s2ct ... >&-``) is opened as /dev/null. Otherwise the next file that is opened gets that number, and
    output is written to that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # open until the process ends
    sys.stderr = sys.stderr or open(2, "w", closefd=False)
    if type(sys.stdout) is io.TextIOWrapper:  # and not that of a test
        sys.stdout = _again(sys.stdout, _Results(1, "w", closefd=False), shown=sys.stdout.isatty())
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = _again(sys.stderr, _Messages(2, "w", closefd=False), shown=True)


def _again(stream: io.TextIOWrapper, raw: io.FileIO, *, shown: bool) -> io.TextIOWrapper:
    """The stream on other ground. Text that its encoding lacks is escaped: a file name may not be valid UTF-8.

    ``shown``: to people. Results in a pipe or a file stay as they are: a script with the name of a store has to work.
    """
    stream.flush()
    buffer, buffered = io.BufferedWriter(raw), not stream.write_through
    options: Any = {"encoding": stream.encoding, "errors": "backslashreplace"}
    plain = io.TextIOWrapper(buffer, **options, line_buffering=stream.line_buffering, write_through=not buffered)
    if not shown:
        return plain
    out = _Shown(buffer, **options, line_buffering=True, write_through=not buffered)
    out.plain = plain
    return out


def is_closed() -> bool:
    """Whether the reader of stdout or stderr has closed its end."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        poll.register(stream, 0)  # errors and hang-ups are always reported
    return bool(poll.poll(0))


def drop() -> None:
    """Send buffered output to /dev/null. Python flushes at exit, and would print an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    if is_closed():
        os.dup2(nowhere, sys.stderr.fileno())
