"""7z archives through py7zr, streamed: nothing is extracted to disk.

py7zr pushes what it unpacks into a writer; :class:`MemberStream` turns that round into a stream to read from,
with a thread and a buffer capped in bytes. The archive is opened on a file object, which makes py7zr unpack
folders one after another in archive order. The last bytes of a member are given out before its CRC32 is known
to fit: whoever reads must read to the end and treat all as provisional until then.
"""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import py7zr
from py7zr.exceptions import CrcError, PasswordRequired, UnsupportedCompressionMethodError
from py7zr.io import Py7zIO, WriterFactory

from ..errors import (
    ArchiveDamaged,
    ArchiveUnsupported,
    MachineError,
    NotAnArchive,
    S2ctError,
    SourceError,
    WrongUsage,
)
from .lzma2 import Lzma2Stream, Packed, count_blocks, find_packed
from .native import PYTHON, NativeStream, Unpacker, why_not
from .stream import Readable, SourceReader

SIGNATURE = b"7z\xbc\xaf\x27\x1c"
BUFFER_BYTES = 8 << 20  # what may wait between the unpacker and the parser


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
        with _explained(path.name):
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
            if (reason := why_not(name, [one.filename for one in archive.files])) is None:
                (member,) = (one for one in archive.files if one.filename == name)
                with closing(
                    NativeStream(
                        file,
                        name,
                        int(member.uncompressed),
                        _crc32(member),
                        where=f"{where}: {name}",
                        unpacker=unpacker,
                        threads=threads,
                    )
                ) as native:
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


class _Abandoned(Exception):
    """Raised inside py7zr to stop it: nobody reads any more."""


class MemberStream:
    """What one thread unpacks and another reads, at most ``BUFFER_BYTES`` (or one piece) apart."""

    def __init__(self, where: str, size: int) -> None:
        self.unpacker = PYTHON.name
        self._where, self._missing = where, size
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._waiting = 0
        self._ended = self._abandoned = False
        self._error: BaseException | None = None

    def run(self, archive: py7zr.SevenZipFile, name: str) -> None:
        """Unpack ``name``; the body of the unpacking thread."""
        try:
            with _explained(self._where):
                archive.extract(targets=[name], factory=_Factory(self))
            if self._missing:
                raise ArchiveDamaged(
                    "the file in the archive is not as long as the archive says",
                    where=f"{self._where}: {name}",
                    found=f"{abs(self._missing):,} bytes too {'few' if self._missing > 0 else 'many'}",
                    todo=_AGAIN,
                )
        except _Abandoned:
            pass
        except BaseException as error:  # handed to the reader, which raises it
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def push(self, data: bytes | bytearray) -> None:
        """Take a piece from py7zr, waiting while the buffer is full."""
        with self._changed:
            while self._waiting and self._waiting + len(data) > BUFFER_BYTES and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                raise _Abandoned
            self._missing -= len(data)
            if data:
                self._pieces.append(memoryview(bytes(data)))
                self._waiting += len(data)
                self._changed.notify_all()

    def read(self, n: int, /) -> bytes:
        """At most ``n`` bytes; none once the member has ended and its CRC32 fits."""
        with self._changed:
            while not self._pieces and not self._ended:
                self._changed.wait()
            if not self._pieces:
                if self._error is not None:
                    raise self._error
                return b""
            piece = self._pieces.popleft()
            if len(piece) > n:
                self._pieces.appendleft(piece[n:])
                piece = piece[:n]
            self._waiting -= len(piece)
            self._changed.notify_all()
        return bytes(piece)

    def abandon(self) -> None:
        """Make the unpacker stop at its next piece."""
        with self._changed:
            self._abandoned = True
            self._pieces.clear()
            self._changed.notify_all()


class _Writer(Py7zIO):
    """The side of a MemberStream that py7zr writes to."""

    def __init__(self, stream: MemberStream) -> None:
        self._stream = stream
        self._size = 0

    def write(self, s: bytes | bytearray) -> int:
        self._stream.push(s)
        self._size += len(s)
        return len(s)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        """Pieces are never held back."""

    def size(self) -> int:
        return self._size


class _Factory(WriterFactory):
    def __init__(self, stream: MemberStream) -> None:
        self._stream = stream

    def create(self, filename: str) -> Py7zIO:
        return _Writer(self._stream)


@contextmanager
def _opened(file: SourceReader) -> Iterator[py7zr.SevenZipFile]:
    name = Path(file.name).name
    _check_start(file, name)
    with _explained(name):
        archive: Any = py7zr.SevenZipFile(file)  # type: ignore[arg-type]  # any io.IOBase will do
    with archive:
        if getattr(archive, "files", None) is None:
            raise ArchiveDamaged("the archive has no list of files", where=name)
        if archive.needs_password():
            raise _encrypted(name)
        with _explained(name):
            methods = archive.archiveinfo().method_names
        if "PPMd" in methods:
            # pyppmd 1.3.1 writes outside its memory when the stream is damaged and takes the process down.
            raise _unsupported(name, "PPMd, whose decoder does not survive a damaged archive")
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
        raise ArchiveDamaged("the checksum of the start header does not fit", where=name, todo=_AGAIN)
    needed, there = 32 + offset + size, file.seek(0, 2)
    if there < needed:
        raise _cut(name, needed, there)
    file.seek(0)


_AGAIN = "the file is damaged: check it against its md5 and fetch it again"


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


def _encrypted(name: str) -> ArchiveUnsupported:
    return ArchiveUnsupported(
        "the archive is encrypted", where=name, todo="unpack it with 7-Zip and its password, then give the TFRecord"
    )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what py7zr raises into our errors."""
    try:
        yield
    except (_Abandoned, S2ctError):
        raise
    except MemoryError as error:
        raise MachineError(
            "memory ran out while unpacking",
            where=name,
            todo="use fewer jobs (-j); a damaged archive may ask for too much as well: check it against its md5",
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(name, error) from error  # bz2 says "Invalid data stream" with an OSError
    except PasswordRequired:
        raise _encrypted(name) from None
    except UnsupportedCompressionMethodError as error:
        raise _unsupported(name, error.message) from error
    except CrcError as error:
        # py7zr gives (computed, stored) for a file and (stored, computed), without a name, for a block.
        of_file = error.filename is not None
        stored, computed = (error.actual, error.expected) if of_file else (error.expected, error.actual)
        raise ArchiveDamaged(
            "the CRC32 of what was unpacked does not fit",
            where=f"{name}: {error.filename}" if of_file else name,
            expected=f"{stored:#010x}",
            found=f"{computed:#010x}",
            todo=_AGAIN,
        ) from error
    except Exception as error:  # every decoder has errors of its own, and py7zr stumbles over damaged headers
        raise _damaged(name, error) from error


def _unsupported(name: str, method: str) -> ArchiveUnsupported:
    return ArchiveUnsupported(
        f"a compression method of this archive cannot be decoded here ({method})",
        where=name,
        todo="unpack it with 7-Zip, then give the TFRecord",
    )


def _damaged(name: str, error: Exception) -> ArchiveDamaged:
    reason = str(error) or type(error).__name__
    return ArchiveDamaged(f"the archive is damaged ({reason})", where=name, todo=_AGAIN)
