"""A file at the service, to read from: bytes are fetched when they are first read, and at most as many as allowed."""

from __future__ import annotations

from ..errors import NetworkError
from ..seekable import Seekable
from .ranges import Ranges

HEAD_BYTES = 1024  # has the start header of an archive
TAIL_BYTES = 1 << 16  # has the end header
STRETCH_BYTES = 1 << 19  # fetched at once where more is needed than was foreseen


class TooMuch(NetworkError):
    """Reading on would fetch more bytes than this look may."""


class RangeFile(Seekable):
    """A file of which only parts are here.

    Parameters
    ----------
    ranges : Ranges
    limit : int
        Bytes that may be fetched; it may be raised.
    """

    def __init__(self, ranges: Ranges, limit: int) -> None:
        self.name, self.limit, self.stretch = ranges.name, limit, STRETCH_BYTES
        self._ranges = ranges
        self._parts: dict[int, bytes] = {}  # by offset; they do not overlap
        self._begin()

    def _begin(self) -> None:
        """Fetch the first and the last bytes: in one request if the file is small, else in two."""
        size = self._ranges.size
        if size == 0:  # no range of it can be requested
            return
        small = size is not None and size <= HEAD_BYTES + TAIL_BYTES
        self._add(0, self._ranges.get(0, size if small and size is not None else HEAD_BYTES))
        size = self.size()
        start = max(len(self._parts[0]), size - TAIL_BYTES)
        if start < size:
            self._add(start, self._ranges.get(start, size))

    def size(self) -> int:
        """Size in bytes."""
        assert self._ranges.size is not None  # the first answer gave it
        return self._ranges.size

    def read(self, n: int = -1, /) -> bytes:
        """``n`` bytes; fewer only at the end of the file.

        Raises
        ------
        TooMuch
            If the bytes are not here, and the limit does not allow to fetch them.
        """
        rest = max(self.size() - self._at, 0)
        n = rest if n < 0 else min(n, rest)
        pieces = []
        while n and (data := self.read1(n)):
            pieces.append(data)
            n -= len(data)
        return b"".join(pieces)

    def read1(self, n: int, /) -> bytes:
        """At most ``n`` bytes; fewer where a part ends, so that nothing is fetched too early."""
        n = min(n, max(self.size() - self._at, 0))
        if not n:
            return b""
        start, part = self._part()
        data = part[self._at - start : self._at - start + n]
        self._at += len(data)
        return data

    def _part(self) -> tuple[int, bytes]:
        """The part with the next byte. Fetches it if it is not here."""
        for start, part in self._parts.items():
            if start <= self._at < start + len(part):
                return start, part
        following = min((start for start in self._parts if start > self._at), default=self.size())
        stop = min(self._at + self.stretch, following, self._at + self.limit - self._ranges.bytes)
        if stop <= self._at:
            raise TooMuch("this look may not fetch more bytes", where=self.name)
        self._add(self._at, self._ranges.get(self._at, stop))
        return self._at, self._parts[self._at]

    def _add(self, offset: int, data: bytes) -> None:
        self._parts[offset] = data
