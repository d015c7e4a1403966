"""The Range header of a request (RFC 9110, section 14)."""

from __future__ import annotations

import re


class Unsatisfiable(Exception):
    """No byte of the range exists."""


def byte_range(header: str | None, size: int) -> slice | None:
    """The bytes that a request asks for; None for all.

    Parameters
    ----------
    header : str or None
        ``bytes=FIRST-LAST``, ``bytes=FIRST-`` or ``bytes=-LENGTH``. Anything else, such as several ranges, counts as no
        header: RFC 9110 lets a server send everything then.
    size : int
        Bytes of the file.

    Raises
    ------
    Unsatisfiable
        If the range begins after the end, or is empty.
    """
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip()) if header else None
    if not found or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        start, stop = max(0, size - int(last)), size
    elif last and int(last) < int(first):
        return None  # not a range
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    if start >= stop:
        raise Unsatisfiable
    return slice(start, stop)
