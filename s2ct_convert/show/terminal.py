"""The width of a terminal, and text that fits into it.

A pipe or a file has no width. Nothing is shortened or wrapped there, because programs read it.
"""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console

USUAL_WIDTH = 80  # of a terminal that does not say how wide it is


def width_of(stream: TextIO) -> int | None:
    """Columns of the terminal behind a stream, from COLUMNS or the terminal itself; None if it is no terminal."""
    if not stream.isatty():
        return None
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and int(stated):
        return int(stated)
    return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH


def shorten(name: str, room: int | None) -> str:
    """Shorten a name in the middle: its end says as much as its start. Of a path, the last part stays if it fits."""
    if room is None or len(name) <= room:
        return name
    keep = max(room - 1, 1)
    last = len(name) - name.rfind("/") if "/" in name else keep
    tail = last if last < keep else keep * 7 // 16
    return f"{name[: keep - tail]}…{name[len(name) - tail :] if tail else ''}"


def error_lines(text: str, width: int | None) -> list[str]:
    """The lines of an error message, broken between words, except those with a command, which is copied."""
    lines = []
    for line in text.splitlines():
        lines += [line] if "s2ct " in line.partition("to do:")[2] else wrap(line, width, " " * 12)
    return lines


def note_lines(line: str, width: int | None) -> list[str]:
    """A note, broken between words, except one with a command, which is copied; any other line as it is."""
    return wrap(line, width, "  ") if line.startswith("note: ") and " s2ct " not in line else [line]


def wrap(text: str, width: int | None, indent: str = "") -> list[str]:
    """Break a text between words; later lines start with ``indent``. A word that is too long stays whole."""
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def line_of(name: str, rest: str, width: int | None, before: str = "") -> str:
    """``before``, a name and the rest on one line; the name is shortened where the line is too long."""
    room = None if width is None else max(width - len(before) - len(rest), 12)
    return f"{before}{shorten(name, room)}{rest}"


def make_console(*, stderr: bool = False, **options: Any) -> Console:
    """A console of rich. A closed pipe ends the command as without rich, which would exit with 1."""
    from rich.console import Console

    class OurConsole(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise  # rich calls this while it handles the BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    return OurConsole(**{"file": getattr(stream, "plain", stream), **options})
