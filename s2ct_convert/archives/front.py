"""The first bytes of a member, unpacked as they are read, from an archive whose end may not be here.

Nothing is read ahead: a read of the archive gets :data:`.blocks.INPUT_BYTES`, and only when its predecessors are used
up. The CRC32 of the member is at its end, so it is not checked.
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
from .blocks import Block, places_of
from .bounds import BOUNDS, dictionary_of
from .damage import explained
from .stream import ArchiveFile, Readable
from .unpackers import can_python, method_name


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
        folder = getattr(self._files[number], "folder", None)
        if folder is None:
            return None
        with explained(self._file.name):
            offset, packed = next(place for one, place in places_of(self._opened) if one is folder)
            sizes = [dictionary_of(coder) for coder in folder.coders]
            before = 0
            for other in self._files[:number]:
                before += int(other.uncompressed) if getattr(other, "folder", None) is folder else 0
            found = max((size for size in sizes if size is not None), default=None)
            packing = Packing(found, packed, int(folder.get_unpack_size()), before)
            return _Place(folder, offset, packing)


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


class _Nothing:
    """An empty member."""

    def read(self, n: int, /) -> bytes:
        return b""


class _Front:
    """A member of a block, unpacked step by step."""

    def __init__(self, place: _Place, file: ArchiveFile, size: int, read: Callable[[int], bytes]) -> None:
        self._name, self._skip, self._left = file.name, place.packing.before, size
        BOUNDS.check_block(place.folder, self._name)
        with explained(self._name):
            self._block = Block(place.folder, place.packing.packed, read)
        file.seek(place.offset, os.SEEK_SET)

    def read(self, n: int, /) -> bytes:
        """At most ``n`` bytes; none at the end of the member, or where the packed stream ends too early."""
        with explained(self._name):
            while self._skip and (piece := self._block.read(self._skip)):
                self._skip -= len(piece)
            out = bytes(self._block.read(min(n, self._left)))
        self._left -= len(out)
        return out
