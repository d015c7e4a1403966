"""Members unpacked by a 7-Zip program, ``7zz`` or ``7z``, through a pipe.

The program gets the archive as an open file and the member's name in a form that it cannot take for anything else.
What it gives counts only once it has exited with 0 and size and CRC32 are those of the header, which py7zr parsed:
until then the end of the stream is not reported. The child is killed and waited for when the stream is closed; if this
process is killed, the child ends at its next write.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue

from isal import isal_zlib

from ..errors import ArchiveDamaged, Incomplete, MachineError, SourceError
from .damage import AGAIN, unsupported, wrong_crc32, wrong_size
from .stream import PIECE_BYTES, SourceReader
from .unpackers import Unpacker

PIPE_BYTES = 1 << 20  # as much as Linux allows everybody
_TOLD_BYTES = 4096  # of what the program says on stderr, the last


def why_not(name: str, names: Sequence[str]) -> str | None:
    """Why a member of an archive with these ``names`` (folders left out) cannot be asked for; None if it can.

    One that is alone, as in the archives of the record, needs no name. To 7-Zip names are patterns, and a folder stands
    for all that is in it. ``-spd`` and ``--`` help against the first; besides, py7zr tells ``\\`` as ``/``, and what is
    not ASCII depends on the locale.
    """
    if is_alone(name, names):
        return None
    if not name.isascii() or not name.isprintable() or "/" in name or "\\" in name:
        return "its name is not plain"
    if names.count(name) != 1 or any(other.startswith(name + "/") for other in names):
        return "its name stands for more than this member"
    return None


def is_alone(name: str, names: Sequence[str]) -> bool:
    """Whether a member is all that comes out of the archive."""
    return list(names) == [name]


class NativeStream:
    """What a 7-Zip program writes of one member, to read from. To be started, and to be closed.

    A thread reads the file through behind the program, which gives its md5.

    Parameters
    ----------
    file : SourceReader
        The archive; nobody else may use it before this is closed.
    name : str or None
        Of the member; :func:`why_not` has nothing against it. None: it is alone in the archive.
    size : int
    crc32 : int or None
        What the header has for the member.
    where : str
        How messages name the member.
    unpacker : Unpacker
    threads : int
    told : str, optional
        What the ledger notes as the unpacker.
    """

    def __init__(
        self,
        file: SourceReader,
        name: str | None,
        size: int,
        crc32: int | None,
        *,
        where: str,
        unpacker: Unpacker,
        threads: int,
        told: str | None = None,
    ) -> None:
        self.unpacker, self._program = told or unpacker.name, unpacker.name
        self._file, self._name, self._where = file, name, where
        self._unpacker, self._threads = unpacker, threads
        self._size, self._missing = size, size
        self._expected, self._crc = crc32, 0
        self._status = os.fstat(file.fileno())
        # No threading.Condition: Ctrl-C between its lock being taken and its "with" would leave it taken for good.
        self._starting = threading.Lock()
        self._began: SimpleQueue[BaseException | None] = SimpleQueue()
        self._news: SimpleQueue[int | None] = SimpleQueue()  # bytes unpacked so far; None at the end
        self._child: subprocess.Popen[bytes] | None = None
        self._abandoned = False
        self._error: BaseException | None = None
        self._told = b""
        self._worker = threading.Thread(target=self._work, name="s2ct-hash", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="s2ct-stderr", daemon=True)

    def start(self) -> None:
        """Start the program; what is interrupted or fails here is put away by ``close``."""
        self._worker.start()
        if (error := self._began.get()) is not None:
            raise error

    def _work(self) -> None:
        """Start the child, then read the file through behind it.

        In a thread, since no Ctrl-C comes between the start of a child and the note that there is one.
        """
        try:
            with self._starting:
                if self._abandoned:
                    return
                self._child = self._run()
            self._listener.start()
        except BaseException as error:
            self._began.put(error)
            return
        self._began.put(None)
        try:
            self._hash()
        except BaseException as error:  # told by read, at the end
            self._error = error

    def _hash(self) -> None:
        """Read the file through, as far as corresponds to what was unpacked: the child has had it by then."""
        self._file.seek(0)
        at = 0
        while (unpacked := self._news.get()) is not None:
            while not self._abandoned and at * self._size < self._status.st_size * unpacked:
                if not (piece := self._file.read(PIECE_BYTES)):
                    return
                at += len(piece)
        while not self._abandoned and self._file.read(PIECE_BYTES):
            pass

    def _run(self) -> subprocess.Popen[bytes]:
        program = str(self._unpacker.program)
        archive = os.open(self._file.name, os.O_RDONLY)  # one of its own: where /dev/fd duplicates, the place is shared
        try:
            if not os.path.samestat(os.fstat(archive), self._status):
                raise self._replaced()
            command = [program, "x", "-so", f"-mmt{max(1, self._threads)}", "-t7z", "-spd", "-ssc", "-r-", "-y"]
            command += ["-bd", "-bso0", "-bsp0", "-bse2", "--", f"/dev/fd/{archive}"]
            command += [] if self._name is None else [self._name]
            child = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(archive,),
                process_group=0,  # Ctrl-C is for us: the child is killed when the stream is closed
            )
        except OSError as error:
            raise MachineError(
                f"{self._program} cannot be run",
                where=program,
                found=os.strerror(error.errno) if error.errno else str(error),
                todo="mend the installation of 7-Zip, or give --unpacker python",
            ) from error
        finally:
            os.close(archive)
        assert child.stdout is not None
        self._out = child.stdout.fileno()
        _widen(self._out)
        return child

    def _listen(self) -> None:
        assert self._child is not None and self._child.stderr is not None
        while told := self._child.stderr.read(_TOLD_BYTES):
            self._told = (self._told + told)[-_TOLD_BYTES:]

    def read(self, n: int, /) -> bytes:
        """At most ``n`` bytes; none once the program has ended well and the member's size and CRC32 fit."""
        piece = os.read(self._out, n)
        if not piece and n:
            self._finish()
            return b""
        self._crc = isal_zlib.crc32(piece, self._crc)
        self._missing -= len(piece)
        self._news.put(self._size - self._missing)
        if self._missing < 0:
            raise wrong_size(self._where, self._missing)
        return piece

    def _finish(self) -> None:
        """Raise unless all is as it must be."""
        assert self._child is not None
        code = self._child.wait()
        self._listener.join()
        if code:
            raise self._failed(code)
        if self._missing:
            raise wrong_size(self._where, self._missing)
        if self._expected is not None and self._crc != self._expected:
            raise wrong_crc32(self._where, self._expected, self._crc)
        self._news.put(None)
        self._worker.join()
        if self._error is not None:
            raise self._error
        now = os.fstat(self._file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise self._replaced()

    def _failed(self, code: int) -> Exception:
        said = _said(self._told)
        if code in (1, 2):  # "warning" and "fatal error" of 7-Zip
            if "Unsupported Method" in said:
                return unsupported(self._where, f"{self.unpacker}: Unsupported Method")
            return ArchiveDamaged(
                f"the archive is damaged ({self._program}: {said or f'exit code {code}'})",
                where=self._where,
                todo=AGAIN,
            )
        if code == 8:
            return MachineError(
                "memory ran out while unpacking",
                where=self._where,
                found=f"{self._program}: {said or 'exit code 8'}",
                todo="use fewer jobs (-j)",
            )
        by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Incomplete(
            f"{self._program} died ({by})",
            where=self._where,
            found=said,
            todo="if it was killed for its memory, use fewer jobs (-j); then run the same command again, "
            "or give --unpacker python",
        )

    def _replaced(self) -> SourceError:
        return SourceError("the file changed while it was read", where=self._where, todo="run the same command again")

    def close(self) -> None:
        """End the child, whatever it does, and the threads."""
        self._abandoned = True
        self._news.put(None)
        with self._starting:
            pass  # a child that is being started is there now, and no other will be
        if self._child is not None:
            assert self._child.stdout is not None and self._child.stderr is not None
            if self._child.poll() is None:
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._child.stdout.close()
            if self._listener.ident is not None:
                self._listener.join()
            self._child.stderr.close()
        if self._worker.ident is not None:
            self._worker.join()


def _widen(pipe: int) -> None:
    """Let more be in the pipe, so that the child waits less; only Linux can, and not for those who have many pipes."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _said(told: bytes) -> str:
    """What 7-Zip wrote to stderr, on one line."""
    lines = [line.strip() for line in told.decode(errors="replace").splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line and set(line) != {"-"}))[:300]
