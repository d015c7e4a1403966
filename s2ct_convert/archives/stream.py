"""Byte streams: files, and archives in volumes, read once while their MD5 is computed."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .volumes import JoinedFile, files_of

PIECE_BYTES = 1 << 20


class Readable(Protocol):
    """Anything that gives bytes: ``read`` returns at most ``n``, fewer when it likes, none at the end."""

    def read(self, n: int, /) -> bytes: ...


class SourceReader(io.RawIOBase):
    """A file opened for reading that reports progress and, if asked, computes its MD5 from the very bytes read.

    The first volume of an archive (``x.7z.001``) is read as all of them, one after another.

    A 7z is read as: start header, end header, then the packed stream from front to back. The hash follows the
    contiguous front, so bytes that were read out of order are read again only if nothing covered them later.
    """

    def __init__(self, path: Path, *, with_md5: bool = True, on_bytes: Callable[[int], None] | None = None) -> None:
        self.name = os.fspath(path)
        files = files_of(path)
        self.joined = len(files) > 1  # and then there is no one descriptor
        self._file: io.RawIOBase = JoinedFile(files) if self.joined else open(path, "rb", buffering=0)
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None
        self._hashed = 0
        self.on_bytes = on_bytes or nobody

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, n: int = -1, *, report: bool = True) -> bytes:
        """As of a file: fewer than ``n`` bytes only at the end.

        ``report`` is false for one who reads ahead, and calls ``on_bytes`` when the bytes are unpacked.
        """
        start = self._file.tell()
        data = self._file.read(n) or b""
        if start <= self._hashed < start + len(data):
            fresh = len(data) - (self._hashed - start)
            if self._md5 is not None:
                self._md5.update(memoryview(data)[-fresh:])
            self._hashed += fresh
            if report:
                self.on_bytes(fresh)
        return data

    def size(self) -> int:
        """Bytes of all of it; the place stays."""
        at = self.tell()
        size = self.seek(0, os.SEEK_END)
        self.seek(at)
        return size

    def fileno(self) -> int:
        return self._file.fileno()

    def md5(self) -> str | None:
        """MD5 of the whole file, hex; reads what no one has read yet. None if it was not asked for."""
        if self._md5 is None:
            return None
        self._file.seek(self._hashed)
        while self.read(PIECE_BYTES):
            pass
        return self._md5.hexdigest()

    def close(self) -> None:
        if "_file" in self.__dict__:  # or it could not be opened, and Python closes what is left of this
            self._file.close()
        super().close()


def nobody(n: int) -> None:
    """Told of bytes where nobody wants to know."""


class Prefixed:
    """A stream with bytes put back in front of it."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, n: int, /) -> bytes:
        if self._head:
            out, self._head = self._head[:n], self._head[n:]
            return out
        return self._rest.read(n)
