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
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import py7zr

from ..errors import (
    ArchiveDamaged,
    NotAnArchive,
    NotATFRecord,
    SourceError,
)
from .damage import AGAIN, encrypted, explained
from .file_kind import HEAD_BYTES, name_kind, read_head
from .lzma2 import Lzma2Stream
from .lzma2_chunks import Packed, count_blocks, find_packed
from .member_stream import HeadsFactory, MemberStream, Unpacked
from .native import NativeStream, is_alone, why_not
from .stream import Readable, SourceReader
from .unpackers import NAMES, PYTHON, SIGNATURE, Unpacker, can_python, choose
from .volumes import next_volume


@dataclass(frozen=True)
class Member:
    """One file in an archive: its name, its size in bytes and the CRC32 the archive has for it.

    ``methods`` are the ids of the methods that its block is packed by, in hex.
    """

    name: str
    size: int
    crc32: int | None
    methods: tuple[str, ...] = ()


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
            members = tuple(
                Member(f.filename, f.uncompressed, _crc32(f), _methods(f)) for f in archive.files if f.is_file
            )
            methods = dict.fromkeys(map(_plain_name, info.method_names))  # and those that py7zr does not name
            methods |= dict.fromkeys(NAMES[id] for member in members for id in member.methods if id in NAMES)
        return Archive(path, file.size(), tuple(methods), info.blocks, bool(info.solid), members)


def _plain_name(method: str) -> str:
    return method.rstrip("*")  # py7zr's mark of those that it does not unpack


def _methods(file: Any) -> tuple[str, ...]:
    """Ids of the methods of a file's block; none for an empty file, which is in no block."""
    folder = getattr(file, "folder", None)
    return () if folder is None else tuple(coder["method"].hex() for coder in folder.coders)


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
        packed = None if file.joined else _one_lzma2_stream(archive, name)
        return None if packed is None else count_blocks(file.fileno(), packed, f"{path.name}: {name}")


def read_heads(path: Path, names: Sequence[str], n: int = HEAD_BYTES) -> dict[str, bytes]:
    """The first ``n`` bytes of members, for which each block is unpacked once as far as the last of them.

    Raises
    ------
    ArchiveDamaged, ArchiveUnsupported
    """
    heads: dict[str, bytes] = {}
    with SourceReader(path, with_md5=False) as file:
        with _opened(file) as archive:
            files = {one.filename: one for one in archive.files}
            easy = [name for name in names if can_python(_methods(files[name]))]
            if easy:
                factory = HeadsFactory(len(easy), n)
                try:
                    with explained(path.name):
                        archive.extract(targets=easy, factory=factory)
                except Unpacked:
                    pass
                heads |= {name: factory.heads.get(name, b"") for name in easy}
        for name in names:
            if name not in heads:
                file.seek(0)
                with open_member(file, name) as stream:
                    heads[name] = read_head(stream, n)
    return heads


@contextmanager
def open_member(
    file: SourceReader, name: str, *, threads: int = 1, unpacker: Unpacker = PYTHON
) -> Iterator[MemberReadable]:
    """One member of the archive in ``file`` as a stream.

    Where ``unpacker`` has a 7-Zip program, that unpacks in ``threads`` threads (native.py). Otherwise, and where a
    member cannot be asked for by its name, one that is one plain LZMA2 stream is unpacked block by block in ``threads``
    threads (lzma2.py), all else by py7zr in one. What one of them does not know the other may (unpackers.py).

    Raises
    ------
    WrongUsage
        If ``unpacker`` is required and cannot be asked for this member.
    ArchiveDamaged, ArchiveUnsupported
        Here or from ``read`` once the unpacker meets the damage; at the latest where the end would be.
    """
    where = Path(file.name).name
    with _opened(file) as archive:
        member = next((one for one in archive.files if one.filename == name), None)
        if member is None:
            raise SourceError(f"there is no file {name!r} in the archive", where=where)
        place, names = f"{where}: {name}", [one.filename for one in archive.files if not one.is_directory]
        by_name = "it is in volumes" if file.joined else why_not(name, names)
        chosen, told = choose(unpacker, _methods(member), place, by_name)
        if chosen.program is not None:
            asked, size = None if is_alone(name, names) else name, int(member.uncompressed)
            native = NativeStream(
                file, asked, size, _crc32(member), where=place, unpacker=chosen, threads=threads, told=told
            )
            with closing(native):
                native.start()
                yield native
            return
        if not file.joined and (packed := _one_lzma2_stream(archive, name)) is not None:
            with closing(Lzma2Stream(file, packed, where=place, threads=threads)) as blocks:
                blocks.unpacker = told
                yield blocks
            return
        stream = MemberStream(where, member.uncompressed)
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
        yield archive


def _check_start(file: SourceReader, name: str) -> None:
    """Say plainly what py7zr would put less plainly: no archive, unfinished, or cut. (7zFormat.txt)"""
    head = file.read(32)
    if head[:6] != SIGNATURE:
        raise NotAnArchive(
            "this is not a 7z archive",
            where=name,
            expected=f"the first bytes {SIGNATURE.hex(' ')}",
            found=_told(head + read_head(file)),
            todo="give a .7z of the record or a TFRecord file",
        )
    if len(head) < 32:
        raise _cut(name, 32, len(head))
    stored, offset, size = struct.unpack_from("<IQQ", head, 8)
    if zlib.crc32(head[12:32]) != stored:
        raise ArchiveDamaged("the checksum of the start header does not fit", where=name, todo=AGAIN)
    if not size:
        raise NotATFRecord("there is no file in this archive", where=name)
    needed, there = 32 + offset + size, file.size()
    if there < needed and (following := next_volume(Path(file.name))):
        raise _volume_missing(name, needed, there, following)
    if there < needed:
        raise _cut(name, needed, there)
    file.seek(0)


def _told(head: bytes) -> str:
    first = head[:6].hex(" ")
    return f"{first} ({kind})" if (kind := name_kind(head)) else first or "an empty file"


def _cut(name: str, needed: int, there: int) -> ArchiveDamaged:
    return ArchiveDamaged(
        "the archive is cut", where=name, expected=f"{needed:,} bytes", found=f"{there:,} bytes", todo="fetch it again"
    )


def _volume_missing(name: str, needed: int, there: int, following: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"the archive is not all here: there is no {following} beside it, or a volume is cut",
        where=name,
        expected=f"{needed:,} bytes in all volumes",
        found=f"{there:,} bytes",
        todo="put all volumes into one folder: .001, .002 and so on without a gap",
    )
