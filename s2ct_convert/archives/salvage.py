"""Pieces of a member of a damaged 7z archive: all that can still be unpacked, and where it is.

The headers help and are not needed. Each counts only if its own CRC is right. If bytes are missing in the archive or
were added to it, the end header is looked for where it is then. Without headers, the packed bytes start at
byte 32, and their first byte tells LZMA2 from LZMA.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import py7zr

from ..errors import ArchiveUnsupported, S2ctError
from ..seekable import Seekable
from .bounds import dictionary_size
from .damage import encrypted, explained
from .lzma2_salvage import Lzma1Salvage, Lzma2Salvage
from .pieces import FileBytes, Piece, plain_pieces
from .start_header import check_packed_header
from .stream import SourceReader
from .unpackers import SIGNATURE

_START_BYTES = 32  # the start header
_TAIL_BYTES = 1 << 20  # holds an end header, and its own packed stream
_MOST_HEADER_BYTES = 64 << 20
_LZMA2, _LZMA1, _COPY = b"\x21", b"\x03\x01\x01", b"\x00"


@dataclass(frozen=True)
class _Place:
    """Where a member is packed, by the headers: alone in its folder, or its position in a stored folder."""

    name: str
    method: bytes | None  # None: another method, or other files packed with it
    properties: bytes
    begin: int
    end: int
    size: int


def member_pieces(file: SourceReader, member: str) -> Iterator[Callable[[], Iterator[Piece]]]:
    """Ways to unpack what is whole of a member: each gives pieces in order, and the end of the member.

    The second and later ones are for a caller who could not use what the ones before gave.

    Parameters
    ----------
    file : SourceReader
        The archive, or all its volumes.
    member : str
        Empty if unknown, because the headers are damaged. Then the archive should hold one file.

    Raises
    ------
    ArchiveUnsupported
        If the archive is encrypted.
    """
    data = FileBytes(file)
    place = _find_place(file, data, member)
    if place is not None:
        yield _by_headers(file, data, place)
        return
    if data.read(_START_BYTES, 1) == b"\0":
        yield Lzma1Salvage(data, _START_BYTES, None).pieces
    yield Lzma2Salvage(data, _START_BYTES, None).pieces
    yield lambda: plain_pieces(data, _START_BYTES, data.size, packed=True)


def _by_headers(file: SourceReader, data: FileBytes, place: _Place) -> Callable[[], Iterator[Piece]]:
    if place.method == _LZMA2:
        (bits,) = place.properties
        dict_size = dictionary_size(bits)
        return Lzma2Salvage(data, place.begin, place.end, dict_size=dict_size, total=place.size).pieces
    if place.method == _LZMA1:
        return Lzma1Salvage(data, place.begin, place.end, properties=place.properties, total=place.size).pieces
    if place.method == _COPY:
        return lambda: plain_pieces(data, place.begin, place.end, packed=True)
    return lambda: _from_the_front(file, place)


def _from_the_front(file: SourceReader, place: _Place) -> Iterator[Piece]:
    """Pieces of a member of another method, up to the first error of its unpacker."""
    from .archive import open_member

    done = 0
    file.seek(0)
    try:
        with open_member(file, place.name) as stream:
            while out := stream.read(1 << 20):
                yield Piece(out, True, done, 0, place.end)
                done += len(out)
    except ArchiveUnsupported:
        raise
    except S2ctError:
        pass
    yield Piece(b"", done == place.size, place.size, place.end, place.end)


def _find_place(file: SourceReader, data: FileBytes, member: str) -> _Place | None:
    """Where the headers say that a member is; None if they are damaged."""
    shown = _shown_whole(file, data)
    if shown is None:
        return None
    whole, shift = shown
    try:
        offset, size = struct.unpack_from("<QQ", data.read(0, _START_BYTES), 12)
        check_packed_header(whole, Path(file.name).name, _START_BYTES + offset, size)
        whole.seek(0)
        with explained(Path(file.name).name):
            archive: Any = py7zr.SevenZipFile(whole)  # type: ignore[arg-type]  # any io.IOBase will do
        with archive:
            if archive.needs_password():
                raise encrypted(Path(file.name).name)
            files = [one for one in archive.files if one.is_file and one.uncompressed]
            named = [one for one in files if one.filename == member] if member else files
            return _place_of(archive, named[0], shift) if len(named) == 1 else None
    except ArchiveUnsupported:
        raise
    except (S2ctError, AttributeError, KeyError, IndexError, TypeError, ValueError):
        return None


def _place_of(archive: Any, file: Any, shift: int) -> _Place:
    folder, streams = file.folder, archive.header.main_streams
    folders = streams.unpackinfo.folders
    before = folders[: folders.index(folder)]
    stream = sum(sum(coder["numinstreams"] for coder in one.coders) - len(one.bindpairs) for one in before)
    begin = int(archive.afterheader + streams.packinfo.packpos + streams.packinfo.packpositions[stream])
    end = begin + int(streams.packinfo.packsizes[stream])
    alone = len(folder.files) == 1
    coder = folder.coders[0] if len(folder.coders) == 1 else {"method": None}
    method, properties = coder["method"], bytes(coder.get("properties") or b"")
    size = int(file.uncompressed)
    if method == _COPY:
        inside = 0
        for one in folder.files:
            if one.filename == file.filename:
                break
            inside += int(one.uncompressed)
        begin, end = begin + inside, begin + inside + size
    elif not alone or method not in (_LZMA2, _LZMA1):
        method = None
    shift = shift if method != _COPY else 0  # nobody knows where in stored bytes some are missing
    return _Place(str(file.filename), method, properties, begin, end + shift, size)


def _shown_whole(file: SourceReader, data: FileBytes) -> tuple[io.RawIOBase, int] | None:
    """The archive with its end header where its start header says, and how many bytes too many it has."""
    head = data.read(0, _START_BYTES)
    if len(head) < _START_BYTES or head[:6] != SIGNATURE:
        return None
    if zlib.crc32(head[12:]) != struct.unpack_from("<I", head, 8)[0]:
        return None
    offset, size, crc = struct.unpack_from("<QQI", head, 12)
    if not 0 < size <= _MOST_HEADER_BYTES:
        return None
    stated = _START_BYTES + offset
    for shift in dict.fromkeys((0, data.size - stated - size)):
        if zlib.crc32(data.read(stated + shift, size)) == crc:
            return _Shifted(file, stated + size, max(_START_BYTES, stated - _TAIL_BYTES), shift), shift
    return None


class _Shifted(Seekable):
    """A file whose last part is ``shift`` bytes away from where it should be, shown where it should be."""

    def __init__(self, file: SourceReader, size: int, tail: int, shift: int) -> None:
        self._file, self._size, self._tail, self._shift = file, size, tail, shift
        self.name = file.name

    def size(self) -> int:
        return self._size

    def read(self, n: int = -1) -> bytes:
        """Read as from a file: fewer than ``n`` bytes only at the end."""
        end = self._size if n < 0 else min(self._at + n, self._size)
        out = b""
        for begin, stop, shift in ((0, self._tail, 0), (self._tail, self._size, self._shift)):
            low, high = max(self._at, begin), min(end, stop)
            if low < high:
                self._file.seek(low + shift)
                out += self._file.read(high - low)
        self._at += len(out)
        return out
