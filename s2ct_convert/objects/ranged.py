"""An object as a file to read from: its ends once, the rest in parts, the next parts while one is used.

Every part is one request for the content that was found (``If-Match``). A request that fails is repeated as any other;
if it fails for good, the read raises, and nothing that was read before it counts.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache

from ..seekable import Seekable
from ..threads import WAKE_SECONDS, result_of
from .remote import RemoteFile, begun, get_part

HEAD_BYTES = 1 << 13  # has what shows the kind of a file, and the start header of an archive
TAIL_BYTES = 1 << 16  # has its end header
PART_BYTES = 4 << 20
AHEAD = 3  # parts that are fetched while one is used
GRACE_SECONDS = 2  # for requests that are under way when the file is closed; a service that hangs is left alone


@lru_cache(maxsize=512)  # the archives of a record several times over; 38 MB at most
def ends_of(file: RemoteFile) -> tuple[bytes, bytes]:
    """The first and the last bytes of an object; all of a small one are the first.

    Raises
    ------
    SourceError, NetworkError
        As :func:`s2ct_convert.objects.remote.get_part`.
    """
    if not file.bytes:
        return b"", b""
    if file.bytes <= HEAD_BYTES + TAIL_BYTES:
        return result_of(begun(lambda: get_part(file, 0, file.bytes))), b""
    head = begun(lambda: get_part(file, 0, HEAD_BYTES))
    tail = begun(lambda: get_part(file, file.bytes - TAIL_BYTES, file.bytes))
    return result_of(head), result_of(tail)


class Stopped(BaseException):
    """Raised in a thread that waits for a part when the file is stopped."""


class RangedFile(Seekable):
    """An object, open for reading. Reads ahead only where it is read in order."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._parts: dict[int, Future[bytes]] = {}  # by number
        self._used = -1  # number of the last part that was read from
        self._stop: Future[bytes] = Future()

    def size(self) -> int:
        return self._file.bytes

    def read(self, n: int = -1, /) -> bytes:
        """Read as from a file: fewer than ``n`` bytes only at the end.

        Raises
        ------
        SourceError, NetworkError
            As :func:`s2ct_convert.objects.remote.get_part`.
        """
        end = self._file.bytes if n < 0 else min(self._at + n, self._file.bytes)
        pieces = []
        while self._at < end:
            pieces.append(self._piece(end - self._at))
            self._at += len(pieces[-1])
        return b"".join(pieces)

    def _piece(self, n: int) -> bytes:
        """Some of the next bytes, at most ``n``."""
        head, tail = ends_of(self._file)
        for start, known in ((0, head), (self._file.bytes - len(tail), tail)):
            if start <= self._at < start + len(known):
                return known[self._at - start : self._at - start + n]
        number = self._at // PART_BYTES
        part, at = self._part(number), self._at - number * PART_BYTES
        return part[at : at + n]

    def _part(self, number: int) -> bytes:
        in_order, self._used = number == self._used + 1 and number > 0, number
        self._parts = {one: part for one, part in self._parts.items() if number <= one <= number + AHEAD}
        ahead = AHEAD if in_order or len(self._parts) > 1 else 0
        for one in range(number, number + 1 + ahead):
            if one not in self._parts and one * PART_BYTES < self._file.bytes:
                self._parts[one] = self._fetch(one)
        part = self._parts[number]
        while not (part.done() or self._stop.done()):
            wait((part, self._stop), WAKE_SECONDS, return_when=FIRST_COMPLETED)
        if self._stop.done():
            raise Stopped
        return part.result()

    def _fetch(self, number: int) -> Future[bytes]:
        start = number * PART_BYTES
        return begun(lambda: get_part(self._file, start, min(start + PART_BYTES, self._file.bytes)))

    def stop(self) -> None:
        """End every wait for a part, now and later."""
        if not self._stop.done():
            self._stop.set_result(b"")

    def close(self) -> None:
        """Drop what was fetched ahead."""
        if "_stop" in self.__dict__ and not self.closed:
            self.stop()
            wait(self._parts.values(), GRACE_SECONDS)
            self._parts.clear()
        super().close()
