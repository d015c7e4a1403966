"""Size and CRC-32 of a TFRecord, which tell equal ones without a comparison byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

from .stream import PIECE_BYTES, Readable, SourceReader


class Content(NamedTuple):
    """Size in bytes and CRC-32 of a TFRecord as it lies in its archive, or of the bare file."""

    bytes: int
    crc32: int


class Summed:
    """A stream, and the size and CRC-32 of what was read of it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.content = Content(0, 0)

    def read(self, n: int, /) -> bytes:
        piece = self._stream.read(n)
        size, crc32 = self.content
        self.content = Content(size + len(piece), isal_zlib.crc32(piece, crc32))
        return piece


def content_of(stream: Readable) -> Content:
    """Of a stream, which is read to its end."""
    summed = Summed(stream)
    while summed.read(PIECE_BYTES):
        pass
    return summed.content


def content_of_file(path: Path) -> Content:
    """Of a file.

    Raises
    ------
    OSError
    """
    with SourceReader(path, with_md5=False) as file:
        return content_of(file)


def content_of_member(archive: Path, member: str) -> Content | None:
    """Of a member by the header of its archive; None where that has no checksum, or several members of this name.

    Raises
    ------
    SourceError, OSError
    """
    from .archive import read_archive  # slow to import, and only archives need it

    found = [one for one in read_archive(archive).members if one.name == member]
    if len(found) != 1 or found[0].crc32 is None:
        return None
    return Content(found[0].size, found[0].crc32)
