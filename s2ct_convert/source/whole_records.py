"""Read the whole records of a damaged TFRecord from the pieces that are left of it, and note the gaps between them.

A record counts only if both of its checksums are right. Bytes before and after a gap are never joined.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..archives.pieces import Piece
from ..hashing import masked_crc32c
from .resync import HEADER_BYTES, find_header
from .tfrecord import MAX_RECORD_BYTES, is_header

_SEARCH_BYTES = 1 << 20
_DROP_BYTES = 4 << 20  # used bytes that may stay in memory


class WholeRecord(NamedTuple):
    """A record with right checksums. ``number``: its number in the TFRecord from 0; None if unknown."""

    number: int | None
    payload: bytes


@dataclass
class Hole:
    """A stretch without a whole record, as in :class:`s2ct_convert.gaps.Gap`. ``after`` counts within the TFRecord."""

    after: int
    examples: int | None
    begin: int | None
    packed_begin: int | None
    end: int | None = None
    packed_end: int | None = None


class WholeRecords:
    """The whole records among pieces, in order.

    Attributes
    ----------
    holes : list of Hole
        Complete once all records are read.
    found : int
        Number of records read so far.
    number : int or None
        Number of the next record in the TFRecord; None if unknown.
    end : int or None
        Where the last of the pieces ends in the TFRecord; None if unknown.
    """

    def __init__(self, pieces: Iterator[Piece], *, number: int | None = 0) -> None:
        self._run = _Run(pieces)
        self.holes: list[Hole] = []
        self.found, self.number = 0, number
        self.end: int | None = None
        self._hole: Hole | None = None

    def __iter__(self) -> Iterator[WholeRecord]:
        if not self._run.starts_whole:
            self._lose(None)
        while True:
            if (payload := self._read()) is not None:
                self._close()
                yield WholeRecord(self.number, payload)
                self.found += 1
                self.number = None if self.number is None else self.number + 1
                self._run.skip(HEADER_BYTES + len(payload) + 4)
            elif self._run.has(1):
                self._skip_damage()
            elif self._run.ends_whole:
                break
            else:
                self._lose(None)
                if not self._run.next():
                    break
        self.end = self._run.begin()[0]
        self._close()

    def _read(self) -> bytes | None:
        """The payload of the record here, if both of its checksums are right."""
        length = self._length()
        if length is None or not self._run.has(HEADER_BYTES + length + 4):
            return None
        payload = self._run.peek(HEADER_BYTES, HEADER_BYTES + length)
        (stored,) = struct.unpack("<I", self._run.peek(HEADER_BYTES + length, HEADER_BYTES + length + 4))
        return payload if masked_crc32c(payload) == stored else None

    def _length(self) -> int | None:
        """Length of the record here, if its checksum is right."""
        if not self._run.has(HEADER_BYTES):
            return None
        head = self._run.peek(0, HEADER_BYTES)
        length = int.from_bytes(head[:8], "little")
        return length if is_header(head) and length <= MAX_RECORD_BYTES else None

    def _skip_damage(self) -> None:
        """Skip one record whose length is right and ends where the next one starts; else search for the next header."""
        length = self._length()
        if length is not None:
            size = HEADER_BYTES + length + 4
            if self._run.has(size + HEADER_BYTES):
                fits = is_header(self._run.peek(size, size + HEADER_BYTES))
            else:
                fits = self._run.has(size) and not self._run.has(size + 1) and self._run.ends_whole
            if fits:
                self._lose(1)
                self._run.skip(size)
                return
        self._lose(None)
        self._run.skip(1)
        while self._run.has(HEADER_BYTES):
            self._run.has(_SEARCH_BYTES)
            data = self._run.peek(0, _SEARCH_BYTES)
            if (found := find_header(data)) is not None:
                self._run.skip(found)
                return
            self._run.skip(len(data) - HEADER_BYTES + 1)
        self._run.skip_all()

    def _lose(self, examples: int | None) -> None:
        """Note lost records from here on; None if their number is unknown."""
        if self._hole is None:
            self._hole = Hole(self.found, 0, *self._run.begin())
        known = self._hole.examples
        self._hole.examples = None if known is None or examples is None else known + examples
        self.number = None if self.number is None or examples is None else self.number + examples

    def _close(self) -> None:
        if self._hole is not None:
            self._hole.end, self._hole.packed_end = self._run.end()
            self.holes.append(self._hole)
            self._hole = None


class _Mark(NamedTuple):
    """A piece without its data: where it is in the run, in the TFRecord and in the archive."""

    begin: int
    end: int
    offset: int | None
    packed: int | None
    packed_end: int | None


class _Run:
    """The pieces as one position that moves forward. It crosses a gap between pieces only on request."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._next = next(pieces)  # there is one at least: the end
        self._begins = True
        self.starts_whole = self._next.joined and self._next.offset == 0
        self._start()

    def _start(self) -> None:
        self._data, self._at, self._dropped = bytearray(), 0, 0
        self._marks: deque[_Mark] = deque()  # from the byte before the position on

    def has(self, n: int) -> bool:
        """Whether ``n`` bytes are left in this run; reads them."""
        while len(self._data) - self._at < n:
            if not self._next.data or (self._dropped + len(self._data) and not self._next.joined):
                return False
            begin = self._dropped + len(self._data)
            self._data += self._next.data
            self._marks.append(_Mark(begin, begin + len(self._next.data), *self._next[2:]))
            self._next = next(self._pieces)
        return True

    @property
    def ends_whole(self) -> bool:
        """Whether this run ends at the end of the TFRecord."""
        return not self._next.data and self._next.joined

    def peek(self, begin: int, end: int) -> bytes:
        """Bytes from the position on; fewer at the end of what was read."""
        return bytes(memoryview(self._data)[self._at + begin : self._at + end])

    def skip(self, n: int) -> None:
        """Move the position, over bytes that were read."""
        self._at, self._begins = self._at + n, False
        while len(self._marks) > 1 and self._marks[0].end < self._dropped + self._at:
            self._marks.popleft()
        if self._at > _DROP_BYTES:
            del self._data[: self._at]
            self._dropped, self._at = self._dropped + self._at, 0

    def skip_all(self) -> None:
        """Skip the rest of this run."""
        while self.has(1):
            self.skip(len(self._data) - self._at)

    def next(self) -> bool:
        """Go to the next run; False at the end."""
        if not self._next.data:
            return False
        self._start()
        return True

    def begin(self) -> tuple[int | None, int | None]:
        """The position in the TFRecord and in the archive, as the begin of a hole."""
        if self._begins:
            return 0, None if self._next.packed is None else 0
        place = self._dropped + self._at
        mark = next((one for one in self._marks if one.end > place), self._marks[-1])
        offset = None if mark.offset is None else mark.offset + place - mark.begin
        return offset, mark.packed if mark.end > place else mark.packed_end

    def end(self) -> tuple[int | None, int | None]:
        """The position in the TFRecord and in the archive, as the end of a hole."""
        if not self.has(1):
            return self._next.offset, self._next.packed_end
        mark, place = self._marks[0], self._dropped + self._at
        offset = None if mark.offset is None else mark.offset + place - mark.begin
        return offset, mark.packed_end if place > mark.begin else mark.packed
