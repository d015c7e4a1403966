"""Partial files: ``<name>.<first 8 digits of its md5>.part`` beside the final path.

The length of the partial file is the only record of progress. Resuming reads it, which gives the md5 of the prefix and
proves that the disk can still read it. Every write goes to its own offset, so two processes that both believe to own
the file write the same bytes to the same places. Before each write, and before the rename, the process checks that the
path is still the file it has open. A process that is too late stops, so it never writes into a file that another one
has published. A broken lease can cost bandwidth, never a wrong byte.

A complete file with the wrong md5 is mended in place (mend.py): only its md5 makes a file right, so a process that is
killed meanwhile leaves a complete partial file, which the next run mends again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..durable import sync
from ..errors import Incomplete
from ..lease import Lease
from .manifest import RecordFile

BLOCK = 1 << 20
ROOM_BYTES = 1 << 30  # stay free beside a copy of a wrong file, for the files that other lanes fetch


def partial_path(final: Path, file: RecordFile) -> Path:
    """Path of a partial file. The md5 in its name prevents resuming with the bytes of another version."""
    return final.with_name(f"{final.name}.{file.md5[:8]}.part")


def lease_of(part: Path) -> Lease:
    """The lease on a partial file. Growth of the file counts as a heartbeat."""
    return Lease(part.with_name(f"{part.name}.lease"), part, "another process is fetching this file", beats=False)


class Partial:
    """A partial file, owned by this process while it is open.

    Parameters
    ----------
    final : Path
        Its path once it is complete.
    file : RecordFile
        Its size must be known.
    stopping : callable
        Called between blocks while existing bytes are read; if it returns true, this raises
        :class:`KeyboardInterrupt`.

    Raises
    ------
    Incomplete
        If another process that is alive has the lease.
    """

    def __init__(self, final: Path, file: RecordFile, stopping: Callable[[], bool] = lambda: False) -> None:
        assert file.size is not None
        self.final, self.path, self.size, self._wanted = final, partial_path(final, file), file.size, file.md5
        self.end = None  # every byte up to the end of the file is wanted
        self._stopping, self._only_copy = stopping, False
        final.parent.mkdir(parents=True, exist_ok=True)
        self._lease = lease_of(self.path)
        self._lease.take()
        try:
            self._open()
        except BaseException:
            self._lease.give_back()
            raise

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if os.fstat(self._fd).st_size > self.size:
                os.ftruncate(self._fd, 0)  # too long to be a prefix of the file
            self.reread()
        except BaseException:
            os.close(self._fd)
            raise

    def reread(self) -> None:
        """Read all bytes that are there, which gives their md5."""
        self._md5, self.have = hashlib.md5(usedforsecurity=False), 0
        while block := os.pread(self._fd, BLOCK, self.have):
            if self._stopping():
                raise KeyboardInterrupt
            self._md5.update(block)
            self.have += len(block)

    def take_in(self, wrong: Path) -> None:
        """Fill in the missing bytes from a wrong file that is to be mended.

        The wrong file stays until :meth:`publish` replaces it. If the disk has no room for a copy, it becomes the
        partial file itself, and is mended in place.

        Raises
        ------
        KeyboardInterrupt
            If the download is being stopped. A part of a copy is kept: it is a partial file like any other.
        """
        if shutil.disk_usage(self.final.parent).free < self.missing + ROOM_BYTES:
            self._check_same_file()
            new = os.open(wrong, os.O_RDWR)
            os.replace(wrong, self.path)
            os.close(self._fd)
            self._fd, self._only_copy = new, True
            if os.fstat(new).st_size > self.size:
                os.ftruncate(new, self.size)
            self.reread()
            return
        with open(wrong, "rb", buffering=0) as file:
            file.seek(self.have)
            while self.missing and (block := file.read(min(BLOCK, self.missing))):
                if self._stopping():
                    raise KeyboardInterrupt
                self.write(memoryview(block))

    @property
    def missing(self) -> int:
        """Number of missing bytes."""
        return self.size - self.have

    def write(self, block: memoryview) -> None:
        """Append bytes.

        Raises
        ------
        Incomplete
            If another process has published the file or started a new one.
        """
        self._check_same_file()
        self._md5.update(block)
        while block:
            n = os.pwrite(self._fd, block, self.have)
            self.have, block = self.have + n, block[n:]

    def read_at(self, offset: int, n: int) -> bytes:
        """``n`` bytes from an offset; fewer at the end of the file."""
        return os.pread(self._fd, n, offset)

    def patch(self, offset: int, block: memoryview) -> None:
        """Overwrite bytes that are there. Afterwards, :meth:`reread` gives the md5.

        Raises
        ------
        Incomplete
            If another process has published the file or started a new one.
        """
        self._check_same_file()
        while block:
            n = os.pwrite(self._fd, block, offset)
            offset, block = offset + n, block[n:]

    def start_over(self) -> None:
        """Start again with a new, empty file, since another process may still write to the old one.

        The old file is deleted, unless it is the only copy of a file that :meth:`take_in` took in: that is renamed.
        """
        self._check_same_file()
        if self._only_copy:
            self.set_aside()
            self._only_copy = False
        else:
            self.path.unlink()
        try:
            new = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            raise self._replaced() from None
        os.close(self._fd)
        self._fd = new
        self._md5, self.have = hashlib.md5(usedforsecurity=False), 0

    def md5(self) -> str:
        """md5 of all bytes so far."""
        return self._md5.hexdigest()

    def is_right(self) -> bool:
        """Whether the file is complete and has the right md5."""
        return self.have == self.size and self.md5() == self._wanted

    def publish(self) -> None:
        """Sync the file and rename it to its final name.

        Raises
        ------
        Incomplete
            If, before or after the rename, the path is not the file that was written here.
        """
        assert self.is_right()
        os.fsync(self._fd)
        if os.fstat(self._fd).st_size != self.size:
            raise self._replaced()
        self._check_same_file()
        os.replace(self.path, self.final)
        sync(self.final.parent)
        if not _is(self.final, os.fstat(self._fd)):
            raise self._replaced()

    def _check_same_file(self) -> None:
        if not _is(self.path, os.fstat(self._fd)):
            raise self._replaced()

    def _replaced(self) -> Incomplete:
        return Incomplete(
            "another process replaced the file during the download",
            where=str(self.final),
            todo="run the same command again",
        )

    def set_aside(self) -> Path:
        """Rename a complete file with the wrong md5.

        Raises
        ------
        Incomplete
            If another process has replaced the file.
        """
        self._check_same_file()
        return set_aside(self.path, self.final, self.md5())

    def close(self) -> None:
        """Close the file and release the lease. The partial file is kept, unless it is empty."""
        status = os.fstat(self._fd)
        if not status.st_size and _is(self.path, status):
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._lease.give_back()


def set_aside(path: Path, final: Path, md5: str) -> Path:
    """Rename a wrong file to ``<name>.bad-<md5>``."""
    aside = final.with_name(f"{final.name}.bad-{md5}")
    os.replace(path, aside)
    return aside


def _is(path: Path, file: os.stat_result) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == (file.st_dev, file.st_ino)
