"""A member as a stream: py7zr pushes bytes from a thread into a bounded buffer, and the caller reads them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import py7zr
from py7zr.io import Py7zIO, WriterFactory

from .damage import explained, wrong_size
from .unpackers import PYTHON

BUFFER_BYTES = 8 << 20  # limit of the buffer between unpacker and parser


class _Abandoned(BaseException):
    """Raised inside py7zr to stop it, after the stream was abandoned."""


class MemberStream:
    """Buffer between the unpacking thread and the reader: at most ``BUFFER_BYTES``, or one piece if it is larger."""

    def __init__(self, where: str, size: int) -> None:
        self.unpacker = PYTHON.name
        self._where, self._missing = where, size
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._waiting = 0
        self._ended = self._abandoned = False
        self._error: BaseException | None = None

    @contextmanager
    def unpacking(self, archive: py7zr.SevenZipFile, *names: str) -> Iterator[MemberStream]:
        """Unpack members in a thread, until the block ends."""
        thread = threading.Thread(target=self.run, args=(archive, *names), name="s2ct-unpack", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.abandon()
            thread.join()

    def run(self, archive: py7zr.SevenZipFile, *names: str) -> None:
        """Unpack members in the order of the archive; the body of the unpacking thread."""
        try:
            with explained(self._where):
                archive.extract(targets=list(names), factory=_Factory(self))
            if self._missing:
                raise wrong_size(": ".join((self._where, *names[:1])), self._missing)
        except _Abandoned:
            pass
        except BaseException as error:  # read() raises it
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def push(self, data: bytes | bytearray) -> None:
        """Queue a piece from py7zr, and wait while the buffer is full."""
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
        """At most ``n`` bytes; none at the end, after size and CRC32 were checked."""
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
        """Stop the unpacker at its next piece."""
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
        """Do nothing: pieces are never held back."""

    def size(self) -> int:
        return self._size


class _Factory(WriterFactory):
    def __init__(self, stream: MemberStream) -> None:
        self._stream = stream

    def create(self, filename: str) -> Py7zIO:
        return _Writer(self._stream)


class Unpacked(BaseException):
    """Raised inside py7zr to stop it, when all heads are complete."""


class HeadsFactory(WriterFactory):
    """Keeps the first ``n`` bytes of each of ``count`` members, then stops py7zr with ``Unpacked``."""

    def __init__(self, count: int, n: int) -> None:
        self.heads: dict[str, bytes] = {}
        self._count, self._n = count, n

    def create(self, filename: str) -> Py7zIO:
        return _HeadWriter(self, filename)

    def add(self, filename: str, data: bytes | bytearray) -> None:
        """Add bytes of a member."""
        head = self.heads.get(filename, b"")
        self.heads[filename] = head + bytes(data[: self._n - len(head)])
        if len(self.heads) == self._count and len(self.heads[filename]) == self._n:
            raise Unpacked


class _HeadWriter(_Writer):
    def __init__(self, heads: HeadsFactory, filename: str) -> None:
        self._heads, self._filename = heads, filename
        self._size = 0

    def write(self, s: bytes | bytearray) -> int:
        self._size += len(s)
        self._heads.add(self._filename, s)
        return len(s)
