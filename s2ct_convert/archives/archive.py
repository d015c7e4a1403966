"""Read 7z archives as streams. Nothing is extracted to disk.

py7zr reads the headers, and gives the decoders. 7z folders are unpacked one after another in archive order. A stream
returns the last bytes of a member before it checks the CRC32. So the caller must read to the end and treat all bytes as
provisional until then.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import py7zr

from ..errors import (
    ArchiveDamaged,
    SourceError,
)
from ..objects.remote import AnyFile
from ..words import shell_path
from .blocks import read_starts
from .bounds import BOUNDS, Bounds
from .damage import encrypted, explained
from .file_kind import HEAD_BYTES, read_head
from .lzma2 import Lzma2Stream
from .lzma2_chunks import Packed, count_blocks, find_packed
from .member_stream import MemberStream
from .native import NativeStream, is_alone, why_not
from .start_header import check_start
from .stream import ArchiveFile, Readable, SourceReader
from .unpackers import NAMES, PYTHON, Unpacker, can_python, choose


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
    ArchiveDamaged, ArchiveUnsupported, SourceTooLarge
    """
    heads: dict[str, bytes] = {}
    with SourceReader(path, with_md5=False) as file:
        with opened(file) as archive:
            easy = {f.filename: f for f in archive.files if f.filename in names and can_python(_methods(f))}
            for one in easy.values():
                todo = f"unpack it (s2ct extract {shell_path(str(path))} FOLDER), then give the unpacked files"
                _check(archive, one, BOUNDS, f"{path.name}: {one.filename}", size=n, todo=todo)
            with explained(path.name):
                starts = read_starts(archive, easy.values(), n, path.name)
            heads |= {name: starts[one.id] for name, one in easy.items()}
        for name in names:
            if name not in heads:
                file.seek(0)
                with open_member(file, name) as stream:
                    heads[name] = read_head(stream, n)
    return heads


def check_bounds(path: AnyFile, name: str, bounds: Bounds) -> None:
    """Check by the headers what unpacking a member takes.

    Raises
    ------
    SourceTooLarge, ArchiveDamaged, ArchiveUnsupported
    """
    with SourceReader(path, with_md5=False) as file, opened(file) as archive:
        for one in archive.files:
            if one.filename == name:
                _check(archive, one, bounds, f"{path.name}: {name}")


def _check(archive: Any, file: Any, bounds: Bounds, where: str, *, size: int | None = None, todo: str = "") -> None:
    """Check what unpacking the first ``size`` bytes of a file takes; None: all of it.

    Raises
    ------
    SourceTooLarge
    """
    if file.emptystream or file.folder is None:  # a damaged header may list a file and no block
        return
    before = sum(int(f.uncompressed) for f in archive.files if f.id < file.id and f.folder is file.folder)
    unpacked = before + (int(file.uncompressed) if size is None else min(size, int(file.uncompressed)))
    bounds.check_unpacked(unpacked, archive.fp.size(), where, todo)
    bounds.check_block(file.folder, where)


@contextmanager
def open_member(
    file: SourceReader, name: str, *, threads: int = 1, unpacker: Unpacker = PYTHON
) -> Iterator[MemberReadable]:
    """Open one member of the archive in ``file`` as a stream.

    If ``unpacker`` has a 7-Zip program, it unpacks with ``threads`` threads (native.py). Without one, or if the member
    cannot be selected by name, Python unpacks. It unpacks a plain LZMA2 stream block by block with ``threads`` threads
    (lzma2.py), and everything else in one thread with the decoders of py7zr (blocks.py). If only one of the two
    supports a method, it is used (unpackers.py).

    Raises
    ------
    WrongUsage
        If ``unpacker`` is required and cannot select this member.
    SourceTooLarge
        If it takes more than ``unpacker.bounds``.
    ArchiveDamaged, ArchiveUnsupported
        Here, or from ``read`` when the unpacker finds the damage, at the latest instead of the end of the stream.
    """
    where = Path(file.name).name
    with opened(file) as archive:
        member = next((one for one in archive.files if one.filename == name), None)
        if member is None:
            raise SourceError(f"there is no file {name!r} in the archive", where=where)
        place, names = f"{where}: {name}", [one.filename for one in archive.files if not one.is_directory]
        _check(archive, member, unpacker.bounds, place)
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
        stream = MemberStream(where)
        stream.unpacker = label
        with stream.unpacking(archive, [member]):
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
    check_start(file, name)
    try:
        with explained(name):
            archive: Any = py7zr.SevenZipFile(file)  # type: ignore[arg-type]  # any io.IOBase will do
    except ArchiveDamaged:
        if isinstance(file, SourceReader) and file.failed:  # py7zr calls that "not a 7z file"
            raise file.failed from None
        raise
    with archive:
        if getattr(archive, "files", None) is None:
            raise ArchiveDamaged("the archive has no list of files", where=name)
        if archive.needs_password():
            raise encrypted(name)
        yield archive
