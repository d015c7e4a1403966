"""A file that is not whole yet: ``<name>.<first 8 of its md5>.part`` beside where it is to be.

Its length is the truth about how much is there; nothing else is remembered. Continuing reads what is there, which
gives the md5 of the prefix and proves that the disk still has it. Every write goes to its own offset of the file, so
that two processes that both believe to own it write the same bytes to the same places. Before each write, and before
the file gets its name, it is seen to be still the very file this process works on: who comes too late stops, and
writes nothing into what another has published. A broken lease can cost bandwidth, never a wrong byte.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from ..durable import sync
from ..errors import Incomplete
from ..lease import Lease
from .manifest import RecordFile

BLOCK = 1 << 20


def partial_path(final: Path, file: RecordFile) -> Path:
    """Where the beginning of a file is kept. The md5 in the name: what was a part of something else is not taken."""
    return final.with_name(f"{final.name}.{file.md5[:8]}.part")


def lease_of(part: Path) -> Lease:
    """Who works on the beginning of a file; that it grows is a sign of life."""
    return Lease(part.with_name(f"{part.name}.lease"), part, "another process is fetching this file", beats=False)


class Partial:
    """The beginning of a file, owned by this process while it is open.

    Parameters
    ----------
    final : Path
        The name it gets when it is whole.
    file : RecordFile
        With its size.
    stopping : callable
        Asked between blocks of what is read back; true ends it with :class:`KeyboardInterrupt`.

    Raises
    ------
    Incomplete
        If another process that is alive works on it.
    """

    def __init__(self, final: Path, file: RecordFile, stopping: Callable[[], bool] = lambda: False) -> None:
        assert file.size is not None
        self.final, self.path, self.size, self._wanted = final, partial_path(final, file), file.size, file.md5
        final.parent.mkdir(parents=True, exist_ok=True)
        self._lease = lease_of(self.path)
        self._lease.take()
        try:
            self._open(stopping)
        except BaseException:
            self._lease.give_back()
            raise

    def _open(self, stopping: Callable[[], bool]) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        self._md5, self.have = hashlib.md5(usedforsecurity=False), 0
        try:
            if os.fstat(self._fd).st_size > self.size:
                os.ftruncate(self._fd, 0)  # longer than the whole: not a beginning of it
            while block := os.pread(self._fd, BLOCK, self.have):
                if stopping():
                    raise KeyboardInterrupt
                self._md5.update(block)
                self.have += len(block)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return self.size - self.have

    def write(self, block: memoryview) -> None:
        """The next bytes.

        Raises
        ------
        Incomplete
            If another process has published the file or begun a new one.
        """
        self._see_that_it_is_mine()
        self._md5.update(block)
        while block:
            n = os.pwrite(self._fd, block, self.have)
            self.have, block = self.have + n, block[n:]

    def start_over(self) -> None:
        """Forget what is there, in a new file: another process may still be writing the old one."""
        self._see_that_it_is_mine()
        self.path.unlink()
        try:
            new = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            raise self._replaced() from None
        os.close(self._fd)
        self._fd = new
        self._md5, self.have = hashlib.md5(usedforsecurity=False), 0

    def md5(self) -> str:
        """md5 of what is there."""
        return self._md5.hexdigest()

    def is_right(self) -> bool:
        """Whether it is whole, with the right md5."""
        return self.have == self.size and self.md5() == self._wanted

    def publish(self) -> None:
        """Give it its name, synced.

        Raises
        ------
        Incomplete
            If what would get the name, or got it, is not the file that was written here.
        """
        assert self.is_right()
        os.fsync(self._fd)
        if os.fstat(self._fd).st_size != self.size:
            raise self._replaced()
        self._see_that_it_is_mine()
        os.replace(self.path, self.final)
        sync(self.final.parent)
        if not _is(self.final, os.fstat(self._fd)):
            raise self._replaced()

    def _see_that_it_is_mine(self) -> None:
        if not _is(self.path, os.fstat(self._fd)):
            raise self._replaced()

    def _replaced(self) -> Incomplete:
        return Incomplete(
            "another process replaced the file while it was fetched",
            where=str(self.final),
            todo="run the same command again",
        )

    def set_aside(self) -> Path:
        """Keep a whole file with the wrong md5 under a name that says so.

        Raises
        ------
        Incomplete
            If it is another process' file by now.
        """
        self._see_that_it_is_mine()
        return set_aside(self.path, self.final, self.md5())

    def close(self) -> None:
        """Let go; what is there stays, but for a beginning of nothing."""
        status = os.fstat(self._fd)
        if not status.st_size and _is(self.path, status):
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._lease.give_back()


def set_aside(path: Path, final: Path, md5: str) -> Path:
    """Rename a file that is wrong to ``<name>.bad-<md5>``; nothing is deleted."""
    aside = final.with_name(f"{final.name}.bad-{md5}")
    os.replace(path, aside)
    return aside


def _is(path: Path, file: os.stat_result) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == (file.st_dev, file.st_ino)
