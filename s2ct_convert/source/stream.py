"""Byte streams: files read once while their MD5 is computed, and TFRecords behind gzip or zlib."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..errors import TFRecordDamaged
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
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, n: int = -1) -> bytes:
        """As of a file: fewer than ``n`` bytes only at the end."""
        start = self._file.tell()
        data = self._file.read(n) or b""
        if start <= self._hashed < start + len(data):
            fresh = len(data) - (self._hashed - start)
            if self._md5 is not None:
                self._md5.update(memoryview(data)[-fresh:])
            self._hashed += fresh
            if self._on_bytes is not None:
                self._on_bytes(fresh)
        return data

    def size(self) -> int:
        """Bytes of all of it; the place stays."""
        at = self.tell()
        size = self.seek(0, os.SEEK_END)
        self.seek(at)
        return size

    def fileno(self) -> int:
        return self._file.fileno()

    def take_progress(self) -> Callable[[int], None]:
        """Who is told of bytes read, who is not told here until ``give_progress``: somebody else knows better."""
        on_bytes, self._on_bytes = self._on_bytes, None
        return on_bytes or nobody

    def give_progress(self, on_bytes: Callable[[int], None]) -> None:
        """Tell ``on_bytes`` of bytes read from here on."""
        self._on_bytes = on_bytes

    def md5(self) -> str | None:
        """MD5 of the whole file, hex; reads what no one has read yet. None if it was not asked for."""
        if self._md5 is None:
            return None
        self._file.seek(self._hashed)
        while self.read(PIECE_BYTES):
            pass
        return self._md5.hexdigest()

    def close(self) -> None:
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


class _RawAdapter(io.RawIOBase):
    """What ``gzip`` wants to read from."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Gunzip:
    """A gzip-wrapped stream, members one after another as gzip allows."""

    def __init__(self, stream: Readable, *, where: str) -> None:
        self._gzip = gzip.GzipFile(fileobj=io.BufferedReader(_RawAdapter(stream), PIECE_BYTES))
        self._where = where

    def read(self, n: int, /) -> bytes:
        try:
            return self._gzip.read1(n)
        except EOFError:
            raise _cut(self._where, "gzip") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise _wrong(self._where, "gzip", error) from error


class Inflate:
    """A zlib-wrapped stream."""

    def __init__(self, stream: Readable, *, where: str) -> None:
        self._stream, self._where = stream, where
        self._zlib = zlib.decompressobj()

    def read(self, n: int, /) -> bytes:
        while n and not self._zlib.eof:  # to zlib, 0 means without limit
            packed = self._zlib.unconsumed_tail or self._stream.read(PIECE_BYTES)
            if not packed:
                raise _cut(self._where, "zlib")
            try:
                out = self._zlib.decompress(packed, n)
            except zlib.error as error:
                raise _wrong(self._where, "zlib", error) from error
            if out:
                return out
        if not n:
            return b""
        if self._zlib.unused_data or self._stream.read(1):
            raise TFRecordDamaged("there are bytes after the end of the zlib stream", where=self._where)
        return b""


def _cut(where: str, kind: str) -> TFRecordDamaged:
    return TFRecordDamaged(f"the {kind} stream ends early", where=where, todo="the file is cut: fetch it again")


def _wrong(where: str, kind: str, error: Exception) -> TFRecordDamaged:
    return TFRecordDamaged(f"the {kind} stream is damaged ({error})", where=where, todo="fetch the file again")
