"""Where the packed bytes of an archive are, and how far into them a decoder has come: to locate damage.

Headers are checked by their CRC-32 (7zFormat.txt). A packed stream is decoded in small steps and in one thread, so that
the position is known at every moment. Only the methods of plain streams are supported: LZMA2, LZMA and Copy.
"""

from __future__ import annotations

import lzma
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ArchiveDamaged
from .archive import Member, opened, to_member
from .bounds import dictionary_size
from .damage import AGAIN, explained
from .stream import PIECE_BYTES, SourceReader
from .unpackers import SIGNATURE

START_BYTES = 32  # the start header
STEP_BYTES = 16 << 10  # packed bytes in one step: when a decoder fails, it loses what it had unpacked of them
COPY, LZMA, LZMA2 = "00", "030101", "21"


class PackedStream(NamedTuple):
    """A solid block of an archive: where its packed bytes are, its method (an id in hex) and its members in order.

    Sizes and offsets are in bytes. ``method`` is empty if there are several coders.
    """

    offset: int
    size: int
    method: str
    properties: bytes
    members: tuple[Member, ...]


def find_header_damage(fd: int) -> tuple[int, int] | None:
    """First byte and end of a header whose checksum is wrong; None if both headers are right or not in this file."""
    head = os.pread(fd, START_BYTES, 0)
    if len(head) < START_BYTES or head[:6] != SIGNATURE:
        return 0, START_BYTES
    stored, offset, size, crc = struct.unpack_from("<IQQI", head, 8)
    if zlib.crc32(head[12:]) != stored:
        return 0, START_BYTES
    begin, end = START_BYTES + offset, START_BYTES + offset + size
    if end <= os.fstat(fd).st_size and _crc32(fd, begin, end) != crc:
        return begin, end
    return None


def find_packed_header(fd: int) -> tuple[int, int] | None:
    """First byte and end of the packed form of the end header, which lies before it; None if it is not packed."""
    offset, size = struct.unpack_from("<QQ", os.pread(fd, START_BYTES, 0), 12)
    encoded = os.pread(fd, 16, START_BYTES + offset)
    if encoded[:2] != b"\x17\x06":  # kEncodedHeader, kPackInfo
        return None
    return START_BYTES + _number(encoded[2:]), START_BYTES + offset + size


def _crc32(fd: int, begin: int, end: int) -> int:
    crc = 0
    while begin < end and (piece := os.pread(fd, min(PIECE_BYTES, end - begin), begin)):
        crc = zlib.crc32(piece, crc)
        begin += len(piece)
    return crc


def _number(data: bytes) -> int:
    """A number as in 7zFormat.txt: the leading ones of the first byte count the bytes that follow."""
    value, mask = 0, 0x80
    for i in range(8):
        if not data[0] & mask:
            return value | (data[0] & (mask - 1)) << 8 * i
        value |= data[1 + i] << 8 * i
        mask >>= 1
    return value


def read_packed_streams(path: Path) -> list[PackedStream]:
    """The packed streams of an archive, in the order of the file.

    Raises
    ------
    SourceError
        If the headers cannot be read.
    """
    with SourceReader(path, with_md5=False) as file, opened(file) as archive, explained(path.name):
        found: dict[int, PackedStream] = {}
        for one in archive.files:
            if one.is_directory or getattr(one, "folder", None) is None:
                continue
            folder = one.folder
            stream = found.get(id(folder)) or _locate(archive, folder)
            found[id(folder)] = stream._replace(members=(*stream.members, to_member(one)))
        return sorted(found.values())


def _locate(archive: Any, folder: Any) -> PackedStream:
    streams = archive.header.main_streams
    folders = streams.unpackinfo.folders
    before = folders[: folders.index(folder)]
    number = sum(sum(coder["numinstreams"] for coder in one.coders) - len(one.bindpairs) for one in before)
    offset = archive.afterheader + streams.packinfo.packpos + streams.packinfo.packpositions[number]
    only = folder.coders[0] if len(folder.coders) == 1 else {"method": b""}
    properties = bytes(only.get("properties") or b"")
    return PackedStream(int(offset), int(streams.packinfo.packsizes[number]), only["method"].hex(), properties, ())


class FollowedStream:
    """A packed stream, unpacked in order, to read from.

    ``position`` is the offset in the file up to which the decoder has got bytes.

    Parameters
    ----------
    fd : int
    packed : PackedStream
        Its method must be supported, see :func:`can_follow`.
    stopping : callable
        Called at every step; if it returns true, this raises :class:`KeyboardInterrupt`.
    """

    def __init__(self, fd: int, packed: PackedStream, stopping: Callable[[], bool]) -> None:
        self._fd, self._packed, self._stopping = fd, packed, stopping
        self._decoder = None if packed.method == COPY else _decoder(packed)
        self.position = packed.offset

    def read(self, n: int, /) -> bytes:
        """At most ``n`` bytes.

        Raises
        ------
        ArchiveDamaged
            If the decoder fails or the packed bytes end.
        """
        while n:
            if self._stopping():
                raise KeyboardInterrupt
            data = b""
            if self._decoder is None:
                return self._next(min(n, STEP_BYTES))
            if self._decoder.needs_input:
                data = self._next(STEP_BYTES)
            try:
                out = self._decoder.decompress(data, n)
            except (lzma.LZMAError, EOFError) as error:
                raise _damaged(str(error)) from error
            if out:
                return out
        return b""

    def _next(self, n: int) -> bytes:
        left = self._packed.offset + self._packed.size - self.position
        data = os.pread(self._fd, min(n, left), self.position)
        if not data:
            raise _damaged("the packed stream ends early")
        self.position += len(data)
        return data


def can_follow(packed: PackedStream) -> bool:
    """Whether this module unpacks the method of a stream."""
    return packed.method == COPY or (packed.method, len(packed.properties)) in ((LZMA, 5), (LZMA2, 1))


def _decoder(packed: PackedStream) -> lzma.LZMADecompressor:
    if packed.method == LZMA2:
        (bits,) = packed.properties
        one: dict[str, int] = {"id": lzma.FILTER_LZMA2, "dict_size": dictionary_size(bits)}
    else:
        packing, dict_size = struct.unpack("<BI", packed.properties)
        one = {"id": lzma.FILTER_LZMA1, "dict_size": dict_size}
        one |= {"lc": packing % 9, "lp": packing // 9 % 5, "pb": packing // 45}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[one])


def _damaged(reason: str) -> ArchiveDamaged:
    return ArchiveDamaged(f"the archive is damaged ({reason})", todo=AGAIN)
