"""Find the chunks and blocks of an LZMA2 stream without unpacking it.

Chunk headers contain sizes. A block does not depend on earlier blocks: it starts where a header resets the dictionary
(control byte 1, or 0xE0 and above; Lzma2Dec.c of the LZMA SDK).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errors import ArchiveDamaged
from .bounds import dictionary_size
from .damage import AGAIN


class Packed(NamedTuple):
    """A member that is one LZMA2 stream: its offset and size in the archive, and its unpacked size and CRC32.

    Sizes and offsets are in bytes.
    """

    offset: int
    size: int
    dict_size: int
    unpacked: int
    crc32: int | None


def find_packed(archive: Any, file: Any, crc32: int | None) -> Packed | None:
    """Locate a member that is alone in a 7z folder with one plain LZMA2 coder; None for other members.

    Parameters
    ----------
    archive, file : py7zr.SevenZipFile, py7zr.ArchiveFile
        Their parsed headers are used, which are not public.
    crc32 : int or None
        CRC32 of the file in the header.

    Raises
    ------
    AttributeError, KeyError, IndexError, TypeError, ValueError
        If py7zr has changed the layout of its headers.
    """
    folder, streams = file.folder, archive.header.main_streams
    if folder is None or len(folder.files) != 1 or len(folder.coders) != 1 or folder.coders[0]["method"] != b"\x21":
        return None
    folders = streams.unpackinfo.folders
    before = folders[: folders.index(folder)]
    stream = sum(sum(coder["numinstreams"] for coder in one.coders) - len(one.bindpairs) for one in before)
    offset = archive.afterheader + streams.packinfo.packpos + streams.packinfo.packpositions[stream]
    (bits,) = folder.coders[0]["properties"]
    if bits > 40:  # no size of a dictionary; py7zr refuses it
        return None
    size = int(streams.packinfo.packsizes[stream])
    return Packed(int(offset), size, _needed(bits, int(file.uncompressed)), int(file.uncompressed), crc32)


def _needed(bits: int, unpacked: int) -> int:
    """The dictionary that a decoder needs: all of it is allocated at once, however little is unpacked."""
    return min(dictionary_size(bits), max(unpacked, 4096))


class Chunk(NamedTuple):
    """The header of a chunk; ``unpacked`` is its unpacked size in bytes."""

    offset: int  # in the stream
    begins_block: bool
    unpacked: int


def scan(fd: int, packed: Packed, where: str) -> Iterator[Chunk]:
    """Yield the chunks of a stream. Reads only their headers.

    Raises
    ------
    ArchiveDamaged
        If a header is not valid, or the stream ends at the wrong place.
    """
    at = 0
    while at < packed.size:
        header = os.pread(fd, 6, packed.offset + at)
        control = header[0] if header else -1
        if control == 0:
            if at == packed.size - 1:
                return
            break
        if control in (1, 2) and len(header) >= 3:
            unpacked = size = (header[1] << 8 | header[2]) + 1
            yield Chunk(at, control == 1, unpacked)
            at += 3 + size
        elif control >= 0x80 and len(header) >= 5:
            unpacked = ((control & 31) << 16 | header[1] << 8 | header[2]) + 1
            yield Chunk(at, control >= 0xE0, unpacked)
            at += (6 if control >= 0xC0 else 5) + (header[3] << 8 | header[4]) + 1
        else:
            break
    raise ArchiveDamaged(
        "the archive is damaged (invalid LZMA2 chunk header)",
        where=where,
        found=f"at byte {packed.offset + at:,}",
        todo=AGAIN,
    )


def count_blocks(fd: int, packed: Packed, where: str) -> int:
    """Number of blocks that can be unpacked at the same time. Reads only chunk headers."""
    return max(1, sum(chunk.begins_block for chunk in scan(fd, packed, where)))
