"""Byte streams: files and archives in volumes, read once while their MD5 is computed."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from typing import Protocol

from ..errors import SourceError
from ..objects.ranged import RangedFile
from ..objects.remote import AnyFile, RemoteFile
from .volumes import JoinedFile, files_of

PIECE_BYTES = 1 << 20


class Readable(Protocol):
    """A byte stream: ``read`` returns at most ``n`` bytes, possibly fewer, none only at the end."""

    def read(self, n: int, /) -> bytes: ...


class ArchiveFile(Protocol):
    """The file of an archive: a SourceReader, or a file that is not on this machine. py7zr needs an io.IOBase."""

    name: str

    def read(self, n: int, /) -> bytes: ...

    def seek(self, offset: int, whence: int = ..., /) -> int: ...

    def size(self) -> int: ...


class SourceReader(io.RawIOBase):
    """A file open for reading that reports progress and, if asked, computes its MD5 from the bytes that are read.

    The first volume of an archive (``x.7z.001``) is read as all volumes, one after another.

    A 7z is read in this order: start header, end header, then the packed stream from start to end. The hash covers the
    contiguous bytes from the start. Bytes that were read out of order are read again only if no later read covers them.

    ``no_descriptor`` says why there is no single file on this machine to read from; it is empty if there is one.
    """

    def __init__(self, path: AnyFile, *, with_md5: bool = True, on_bytes: Callable[[int], None] | None = None) -> None:
        self.name = str(path) if isinstance(path, RemoteFile) else os.fspath(path)
        self._file, self.no_descriptor = _open(path)
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None
        self._hashed = 0
        self._status = None if self.no_descriptor else os.fstat(self._file.fileno())
        self.on_bytes = on_bytes or ignore_bytes
        self.failed: OSError | None = None  # of a disk, in a read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, n: int = -1, *, report: bool = True) -> bytes:
        """Read as from a file: fewer than ``n`` bytes only at the end.

        ``report`` is false for a caller that reads ahead and calls ``on_bytes`` itself, when the bytes are unpacked.
        """
        start = self._file.tell()
        try:
            data = self._file.read(n) or b""
        except OSError as error:
            self.failed = error
            raise
        if start <= self._hashed < start + len(data):
            fresh = len(data) - (self._hashed - start)
            if self._md5 is not None:
                self._md5.update(memoryview(data)[-fresh:])
            self._hashed += fresh
            if report:
                self.on_bytes(fresh)
        return data

    def size(self) -> int:
        """Size in bytes. The position does not change."""
        at = self.tell()
        size = self.seek(0, os.SEEK_END)
        self.seek(at)
        return size

    def fileno(self) -> int:
        return self._file.fileno()

    def check_unchanged(self, where: str) -> None:
        """Check by size and modification time that the file is as it was when it was opened.

        Raises
        ------
        SourceError
        """
        if self._status is None:  # volumes: the checksums of the archive decide; an object: every request did
            return
        now = os.fstat(self._file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise SourceError("the file changed during reading", where=where, todo="run the same command again")

    def md5(self) -> str | None:
        """MD5 of the whole file, in hex. Reads the bytes that were not read yet. None if ``with_md5`` was false."""
        if self._md5 is None:
            return None
        self._file.seek(self._hashed)
        while self.read(PIECE_BYTES):
            pass
        return self._md5.hexdigest()

    def stop(self) -> None:
        """End a read that waits for a service, in another thread. Files on this machine never wait."""
        if isinstance(self._file, RangedFile):
            self._file.stop()

    def close(self) -> None:
        if "_file" in self.__dict__:  # or it could not be opened, and Python closes what is left of this
            self._file.close()
        super().close()


def _open(path: AnyFile) -> tuple[io.RawIOBase, str]:
    """The bytes of a source file, and why they have no file descriptor."""
    if isinstance(path, RemoteFile):
        return RangedFile(path), "the archive is at an address"
    files = files_of(path)
    if len(files) > 1:
        return JoinedFile(files), "the archive is in volumes"
    return open(path, "rb", buffering=0), ""


def ignore_bytes(n: int) -> None:
    """Do nothing: the default progress callback."""


class Prefixed:
    """A stream with some bytes put in front of it."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, n: int, /) -> bytes:
        if self._head:
            out, self._head = self._head[:n], self._head[n:]
            return out
        return self._rest.read(n)
