"""The first bytes of a member, unpacked as they are read, from an archive whose end may not be here.

Nothing is read ahead: a read of the archive gets :data:`INPUT_BYTES`, and only when its predecessors are used up. The
CRC32 of the member is at its end, so it is not checked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ArchiveUnsupported
from .archive import Archive, headers_of, opened
from .damage import explained
from .stream import ArchiveFile, Readable
from .unpackers import can_python, method_name

INPUT_BYTES = 1 << 14  # packed bytes in one step of a decoder
_OUTPUT_BYTES = 1 << 20  # unpacked bytes in one step
_DICTIONARIES: dict[str, Callable[[bytes], int]] = {
    "21": lambda bits: 0xFFFFFFFF if bits[0] == 40 else (2 | (bits[0] & 1)) << (bits[0] // 2 + 11),  # LZMA2
    "030101": lambda properties: int.from_bytes(properties[1:5], "little"),  # LZMA
}


@dataclass(frozen=True)
class Packing:
    """How a member is packed: sizes in bytes.

    ``dictionary`` is None for methods without one. ``packed`` is the size of its whole block; ``before`` is the
    unpacked size of the members before it in the block, which are unpacked with it.
    """

    dictionary: int | None
    packed: int
    unpacked: int
    before: int


class _Place(NamedTuple):
    folder: Any
    offset: int
    packing: Packing


class Headers:
    """The headers of an open archive, and the fronts of its members."""

    def __init__(self, opened_archive: Any, file: ArchiveFile) -> None:
        self._opened, self._file = opened_archive, file
        self.archive: Archive = headers_of(opened_archive, Path(file.name), file.size())
        self._files = [one for one in opened_archive.files if one.is_file]

    def packing(self, number: int) -> Packing | None:
        """How the member with this number is packed; None for an empty file."""
        place = self._place(number)
        return place and place.packing

    def front(self, number: int, read: Callable[[int], bytes]) -> Readable:
        """The unpacked bytes of a member from its start. ``read`` reads the archive, and may return fewer bytes.

        Raises
        ------
        ArchiveUnsupported
            If Python cannot unpack its methods.
        """
        member = self.archive.members[number]
        place = self._place(number)
        if place is None:
            return _Nothing()
        if odd := [one for one in member.methods if not can_python((one,))]:
            raise ArchiveUnsupported(
                f"this look cannot unpack {' and '.join(map(method_name, odd))}",
                where=self._file.name,
                todo="download the archive; a conversion unpacks it with a 7-Zip program",
            )
        return _Front(place, self._file, member.size, read)

    def _place(self, number: int) -> _Place | None:
        """Where a member is. The headers that py7zr parsed are used, which are not public."""
        file, streams = self._files[number], self._opened.header.main_streams
        folder = getattr(file, "folder", None)
        if folder is None:
            return None
        with explained(self._file.name):
            folders = streams.unpackinfo.folders
            index = next(i for i, one in enumerate(folders) if one is folder)
            stream = sum(_streams_of(one) for one in folders[:index])
            offset = self._opened.afterheader + streams.packinfo.packpos + streams.packinfo.packpositions[stream]
            packed = sum(streams.packinfo.packsizes[stream : stream + _streams_of(folder)])
            sizes = [_dictionary(coder) for coder in folder.coders]
            before = 0
            for other in self._files[:number]:
                before += int(other.uncompressed) if getattr(other, "folder", None) is folder else 0
            found = max((size for size in sizes if size is not None), default=None)
            packing = Packing(found, int(packed), int(folder.get_unpack_size()), before)
            return _Place(folder, int(offset), packing)


@contextmanager
def open_headers(file: ArchiveFile) -> Iterator[Headers]:
    """Read the headers of an archive. Only they are read.

    Raises
    ------
    NotAnArchive, NotATFRecord, ArchiveDamaged, ArchiveUnsupported
        NotATFRecord: the archive is empty. ArchiveUnsupported: it is encrypted.
    """
    with opened(file) as archive:
        yield Headers(archive, file)


def _streams_of(folder: Any) -> int:
    """Number of packed streams of a block."""
    return int(sum(coder["numinstreams"] for coder in folder.coders)) - len(folder.bindpairs)


def _dictionary(coder: Any) -> int | None:
    size = _DICTIONARIES.get(coder["method"].hex())
    return size(coder["properties"]) if size is not None and coder.get("properties") else None


class _Nothing:
    """An empty member."""

    def read(self, n: int, /) -> bytes:
        return b""


class _Front:
    """A member of a block, unpacked step by step."""

    def __init__(self, place: _Place, file: ArchiveFile, size: int, read: Callable[[int], bytes]) -> None:
        from py7zr.compressor import SevenZipDecompressor

        self._name, self._skip, self._left = file.name, place.packing.before, size
        self.read_packed = read
        with explained(self._name):
            folder = place.folder
            self._decoder = SevenZipDecompressor(
                folder.coders, place.packing.packed, folder.unpacksizes, None, None, blocksize=INPUT_BYTES
            )
        self._buffer = memoryview(b"")
        file.seek(place.offset, os.SEEK_SET)

    def read(self, n: int, /) -> bytes:
        """At most ``n`` bytes; none at the end of the member, or where the packed stream ends too early."""
        while not self._buffer and self._left:
            data = self._step()
            if data is None:
                return b""
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            self._buffer = memoryview(data)[skipped:][: self._left]
            self._left -= len(self._buffer)
        out, self._buffer = bytes(self._buffer[:n]), self._buffer[n:]
        return out

    def _step(self) -> bytes | None:
        """The next unpacked bytes, perhaps none yet; None at the end of the packed stream."""
        with explained(self._name):
            before = self._decoder.consumed
            data = self._decoder.decompress(_Input(self.read_packed), max_length=_OUTPUT_BYTES)
        return None if not data and self._decoder.consumed == before else bytes(data)


class _Input:
    """The packed stream as py7zr reads it."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read
