"""A member as a stream: a thread unpacks it into a bounded buffer, and the caller reads from it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from .blocks import unpack
from .damage import explained
from .unpackers import PYTHON

BUFFER_BYTES = 8 << 20  # limit of the buffer between unpacker and parser


class _Abandoned(BaseException):
    """Raised in the thread to end it, after the stream was abandoned."""


class MemberStream:
    """Buffer between the unpacking thread and the reader: at most ``BUFFER_BYTES``."""

    def __init__(self, where: str) -> None:
        self.unpacker = PYTHON.name
        self._where = where
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._waiting = 0
        self._ended = self._abandoned = False
        self._error: BaseException | None = None

    @contextmanager
    def unpacking(self, archive: Any, files: Collection[Any]) -> Iterator[MemberStream]:
        """Unpack files of an archive (of py7zr) in a thread, until the block ends."""
        thread = threading.Thread(target=self.run, args=(archive, files), name="s2ct-unpack", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.abandon()
            thread.join()

    def run(self, archive: Any, files: Collection[Any]) -> None:
        """Unpack files in the order of the archive; the body of the unpacking thread."""
        try:
            with explained(self._where):
                for _, piece in unpack(archive, files, self._where):
                    self.push(piece)
        except _Abandoned:
            pass
        except BaseException as error:  # read() raises it
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def push(self, piece: memoryview) -> None:
        """Queue a piece, and wait while the buffer is full."""
        with self._changed:
            while self._waiting and self._waiting + len(piece) > BUFFER_BYTES and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                raise _Abandoned
            self._pieces.append(piece)
            self._waiting += len(piece)
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
