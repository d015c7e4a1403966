"""Pieces of a damaged file: what could be unpacked, in order, and where it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .stream import SourceReader

_BLOCK_BYTES = 256 << 10


class Piece(NamedTuple):
    """Unpacked bytes. The last piece of a stream is empty and marks its end.

    Attributes
    ----------
    data : bytes
    joined : bool
        Whether it continues the piece before it. If false, bytes are missing between them.
    offset : int or None
        Offset in the unpacked stream; None if unknown. Of the last piece, the size of the stream.
    packed, packed_end : int or None
        The packed bytes that it comes from, in the file.
    """

    data: bytes
    joined: bool
    offset: int | None
    packed: int | None = None
    packed_end: int | None = None


class FileBytes:
    """The bytes of a file by offset. Small reads use a buffer."""

    def __init__(self, file: SourceReader) -> None:
        self._file = file
        self.size = file.size()
        self._begin, self._block = 0, b""

    def read(self, at: int, n: int) -> bytes:
        """``n`` bytes from offset ``at``, or fewer at the end of the file."""
        if not self._begin <= at <= at + n <= self._begin + len(self._block):
            self._file.seek(at)
            self._begin, self._block = at, self._file.read(max(n, _BLOCK_BYTES))
        return self._block[at - self._begin : at - self._begin + n]


def plain_pieces(data: FileBytes, begin: int, end: int, *, packed: bool) -> Iterator[Piece]:
    """Pieces of bytes that are stored without compression, and the end. ``packed``: they are in an archive."""
    at, there = begin, min(end, data.size)
    while at < there:
        piece = data.read(at, min(_BLOCK_BYTES, there - at))
        if not piece:
            break
        place = (at, at + len(piece)) if packed else (None, None)
        yield Piece(piece, True, at - begin, *place)
        at += len(piece)
    yield Piece(b"", at >= end, end - begin, *((at, at) if packed else (None, None)))
