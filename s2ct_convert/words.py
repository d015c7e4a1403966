"""Numbers, dates and durations as text, and text from elsewhere for a terminal."""

from __future__ import annotations

import datetime
import os
import re
import shlex
from collections.abc import Iterable

# What a terminal obeys and does not show: controls but tab and line feed, and marks that turn text around.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    r"""Text in which a terminal finds nothing to obey: control characters become ``\x1b``."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shell_join(words: Iterable[str]) -> str:
    r"""A command that a person copies to bash or zsh: in one line, where ``shlex.join`` keeps line feeds as they are.

    A word with characters that a terminal does not show is written as ``$'a\x0ab'``.
    """
    return " ".join(map(_shell_word, words))


def shell_path(path: str | os.PathLike[str]) -> str:
    """A path as a word of such a command, which is never taken for an option."""
    text = os.fspath(path)
    return _shell_word(f"./{text}" if text.startswith("-") else text)


def _shell_word(text: str) -> str:
    if text.isprintable():
        return shlex.quote(text)
    shown = {"\\": "\\\\", "'": "\\'"}
    return "$'" + "".join(shown.get(one) or (one if one.isprintable() else _in_hex(one)) for one in text) + "'"


def _in_hex(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def size(n: float) -> str:
    """Bytes with an SI prefix: 1 kB is 1000 bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n) < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.2f} TB"


def seconds(n: float) -> str:
    """Seconds, minutes or hours."""
    if n < 60:
        return f"{n:.1f} s"
    return str(datetime.timedelta(seconds=round(n)))


def clock_time(n: float) -> str:
    """Seconds as hours, minutes and seconds, such as 0:01:30."""
    whole = round(n)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def of_total(n: float, total: float) -> str:
    """Bytes done of a total, in the unit of the total: ``0.4 of 1.0 MB``."""
    number, unit = size(total).split()
    factor = 1000 ** ("B", "kB", "MB", "GB", "TB").index(unit)
    decimals = len(number.partition(".")[2])
    return f"{n / factor:.{decimals}f} of {number} {unit}"


def day(days: int | None) -> str:
    """Days since 1970-01-01 as a date."""
    return "-" if days is None else (datetime.date(1970, 1, 1) + datetime.timedelta(days)).isoformat()


def span(first: int | None, last: int | None) -> str:
    """A range of dates, given as days since 1970-01-01."""
    return "no dates" if first is None else f"{day(first)} to {day(last)}"


def plural(n: int, noun: str) -> str:
    """``1 unit``, ``2 units``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def without(missing_units: str, refused_sources: str, salvaged_units: str = "") -> str:
    """What a partial store lacks, from its root attributes; empty for a complete store."""
    units, sources = missing_units.split(), refused_sources.split(", ") if refused_sources else []
    parts = [f"{plural(len(units), 'unit')} ({', '.join(units)})"] if units else []
    parts += [f"{plural(len(sources), 'source')} ({', '.join(sources)})"] if sources else []
    lacks = [f"without {' and without '.join(parts)}"] if parts else []
    lacks += [f"salvaged, with gaps: {', '.join(salvaged_units.split())}"] if salvaged_units else []
    return "; ".join(lacks)
