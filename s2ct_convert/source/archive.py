"""7z archives through py7zr, streamed: nothing is extracted to disk.

The archive is opened on a file object, which makes py7zr unpack folders one after another in archive order. The last
bytes of a member are given out before its CRC32 is known to fit: whoever reads must read to the end and treat all as
provisional until then.
"""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import py7zr

from ..errors import (
    ArchiveDamaged,
    NotAnArchive,
    SourceError,
    WrongUsage,
)
from .archive_errors import AGAIN, encrypted, explained, unsupported
from .lzma2 import Lzma2Stream, Packed, count_blocks, find_packed
from .member_stream import MemberStream
from .native import NativeStream, is_alone, why_not
from .stream import Readable, SourceReader
from .unpackers import PYTHON, SIGNATURE, Unpacker


@dataclass(frozen=True)
class Member:
    """One file in an archive: its name, its size in bytes and the CRC32 the archive has for it."""

    name: str
    size: int
    crc32: int | None


@dataclass(frozen=True)
class Archive:
    """What the headers of an archive say.

    ``blocks`` counts the solid blocks (7z folders), each of which is unpacked from its start.
    """

    path: Path
    bytes: int
    methods: tuple[str, ...]
    blocks: int
    solid: bool
    members: tuple[Member, ...]


def read_archive(path: Path) -> Archive:
    """Read the headers of a 7z archive.

    Raises
    ------
    NotAnArchive, ArchiveDamaged, ArchiveUnsupported
        With what is wrong in the header.
    """
    with SourceReader(path, with_md5=False) as file, _opened(file) as archive:
        with explained(path.name):
            info = archive.archiveinfo()
            # Not archive.list(): it fails on a time of modification that Python's datetime cannot hold.
            members = tuple(Member(f.filename, f.uncompressed, _crc32(f)) for f in archive.files if f.is_file)
        return Archive(path, info.stat.st_size, tuple(info.method_names), info.blocks, bool(info.solid), members)


def _crc32(file: Any) -> int | None:
    """CRC32 of a file; where it is the only one of its block, an archive may have it for the block alone."""
    if file.crc32 is None and file.folder is not None and len(file.folder.files) == 1:
        return cast("int | None", file.folder.crc)
    return cast("int | None", file.crc32)


def count_lzma2_blocks(path: Path, name: str) -> int | None:
    """How many threads could unpack a member at once; None where it is not one plain LZMA2 stream.

    Raises
    ------
    ArchiveDamaged
        If the headers of its chunks are damaged.
    """
    with SourceReader(path, with_md5=False) as file, _opened(file) as archive:
        packed = _one_lzma2_stream(archive, name)
        return None if packed is None else count_blocks(file.fileno(), packed, f"{path.name}: {name}")


@contextmanager
def open_member(
    file: SourceReader, name: str, *, threads: int = 1, unpacker: Unpacker = PYTHON
) -> Iterator[MemberReadable]:
    """One member of the archive in ``file`` as a stream.

    Where ``unpacker`` has a 7-Zip program, that unpacks in ``threads`` threads (native.py). Otherwise, and where a
    member cannot be asked for by its name, one that is one plain LZMA2 stream is unpacked block by block in ``threads``
    threads (lzma2.py), all else by py7zr in one.

    Raises
    ------
    WrongUsage
        If ``unpacker`` is required and cannot unpack this member.
    ArchiveDamaged, ArchiveUnsupported
        Here or from ``read`` once the unpacker meets the damage; at the latest where the end would be.
    """
    where = Path(file.name).name
    with _opened(file) as archive:
        sizes = {file.filename: file.uncompressed for file in archive.files}
        if name not in sizes:
            raise SourceError(f"there is no file {name!r} in the archive", where=where)
        told = PYTHON.name
        if unpacker.program is not None:
            names = [one.filename for one in archive.files if not one.is_directory]
            if (reason := why_not(name, names)) is None:
                (member,) = (one for one in archive.files if one.filename == name)
                size, crc32, place = int(member.uncompressed), _crc32(member), f"{where}: {name}"
                asked = None if is_alone(name, names) else name
                native = NativeStream(file, asked, size, crc32, where=place, unpacker=unpacker, threads=threads)
                with closing(native):
                    native.start()
                    yield native
                return
            if unpacker.required:
                raise _not_by_name(f"{where}: {name}", unpacker, reason)
            told = f"{told}, because {reason}"
        if (packed := _one_lzma2_stream(archive, name)) is not None:
            with closing(Lzma2Stream(file, packed, where=f"{where}: {name}", threads=threads)) as blocks:
                blocks.unpacker = told
                yield blocks
            return
        stream = MemberStream(where, sizes[name])
        stream.unpacker = told
        thread = threading.Thread(target=stream.run, args=(archive, name), name="s2ct-unpack", daemon=True)
        thread.start()
        try:
            yield stream
        finally:
            stream.abandon()
            thread.join()


def _one_lzma2_stream(archive: py7zr.SevenZipFile, name: str) -> Packed | None:
    files = [one for one in archive.files if one.filename == name]
    if len(files) != 1:
        return None
    try:
        return find_packed(archive, files[0], _crc32(files[0]))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        told = f"py7zr {py7zr.__version__} keeps its headers otherwise than expected ({error}): unpacking by one thread"
        warnings.warn(told, RuntimeWarning, stacklevel=2)
        return None


class MemberReadable(Readable, Protocol):
    """A member as a stream, and what unpacks it."""

    unpacker: str


@contextmanager
def _opened(file: SourceReader) -> Iterator[py7zr.SevenZipFile]:
    name = Path(file.name).name
    _check_start(file, name)
    with explained(name):
        archive: Any = py7zr.SevenZipFile(file)  # type: ignore[arg-type]  # any io.IOBase will do
    with archive:
        if getattr(archive, "files", None) is None:
            raise ArchiveDamaged("the archive has no list of files", where=name)
        if archive.needs_password():
            raise encrypted(name)
        with explained(name):
            methods = archive.archiveinfo().method_names
        if "PPMd" in methods:
            # pyppmd 1.3.1 writes outside its memory when the stream is damaged and takes the process down.
            raise unsupported(name, "PPMd, whose decoder does not survive a damaged archive")
        yield archive


def _check_start(file: SourceReader, name: str) -> None:
    """Say plainly what py7zr would put less plainly: no archive, unfinished, or cut. (7zFormat.txt)"""
    head = file.read(32)
    if head[:6] != SIGNATURE:
        raise NotAnArchive(
            "this is not a 7z archive",
            where=name,
            expected=f"the first bytes {SIGNATURE.hex(' ')}",
            found=head[:6].hex(" ") or "an empty file",
            todo="give a .7z of the record or a TFRecord file",
        )
    if len(head) < 32:
        raise _cut(name, 32, len(head))
    stored, offset, size = struct.unpack_from("<IQQ", head, 8)
    if zlib.crc32(head[12:32]) != stored:
        raise ArchiveDamaged("the checksum of the start header does not fit", where=name, todo=AGAIN)
    needed, there = 32 + offset + size, file.seek(0, 2)
    if there < needed:
        raise _cut(name, needed, there)
    file.seek(0)


def _cut(name: str, needed: int, there: int) -> ArchiveDamaged:
    return ArchiveDamaged(
        "the archive is cut", where=name, expected=f"{needed:,} bytes", found=f"{there:,} bytes", todo="fetch it again"
    )


def _not_by_name(where: str, unpacker: Unpacker, reason: str) -> WrongUsage:
    return WrongUsage(
        f"{unpacker.name} cannot be asked for this member ({reason})",
        where=where,
        todo="give --unpacker auto or python",
    )
