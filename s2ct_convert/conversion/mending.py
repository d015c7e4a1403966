"""Finds the damage in a file with the wrong md5, so that a download fetches only this part again.

The file is read as a conversion reads it: the headers of the archive, the decoder, and both checksums of every record.
The damage lies between the end of the last good record and the position at which the first error shows. Decoders find
errors late, and pages are damaged as a whole, so both ends get a margin. If a file shows no error, or holds something
else, the damage is not found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError
from ..names import try_name
from ..record.damage import Damage

if TYPE_CHECKING:
    from ..archives.archive import Member
    from ..archives.packed import FollowedStream, PackedStream

MARGIN_BYTES = 128 << 10  # an LZMA2 chunk, whose end at the latest shows an error, has at most 64 KiB


def find_damage(path: Path, key: str, stopping: Callable[[], bool]) -> Damage | None:
    """Find the first damage in a file of a record.

    Parameters
    ----------
    path : Path
    key : str
        Name of the file in the record; ``path`` may have another one.
    stopping : callable
        If it returns true, this raises :class:`KeyboardInterrupt`.

    Returns
    -------
    Damage or None
        A stretch of the file that holds the first damage. None if no damage is found, or the stretch is more than half
        of the file.
    """
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        found = _look(file.fileno(), path, key, stopping)
    if found is None:
        return None
    start, end = max(0, found[0] - MARGIN_BYTES), min(size, found[1] + MARGIN_BYTES)
    return Damage(start, end) if end - start <= size // 2 else None


def _look(fd: int, path: Path, key: str, stopping: Callable[[], bool]) -> tuple[int, int] | None:
    """The first damage, without margins."""
    from ..archives.packed import (
        COPY,
        PackedStream,
        can_follow,
        find_header_damage,
        find_packed_header,
        read_packed_streams,
    )

    if not key.lower().endswith(".7z"):
        size = os.fstat(fd).st_size
        return _look_at(fd, PackedStream(0, size, COPY, b"", (_whole(key, size),)), stopping)
    if damaged := find_header_damage(fd):
        return damaged
    try:
        streams = read_packed_streams(path)
    except SourceError:
        return find_packed_header(fd)
    for stream in filter(can_follow, streams):
        if damaged := _look_at(fd, stream, stopping):
            return damaged
    return None


def _whole(key: str, size: int) -> Member:
    """A bare file as the only member of itself."""
    from ..archives.archive import Member

    return Member(key, size, None)


def _look_at(fd: int, packed: PackedStream, stopping: Callable[[], bool]) -> tuple[int, int] | None:
    """The first damage in a packed stream: from the end of what is good to the position of the first error."""
    from ..archives.packed import FollowedStream

    stream, good = FollowedStream(fd, packed, stopping), packed.offset
    try:
        for member in packed.members:
            for good in _good_ends(stream, packed, member):  # noqa: B007  # used after the error
                pass
    except SourceError:
        return good, stream.position
    return None


def _good_ends(stream: FollowedStream, packed: PackedStream, member: Member) -> Iterator[int]:
    """Read a member. Yield offsets in the file before which everything is good.

    Raises
    ------
    SourceError
        At the first error.
    """
    from ..archives.packed import LZMA2, STEP_BYTES
    from ..archives.stream import Prefixed
    from ..source.tfrecord import HEADER_BYTES, is_header, read_raw_records
    from ..source.wrapped import find_wrapper

    part = _Part(stream, member.size)
    head = _head(part, HEADER_BYTES)
    if is_header(head) or (try_name(member.name) and not find_wrapper(head)):
        for _ in read_raw_records(Prefixed(head, part), where=member.name):
            yield stream.position
        return
    while part.read(STEP_BYTES):
        if packed.method == LZMA2:
            yield max(packed.offset, stream.position - MARGIN_BYTES)


def _head(stream: _Part, n: int) -> bytes:
    head = b""
    while len(head) < n and (piece := stream.read(n - len(head))):
        head += piece
    return head


class _Part:
    """The next ``size`` bytes of a stream, as a stream."""

    def __init__(self, stream: FollowedStream, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, n: int, /) -> bytes:
        if not (n := min(n, self._left)):
            return b""
        piece = self._stream.read(n)
        self._left -= len(piece)
        return piece
