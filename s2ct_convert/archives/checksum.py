"""Size and CRC-32 of a TFRecord, to find equal ones without comparing all bytes."""

from __future__ import annotations

from typing import NamedTuple

from isal import isal_zlib

from ..objects.remote import AnyFile
from .stream import PIECE_BYTES, Readable, SourceReader


class Content(NamedTuple):
    """Size in bytes and CRC-32 of a TFRecord file or of the unpacked member of an archive."""

    bytes: int
    crc32: int

    def followed_by(self, other: Content) -> Content:
        """The content of both, one after the other."""
        return Content(self.bytes + other.bytes, isal_zlib.crc32_combine(self.crc32, other.crc32, other.bytes))


class Summed:
    """Wraps a stream and keeps the size and CRC-32 of the bytes read so far."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.content = Content(0, 0)

    def read(self, n: int, /) -> bytes:
        piece = self._stream.read(n)
        size, crc32 = self.content
        self.content = Content(size + len(piece), isal_zlib.crc32(piece, crc32))
        return piece


def content_of(stream: Readable) -> Content:
    """Size and CRC-32 of a stream. Reads it to its end."""
    summed = Summed(stream)
    while summed.read(PIECE_BYTES):
        pass
    return summed.content


def content_of_file(path: AnyFile) -> Content:
    """Size and CRC-32 of a file. Reads it to its end.

    Raises
    ------
    OSError
    """
    with SourceReader(path, with_md5=False) as file:
        return content_of(file)


def content_of_member(archive: AnyFile, member: str) -> Content | None:
    """Size and CRC-32 of a member, from the header of its archive.

    None if the header has no checksum, or not exactly one member of this name.

    Raises
    ------
    SourceError, OSError
    """
    from .archive import read_archive  # slow to import

    found = [one for one in read_archive(archive).members if one.name == member]
    if len(found) != 1 or found[0].crc32 is None:
        return None
    return Content(found[0].size, found[0].crc32)
