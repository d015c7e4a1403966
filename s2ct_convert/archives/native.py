"""Unpack members with a 7-Zip program, ``7zz`` or ``7z``, through a pipe.

The program gets the archive as an open file, and the name of the member in an unambiguous form. The stream ends only
after the program exited with 0, and size and CRC32 match the header, which py7zr parsed. Closing the stream kills the
child and waits for it. If this process is killed, the child ends at its next write.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue

from isal import isal_zlib

from ..errors import ArchiveDamaged, Incomplete, MachineError, SourceError
from .damage import AGAIN, unsupported, wrong_crc32, wrong_size
from .last_words import LastWords
from .silence import SILENT_SECONDS, Silence
from .stream import PIECE_BYTES, SourceReader
from .unpackers import Unpacker, warn

PIPE_BYTES = 1 << 20  # the limit of Linux for unprivileged users
_BYTES_A_SECOND = 1e6  # before the first byte, 7-Zip unpacks the files that lie before it: at least so fast


def why_not(name: str, names: Sequence[str]) -> str | None:
    """Why a member cannot be selected by name; None if it can. ``names`` are all members without the folders.

    A member that is alone, as in the archives of the record, needs no name. 7-Zip treats names as patterns, which
    ``-spd`` and ``--`` prevent, and a folder as all of its content. py7zr turns ``\\`` into ``/``, and the encoding of
    names that are not ASCII depends on the locale.
    """
    if is_alone(name, names):
        return None
    if not name.isascii() or not name.isprintable() or "/" in name or "\\" in name:
        return "its name has slashes or special characters"
    if names.count(name) != 1 or any(other.startswith(name + "/") for other in names):
        return "its name matches more than one member"
    return None


def is_alone(name: str, names: Sequence[str]) -> bool:
    """Whether a member is the only one of its archive."""
    return list(names) == [name]


class NativeStream:
    """One member that a 7-Zip program unpacks, to read from. It must be started and closed.

    A thread reads the whole file behind the program, which gives its md5.

    Parameters
    ----------
    file : SourceReader
        The archive. No other code may use it until this stream is closed.
    name : str or None
        Name of the member, which must pass :func:`why_not`. None: it is alone in the archive.
    size : int
        Unpacked size of the member in the header, in bytes.
    crc32 : int or None
        CRC32 of the member in the header.
    where : str
        Name of the member in messages.
    unpacker : Unpacker
    threads : int
    label : str, optional
        Name of the unpacker in the ledger; by default that of ``unpacker``.
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
        label: str | None = None,
    ) -> None:
        self.unpacker, self._program = label or unpacker.name, unpacker.name
        self._file, self._name, self._where = file, name, where
        self._unpacker, self._threads = unpacker, threads
        self._size, self._missing = size, size
        self._expected, self._crc = crc32, 0
        self._status = os.fstat(file.fileno())
        # Not a threading.Condition: Ctrl-C right after it takes its lock would leave the lock taken forever.
        self._starting = threading.Lock()
        self._began: SimpleQueue[BaseException | None] = SimpleQueue()
        self._news: SimpleQueue[int | None] = SimpleQueue()  # bytes unpacked so far; None at the end
        self._child: subprocess.Popen[bytes] | None = None
        self._abandoned = False
        self._error: BaseException | None = None
        self._stderr = LastWords()
        self._worker = threading.Thread(target=self._work, name="s2ct-hash", daemon=True)

    def start(self) -> None:
        """Start the program. After an error or an interrupt here, ``close`` cleans up."""
        self._worker.start()
        if (error := self._began.get()) is not None:
            raise error

    def _work(self) -> None:
        """Start the child, then read the whole file behind it.

        The child is started in a thread: there Ctrl-C cannot interrupt between the start and ``self._child = ...``.
        """
        try:
            with self._starting:
                if self._abandoned:
                    return
                self._child = self._run()
            assert self._child.stderr is not None
            self._stderr.start(self._child.stderr)
        except BaseException as error:
            self._began.put(error)
            return
        self._began.put(None)
        try:
            self._hash()
        except BaseException as error:  # read() raises it at the end
            self._error = error

    def _hash(self) -> None:
        """Read the whole file, in step with the unpacked bytes, so that the child has read each part before."""
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
        archive = os.open(
            self._file.name, os.O_RDONLY
        )  # not file.fileno(): where /dev/fd duplicates, the offset is shared
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
                process_group=0,  # keep Ctrl-C from the child: close() kills it
            )
        except OSError as error:
            raise MachineError(
                f"{self._program} does not start",
                where=program,
                found=os.strerror(error.errno) if error.errno else str(error),
                todo="repair the installation of 7-Zip, or use --unpacker python",
            ) from error
        finally:
            os.close(archive)
        assert child.stdout is not None
        self._out = child.stdout.fileno()
        _widen(self._out)
        return child

    def read(self, n: int, /) -> bytes:
        """At most ``n`` bytes; none at the end, after exit code, size and CRC32 were checked."""
        self._wait_for_output()
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

    def _wait_for_output(self) -> None:
        """Wait for a byte or the end of the output, but not for ever if the program does not work."""
        waiting = select.poll()
        waiting.register(self._out, select.POLLIN)
        if waiting.poll(0):
            return
        assert self._child is not None
        limit = SILENT_SECONDS + (self._status.st_size / _BYTES_A_SECOND if self._missing == self._size else 0.0)
        silence = Silence(self._child.pid, limit)
        while not waiting.poll(1000 * silence.step):
            if text := silence.went_on():
                warn(f"{self._where}: {self._program} has sent {text}")
            if silence.hangs:
                raise self._hangs("sent nothing and did nothing", limit)

    def _hangs(self, how: str, seconds: float) -> Incomplete:
        return Incomplete(
            f"{self._program} hangs: it {how} for {seconds:,.0f} s, and was killed",
            where=self._where,
            found=self._stderr.in_one_line(),
            todo="run the same command again, or use --unpacker python",
        )

    def _finish(self) -> None:
        """Check exit code, size, CRC32, and that the archive did not change meanwhile."""
        assert self._child is not None
        try:
            code = self._child.wait(SILENT_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._hangs("did not end after its output", SILENT_SECONDS) from None
        self._stderr.finish()
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
        output = self._stderr.in_one_line()
        if code in (1, 2):  # "warning" and "fatal error" of 7-Zip
            if "Unsupported Method" in output:
                return unsupported(self._where, f"{self.unpacker}: Unsupported Method")
            return ArchiveDamaged(
                f"the archive is damaged ({self._program}: {output or f'exit code {code}'})",
                where=self._where,
                todo=AGAIN,
            )
        if code == 8:
            return MachineError(
                "memory ran out while unpacking",
                where=self._where,
                found=f"{self._program}: {output or 'exit code 8'}",
                todo="use fewer jobs (-j)",
            )
        by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Incomplete(
            f"{self._program} died ({by})",
            where=self._where,
            found=output,
            todo="run the same command again; if it ran out of memory, use fewer jobs (-j), or use --unpacker python",
        )

    def _replaced(self) -> SourceError:
        return SourceError("the file changed during reading", where=self._where, todo="run the same command again")

    def close(self) -> None:
        """Kill the child and end the threads."""
        self._abandoned = True
        self._news.put(None)
        with self._starting:
            pass  # wait until a child that is being started exists; no other will start
        if self._child is not None:
            assert self._child.stdout is not None
            if self._child.poll() is None:
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._child.stdout.close()
        self._stderr.close()
        if self._worker.ident is not None:
            self._worker.join()


def _widen(pipe: int) -> None:
    """Enlarge the pipe, so that the child waits less. Only on Linux; it fails for users with many pipes."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
