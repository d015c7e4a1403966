"""Leases: a file, created with O_EXCL, that holds the host, process and boot id of its owner.

File locks are not used: Lustre and NFS often lack them. So a process that considers the owner dead can break a lease.
The owner must make sure that this costs work at most, never a wrong byte: it calls :meth:`Lease.check` before it makes
its work visible.

Clocks of hosts differ. If the file of a lease on another host looks old, the lease counts as expired. If it looks
recent, this process watches whether the file changes, by its own clock.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .durable import read_json, read_small
from .errors import Incomplete
from .events import Message, OnEvent, ignore
from .processes import boot_id, is_alive, started_at

LEASE_SECONDS = 600.0  # a lease on another host without heartbeats expires when its file has not grown for so long
HEARTBEAT_SECONDS = 30.0
SILENT_SECONDS = 180.0  # a lease on another host expires after so long without a heartbeat
_TORN_SECONDS = 5.0  # a lease without content may be in the middle of being written
_PAUSE_SECONDS = 0.01  # between two tries to take a lease
_TRIES = 1000  # with pauses longer than _TORN_SECONDS, after which torn leases and marks of others expire
_LOOK_SECONDS = 0.5  # between two checks for a heartbeat

_held: set[str] = set()  # leases that this process holds: its pid alone does not tell


@dataclass(frozen=True)
class Owner:
    """The owner of a lease; ``idle`` is seconds since the last heartbeat."""

    host: str
    pid: int
    idle: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """A lease on a file or folder.

    Parameters
    ----------
    path : Path
        The file of the lease.
    subject : Path
        The file or folder that the lease protects.
    busy : str
        Error message if another process holds the lease.
    beats : bool
        True: :meth:`held` writes heartbeats. False: growth of ``subject`` counts as a heartbeat.
    """

    def __init__(self, path: Path, subject: Path, busy: str, *, beats: bool) -> None:
        self.path, self._subject, self._busy, self._beats = path, subject, busy, beats
        self._token = uuid.uuid4().hex
        self._silent: tuple[bytes, int] | None = None  # content and time of a lease that was watched and did not change
        self._content = json.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "boot": boot_id(),
                "started": started_at(os.getpid()),
                "lease": self._token,
            }
        )

    def take(self, on_event: OnEvent = ignore) -> None:
        """Take the lease. Waits while its file is being written. ``on_event`` gets a message while this waits longer.

        Raises
        ------
        Incomplete
            If another process that is alive holds it.
        """
        for _ in range(_TRIES):
            try:
                fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                owner = self.listen(on_event) if self._beats else self._written()
                if owner:
                    raise self.refusal(owner) from None
                self.bury()
                continue
            _held.add(self._token)
            with os.fdopen(fd, "w") as file:
                file.write(self._content)
            return
        raise Incomplete("other processes keep taking this lease", where=str(self._subject))

    def bury(self) -> None:
        """Delete the lease if its owner is dead.

        One process at a time does this, and checks the owner again. Otherwise a second process could delete the lease
        that the first has just taken.
        """
        busy = self.path.with_name(f"{self.path.name}.breaking")
        try:
            os.close(os.open(busy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            with suppress(OSError):
                if time.time() - busy.stat().st_mtime > _TORN_SECONDS:  # its process died before it deleted it
                    busy.unlink()
            time.sleep(_PAUSE_SECONDS)
            return
        try:
            if self._look() == (True, None):
                self.path.unlink(missing_ok=True)
        finally:
            busy.unlink(missing_ok=True)

    def listen(self, on_event: OnEvent = ignore) -> Owner | str | None:
        """Return the owner if it is alive. If it is on another host, wait for a heartbeat first.

        A requeued job starts at once, while the lease of its dead node still looks recent. A heartbeat is a change of
        the file. The wait is ``SILENT_SECONDS`` less the age of the file; a time in the future counts as age 0.
        """
        first, seen = self._written(), self._state()
        if not isinstance(first, Owner) or first.host == socket.gethostname() or seen is None:
            return first
        end = time.monotonic() + SILENT_SECONDS - first.idle
        on_event(
            Message(
                f"{first} holds {self.path.name}: waiting up to {max(0.0, SILENT_SECONDS - first.idle):.0f} s "
                "for a heartbeat"
            )
        )
        while time.monotonic() < end:
            time.sleep(min(_LOOK_SECONDS, max(0.0, end - time.monotonic())))
            if self._state() != seen:
                return self.owner()
        self._silent = seen
        return self.owner()

    def living(self, on_event: OnEvent = ignore) -> Owner | str | None:
        """As :meth:`listen`, but deletes the lease of a dead owner."""
        if (owner := self.listen(on_event)) is None:
            self.bury()
        return owner

    def check(self) -> None:
        """Check that this process still holds the lease.

        Raises
        ------
        Incomplete
            If another process has taken it, since this one wrote no heartbeat for too long.
        """
        if not self._is_ours():
            raise Incomplete(
                "this process has lost its lease: it sent no heartbeat for so long that the lease expired",
                where=str(self._subject),
                found=str(self.owner() or f"no {self.path.name}"),
                todo="run the same command again; the results of this process are discarded",
            )

    def _is_ours(self) -> bool:
        try:
            return read_small(self.path) == self._content.encode()
        except (FileNotFoundError, ValueError):
            return False

    def _state(self) -> tuple[bytes, int] | None:
        """Content and modification time (ns) of the file; None if there is no file."""
        try:
            return read_small(self.path), self.path.stat().st_mtime_ns
        except (OSError, ValueError):
            return None

    def refusal(self, owner: Owner | str) -> Incomplete:
        """The error for a lease that ``owner`` holds."""
        return Incomplete(
            self._busy,
            where=str(self._subject),
            found=str(owner),
            todo=f"wait for it to end; if it no longer runs, delete {self.path}",
        )

    def _written(self) -> Owner | str | None:
        """The owner once the lease is written. A process that is killed while it writes must not stop the next one."""
        for _ in range(_TRIES):
            owner = self.owner()
            if not isinstance(owner, str):
                break
            time.sleep(_PAUSE_SECONDS)
        return owner

    def owner(self) -> Owner | str | None:
        """The owner if it is alive; a text if the lease is still being written; None if the lease is free."""
        return self._look()[1]

    def _look(self) -> tuple[bool, Owner | str | None]:
        """Whether there is a file, and its owner."""
        try:
            content = read_json(self.path)
            host, pid, boot = str(content["host"]), int(content["pid"]), str(content["boot"])
            if not 0 < pid < 1 << 31:
                raise ValueError(pid)
        except FileNotFoundError:
            return False, None
        except (ValueError, KeyError, TypeError, OverflowError):
            # Torn: its writer died while writing it, or is writing it now.
            return True, "a lease that is being written" if self._idle() < _TORN_SECONDS else None
        owner = Owner(host, pid, max(0.0, self._idle()))
        if host != socket.gethostname():
            if self._silent is not None and self._silent == self._state():
                return True, None
            return True, owner if owner.idle < (SILENT_SECONDS if self._beats else LEASE_SECONDS) else None
        if boot != boot_id():
            return True, None
        if pid == os.getpid():
            return True, owner if content.get("lease") in _held else None
        same = content.get("started") in (None, started_at(pid))  # otherwise the pid was reused
        return True, owner if same and is_alive(pid) else None

    def _idle(self) -> float:
        """Seconds since the last heartbeat."""
        times = []
        for path in (self.path,) if self._beats else (self.path, self._subject):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
        return time.time() - max(times, default=0.0)

    def give_back(self) -> None:
        """Release the lease, if this process still holds it."""
        _held.discard(self._token)
        with suppress(OSError):
            if self._is_ours():
                self.path.unlink()

    def break_it(self) -> None:
        """Delete the lease of an owner that is known to be dead."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def held(self, on_event: OnEvent = ignore) -> Iterator[Lease]:
        """Take the lease, write heartbeats, release it. ``on_event`` gets a message while this waits.

        Raises
        ------
        Incomplete
            If another process that is alive holds it.
        """
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(ended,), name="s2ct-heartbeat", daemon=True)
        try:  # before take(): a signal may raise right after it
            self.take(on_event)
            heart.start()
            yield self
        finally:
            ended.set()
            if heart.ident is not None:
                heart.join()
            self.give_back()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):  # the disk may fail for a while; check() decides later
                if self._is_ours():
                    os.utime(self.path)
