"""A file that is not whole yet: ``<name>.<first 8 of its md5>.part`` beside where it is to be.

Its length is the truth about how much is there; nothing else is remembered. Continuing reads what is there, which
gives the md5 of the prefix and proves that the disk still has it. Every write goes to its own offset of the file, so
that two processes that both believe to own it write the same bytes to the same places. Before each write, and before
the file gets its name, it is seen to be still the very file this process works on: who comes too late stops, and
writes nothing into what another has published. A broken lease can cost bandwidth, never a wrong byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..durable import sync
from ..errors import Incomplete
from ..processes import boot_id, is_alive
from .manifest import RecordFile

BLOCK = 1 << 20
LEASE_SECONDS = 600.0  # a lease of another machine whose file has not grown for so long is of a dead process


def partial_path(final: Path, file: RecordFile) -> Path:
    """Where the beginning of a file is kept. The md5 in the name: what was a part of something else is not taken."""
    return final.with_name(f"{final.name}.{file.md5[:8]}.part")


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
        self._lease = Lease(self.path)
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


class Lease:
    """Who works on a file: host, process and boot of the machine, in a file made with O_EXCL."""

    def __init__(self, path: Path) -> None:
        self._subject, self._path = path, path.with_name(f"{path.name}.lease")
        self._content = json.dumps(
            {"host": socket.gethostname(), "pid": os.getpid(), "boot": boot_id(), "lease": uuid.uuid4().hex}
        )

    def take(self) -> None:
        """Become the owner.

        Raises
        ------
        Incomplete
            If somebody else is, and alive.
        """
        for _ in range(3):
            try:
                fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                if owner := self._living_owner():
                    raise Incomplete(
                        "another process is fetching this file",
                        where=str(self._subject),
                        found=owner,
                        todo=f"wait for it; if it is no more, delete {self._path.name}",
                    ) from None
                self._path.unlink(missing_ok=True)
                continue
            with os.fdopen(fd, "w") as file:
                file.write(self._content)
            return
        raise Incomplete("another process takes this file again and again", where=str(self._subject))

    def _living_owner(self) -> str | None:
        try:
            owner = json.loads(self._path.read_text())
            host, pid, boot = str(owner["host"]), int(owner["pid"]), str(owner["boot"])
            if not 0 < pid < 1 << 31:
                raise ValueError(pid)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OverflowError):
            # Torn: its writer died while writing it, or writes it just now.
            return "a lease without a name" if self._age() < 5 else None
        told = f"process {pid} on {host}"
        if host == socket.gethostname():
            return told if boot == boot_id() and pid != os.getpid() and is_alive(pid) else None
        return told if self._age() < LEASE_SECONDS else None

    def _age(self) -> float:
        """Seconds since the lease was taken or the file last grew."""
        times = []
        for path in (self._path, self._subject):
            with suppress(FileNotFoundError):
                times.append(path.stat().st_mtime)
        return time.time() - max(times, default=0.0)

    def give_back(self) -> None:
        """Be the owner no more, if it is still us."""
        with suppress(OSError):
            if self._path.read_text() == self._content:
                self._path.unlink()
