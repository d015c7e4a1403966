"""Read 7z archives as streams. Nothing is extracted to disk.

py7zr gets the archive as a file object, so it unpacks the 7z folders one after another in archive order. A stream
returns the last bytes of a member before it checks the CRC32. So the caller must read to the end and treat all bytes as
provisional until then.
"""

from __future__ import annotations

import struct
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
from ..objects.remote import AnyFile
from .damage import AGAIN, LAST_RESORT, encrypted, explained
from .file_kind import HEAD_BYTES, name_kind, read_head
from .lzma2 import Lzma2Stream
from .lzma2_chunks import Packed, count_blocks, find_packed
from .member_stream import HeadsFactory, MemberStream, Unpacked
from .native import NativeStream, is_alone, why_not
from .stream import ArchiveFile, Readable, SourceReader
from .unpackers import NAMES, PYTHON, SIGNATURE, Unpacker, can_python, choose
from .volumes import next_volume


@dataclass(frozen=True)
class Member:
    """One file in an archive: its name, its unpacked size in bytes and its CRC32 in the header.

    ``methods`` are the ids of the methods of its block, in hex.
    """

    name: str
    size: int
    crc32: int | None
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """The headers of an archive.

    ``blocks`` is the number of solid blocks (7z folders). Unpacking starts at the start of a block. ``links`` are the
    names of links and other entries that are neither files nor folders.
    """

    path: AnyFile
    bytes: int
    methods: tuple[str, ...]
    blocks: int
    solid: bool
    members: tuple[Member, ...]
    links: tuple[str, ...] = ()


def read_archive(path: AnyFile) -> Archive:
    """Read the headers of a 7z archive.

    Raises
    ------
    NotAnArchive, NotATFRecord, ArchiveDamaged, ArchiveUnsupported
        NotATFRecord: the archive is empty.
    """
    with SourceReader(path, with_md5=False) as file, opened(file) as archive:
        return headers_of(archive, path, file.size())


def headers_of(archive: Any, path: AnyFile, size: int) -> Archive:
    """The headers of an opened archive of ``size`` bytes.

    Raises
    ------
    ArchiveDamaged, ArchiveUnsupported
    """
    with explained(path.name):
        streams = archive.header.main_streams
        # Not archive.archiveinfo(): it needs a file on this machine. Not archive.list(): it fails on a modification
        # time that Python's datetime cannot hold.
        members = tuple(to_member(f) for f in archive.files if f.is_file)
        methods = dict.fromkeys(map(_plain_name, archive._get_method_names()))  # plus those that py7zr does not name
        methods |= dict.fromkeys(NAMES[id] for member in members for id in member.methods if id in NAMES)
        blocks = len(streams.unpackinfo.folders) if streams is not None else 0
        links = tuple(f.filename for f in archive.files if not f.is_file and not f.is_directory)
        return Archive(path, size, tuple(methods), blocks, bool(archive._is_solid()), members, links)


def to_member(file: Any) -> Member:
    """A file of py7zr as a member."""
    return Member(file.filename, file.uncompressed, _crc32(file), _methods(file))


def _plain_name(method: str) -> str:
    return method.rstrip("*")  # py7zr marks methods that it does not unpack


def _methods(file: Any) -> tuple[str, ...]:
    """Ids of the methods of a file's block; empty for an empty file, which has no block."""
    folder = getattr(file, "folder", None)
    return () if folder is None else tuple(coder["method"].hex() for coder in folder.coders)


def _crc32(file: Any) -> int | None:
    """CRC32 of a file. If it is alone in its block, the archive may store the CRC32 of the block instead."""
    if file.crc32 is None and file.folder is not None and len(file.folder.files) == 1:
        return cast("int | None", file.folder.crc)
    return cast("int | None", file.crc32)


def count_lzma2_blocks(path: Path, name: str) -> int | None:
    """How many threads can unpack a member at once; None if it is not one plain LZMA2 stream.

    Raises
    ------
    ArchiveDamaged
        If the headers of its chunks are damaged.
    """
    with SourceReader(path, with_md5=False) as file, opened(file) as archive:
        packed = None if file.no_descriptor else _one_lzma2_stream(archive, name)
        return None if packed is None else count_blocks(file.fileno(), packed, f"{path.name}: {name}")


def read_heads(path: AnyFile, names: Sequence[str], n: int = HEAD_BYTES) -> dict[str, bytes]:
    """The first ``n`` bytes of members. Each block is unpacked once, up to the last of them.

    Raises
    ------
    ArchiveDamaged, ArchiveUnsupported
    """
    heads: dict[str, bytes] = {}
    with SourceReader(path, with_md5=False) as file:
        with opened(file) as archive:
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
    """Open one member of the archive in ``file`` as a stream.

    If ``unpacker`` has a 7-Zip program, it unpacks with ``threads`` threads (native.py). Without one, or if the member
    cannot be selected by name, Python unpacks. It unpacks a plain LZMA2 stream block by block with ``threads`` threads
    (lzma2.py), and everything else with py7zr in one thread. If only one of the two supports a method, it is used
    (unpackers.py).

    Raises
    ------
    WrongUsage
        If ``unpacker`` is required and cannot select this member.
    ArchiveDamaged, ArchiveUnsupported
        Here, or from ``read`` when the unpacker finds the damage, at the latest instead of the end of the stream.
    """
    where = Path(file.name).name
    with opened(file) as archive:
        member = next((one for one in archive.files if one.filename == name), None)
        if member is None:
            raise SourceError(f"there is no file {name!r} in the archive", where=where)
        place, names = f"{where}: {name}", [one.filename for one in archive.files if not one.is_directory]
        by_name = file.no_descriptor or why_not(name, names)
        chosen, label = choose(unpacker, _methods(member), place, by_name)
        if chosen.program is not None:
            asked, size = None if is_alone(name, names) else name, int(member.uncompressed)
            native = NativeStream(
                file, asked, size, _crc32(member), where=place, unpacker=chosen, threads=threads, label=label
            )
            with closing(native):
                native.start()
                yield native
            return
        if not file.no_descriptor and (packed := _one_lzma2_stream(archive, name)) is not None:
            with closing(Lzma2Stream(file, packed, where=place, threads=threads)) as blocks:
                blocks.unpacker = label
                yield blocks
            return
        stream = MemberStream(where, member.uncompressed)
        stream.unpacker = label
        with stream.unpacking(archive, name):
            try:
                yield stream
            except BaseException:
                file.stop()  # or the thread that unpacks would wait for a service
                raise


def _one_lzma2_stream(archive: py7zr.SevenZipFile, name: str) -> Packed | None:
    files = [one for one in archive.files if one.filename == name]
    if len(files) != 1:
        return None
    try:
        return find_packed(archive, files[0], _crc32(files[0]))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        message = f"py7zr {py7zr.__version__} has an unknown header layout ({error}); unpacking with one thread"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return None


class MemberReadable(Readable, Protocol):
    """A member as a stream, and the name of its unpacker."""

    unpacker: str


@contextmanager
def opened(file: ArchiveFile) -> Iterator[py7zr.SevenZipFile]:
    """Open an archive and read its headers, after its start header was checked.

    Raises
    ------
    NotAnArchive, NotATFRecord, ArchiveDamaged, ArchiveUnsupported
    """
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


def _check_start(file: ArchiveFile, name: str) -> None:
    """Check the start header (7zFormat.txt), for clearer messages than those of py7zr."""
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
    file.seek(0)


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
