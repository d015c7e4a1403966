"""Streams that decompress a TFRecord wrapped as a whole. To add a wrapper: a class and an entry in ``WRAPPERS``."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import NamedTuple

from ..archives.damage import AGAIN, LAST_RESORT
from ..archives.stream import PIECE_BYTES, Readable
from ..errors import TFRecordDamaged


class _RawAdapter(io.RawIOBase):
    """A raw stream for ``gzip`` to read from."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Gunzip:
    """A gzip-wrapped stream, which may have several members."""

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
        while n and not self._zlib.eof:  # 0 means "no limit" to zlib
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
            raise TFRecordDamaged("the file has bytes after the end of the zlib stream", where=self._where)
        return b""


def _cut(where: str, kind: str) -> TFRecordDamaged:
    return TFRecordDamaged(
        f"the {kind} stream ends early",
        where=where,
        todo=f"the file is truncated: fetch it again; {LAST_RESORT}",
    )


def _wrong(where: str, kind: str, error: Exception) -> TFRecordDamaged:
    return TFRecordDamaged(f"the {kind} stream is damaged ({error})", where=where, todo=AGAIN)


def _is_zlib(head: bytes) -> bool:
    return len(head) >= 2 and head[0] == 0x78 and (head[0] * 256 + head[1]) % 31 == 0


class Wrapper(NamedTuple):
    """A way to wrap a TFRecord: a test of the first bytes, and a function that opens the stream inside."""

    recognises: Callable[[bytes], bool]
    open: Callable[..., Readable]


WRAPPERS = (Wrapper(lambda head: head[:2] == b"\x1f\x8b", Gunzip), Wrapper(_is_zlib, Inflate))


def find_wrapper(head: bytes) -> Wrapper | None:
    """The wrapper of a file with this head; None if it has none."""
    return next((wrapper for wrapper in WRAPPERS if wrapper.recognises(head)), None)
