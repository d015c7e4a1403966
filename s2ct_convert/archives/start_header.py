"""Check the start header of an archive, for clearer messages than those of py7zr."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from ..errors import ArchiveDamaged, NotAnArchive, NotATFRecord
from .damage import AGAIN, LAST_RESORT, explained, unsupported
from .file_kind import name_kind, read_head
from .stream import ArchiveFile
from .unpackers import SIGNATURE, can_python, method_name
from .volumes import next_volume

_PACKED_BYTES = 1 << 16  # the description of a packed header has some 40 bytes


def check_start(file: ArchiveFile, name: str) -> None:
    """Check the start header (7zFormat.txt), and that the file has as many bytes as it says.

    Raises
    ------
    NotAnArchive, NotATFRecord, ArchiveDamaged
        NotATFRecord: the archive is empty.
    """
    head = file.read(32)
    if head[:6] != SIGNATURE:
        raise NotAnArchive(
            "this is not a 7z archive",
            where=name,
            expected=f"the first bytes {SIGNATURE.hex(' ')}",
            found=_describe_head(head + read_head(file)),
            todo="use a .7z of the record or a TFRecord file",
        )
    if len(head) < 32:
        raise _cut(name, 32, len(head))
    stored, offset, size = struct.unpack_from("<IQQ", head, 8)
    if zlib.crc32(head[12:32]) != stored:
        raise ArchiveDamaged("the checksum of the start header does not match", where=name, todo=AGAIN)
    if not size:
        raise NotATFRecord("there is no file in this archive", where=name)
    needed, there = 32 + offset + size, file.size()
    if there < needed and (following := next_volume(Path(file.name))):
        raise _volume_missing(name, needed, there, following)
    if there < needed:
        raise _cut(name, needed, there)
    check_packed_header(file, name, 32 + offset, size)
    file.seek(0)


def check_packed_header(file: Any, name: str, begin: int, size: int) -> None:
    """Check that Python can unpack the end header, which is mostly packed itself.

    A decoder that must not be used for files (unpackers.py) must not be used for headers either: a header that names
    PPMd crashed the process.

    Raises
    ------
    ArchiveDamaged, ArchiveUnsupported
    """
    file.seek(begin)
    packed = file.read(min(size, _PACKED_BYTES))
    if packed[:1] != b"\x17":  # kEncodedHeader
        return
    from py7zr.archiveinfo import HeaderStreamsInfo

    with explained(name):
        folders = HeaderStreamsInfo.retrieve(io.BytesIO(packed[1:])).unpackinfo.folders
        methods = [coder["method"].hex() for folder in folders for coder in folder.coders]
    if odd := [method_name(one) for one in methods if not can_python((one,))]:
        raise unsupported(name, f"its header is packed with {' and '.join(odd)}")


def _describe_head(head: bytes) -> str:
    first = head[:6].hex(" ")
    return f"{first} ({kind})" if (kind := name_kind(head)) else first or "an empty file"


def _cut(name: str, needed: int, there: int) -> ArchiveDamaged:
    return ArchiveDamaged(
        "the archive is truncated",
        where=name,
        expected=f"{needed:,} bytes",
        found=f"{there:,} bytes",
        todo=f"fetch the rest of it (s2ct download), or fetch it again; {LAST_RESORT}",
    )


def _volume_missing(name: str, needed: int, there: int, following: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"the archive is incomplete: {following} is missing, or a volume is truncated",
        where=name,
        expected=f"{needed:,} bytes in all volumes",
        found=f"{there:,} bytes",
        todo="put all volumes into one folder: .001, .002, ... without a gap",
    )
