"""Who works on something: host, process and boot of the machine, in a file made with O_EXCL.

No file locks: on Lustre and NFS they are often absent or off. So a lease can be broken by one who believes its owner
dead; whoever takes one must see to it that this costs work at most, never a wrong byte: it asks :meth:`Lease.check`
before it makes its work visible.

Clocks of machines differ. That a lease of another host is old is believed; that it is not is found out by watching
whether its file changes, by the clock of this machine alone.
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

from .errors import Incomplete
from .events import Message, OnEvent, ignore
from .processes import boot_id, is_alive, started_at

LEASE_SECONDS = 600.0  # a lease of another machine whose file has not grown for so long is of a dead process
HEARTBEAT_SECONDS = 30.0
SILENT_SECONDS = 180.0  # a lease of another machine that gives signs of life, and has not for so long
_TORN_SECONDS = 5.0  # a lease without content may be one that is being written
_TRIES = 1000  # a hundredth of a second each where others break it: longer than one who died at it is in the way
_LOOK_SECONDS = 0.5  # between two looks for a sign of life

_held: set[str] = set()  # leases of this process: its own pid says nothing of whether they are still held


@dataclass(frozen=True)
class Owner:
    """Who holds a lease, and how many seconds ago it gave its last sign of life."""

    host: str
    pid: int
    idle: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """A lease in a file of its own.

    Parameters
    ----------
    path : Path
        The file.
    subject : Path
        What is worked on.
    busy : str
        What is wrong where somebody else holds it.
    beats : bool
        Owners give signs of life by :meth:`held`; otherwise that the subject grows is one.
    """

    def __init__(self, path: Path, subject: Path, busy: str, *, beats: bool) -> None:
        self.path, self._subject, self._busy, self._beats = path, subject, busy, beats
        self._token = uuid.uuid4().hex
        self._silent: tuple[str, int] | None = None  # content and time of a lease that was watched, and did not change
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
        """Become the owner. ``on_event`` is told what is waited for.

        Raises
        ------
        Incomplete
            If somebody else is, and alive.
        """
        for _ in range(_TRIES):
            try:
                fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                owner = self.listen(on_event) if self._beats else self.owner()
                if owner:
                    raise self.refusal(owner) from None
                self.bury()
                continue
            _held.add(self._token)
            with os.fdopen(fd, "w") as file:
                file.write(self._content)
            return
        raise Incomplete("another process takes this again and again", where=str(self._subject))

    def bury(self) -> None:
        """Delete it if its owner is dead. Of many who find it one at a time does and looks again, else the second would
        delete what the first has taken meanwhile.
        """
        busy = self.path.with_name(f"{self.path.name}.breaking")
        try:
            os.close(os.open(busy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            with suppress(OSError):
                if time.time() - busy.stat().st_mtime > _TORN_SECONDS:  # whoever made it died between two lines
                    busy.unlink()
            time.sleep(0.01)
            return
        try:
            if self._look() == (True, None):
                self.path.unlink(missing_ok=True)
        finally:
            busy.unlink(missing_ok=True)

    def listen(self, on_event: OnEvent = ignore) -> Owner | str | None:
        """The owner, if it is alive. One of another machine must give a sign of life, for which this waits.

        A job that is queued again comes back at once, and its lease is of the node that died. A sign of life is that
        the file changes; how long to wait for one is told by the time in the file only where that is in the past.
        """
        first, seen = self.owner(), self._state()
        if not isinstance(first, Owner) or first.host == socket.gethostname() or seen is None:
            return first
        end = time.monotonic() + SILENT_SECONDS - first.idle
        on_event(
            Message(
                f"{first} holds {self.path.name}: waiting up to {max(0.0, SILENT_SECONDS - first.idle):.0f} s "
                "for a sign of life"
            )
        )
        while time.monotonic() < end:
            time.sleep(min(_LOOK_SECONDS, max(0.0, end - time.monotonic())))
            if self._state() != seen:
                return self.owner()
        self._silent = seen
        return self.owner()

    def living(self, on_event: OnEvent = ignore) -> Owner | str | None:
        """The owner, if it is alive; see :meth:`listen`. A lease of a dead one is deleted."""
        if (owner := self.listen(on_event)) is None:
            self.bury()
        return owner

    def check(self) -> None:
        """See that it is still ours.

        Raises
        ------
        Incomplete
            If another process has taken it: this one gave no sign of life for too long.
        """
        if not self._is_ours():
            raise Incomplete(
                "this process has lost its lease: it was stopped for so long that another took it for dead",
                where=str(self._subject),
                found=str(self.owner() or f"no {self.path.name}"),
                todo="run the same command again; nothing of what this process made is kept",
            )

    def _is_ours(self) -> bool:
        try:
            return self.path.read_text() == self._content
        except FileNotFoundError:
            return False

    def _state(self) -> tuple[str, int] | None:
        """Content and time of the file; None if there is none."""
        try:
            return self.path.read_text(), self.path.stat().st_mtime_ns
        except OSError:
            return None

    def refusal(self, owner: Owner | str) -> Incomplete:
        """The error of one who meets an owner."""
        return Incomplete(
            self._busy,
            where=str(self._subject),
            found=str(owner),
            todo=f"wait for it; if it is no more, delete {self.path.name}",
        )

    def owner(self) -> Owner | str | None:
        """Who holds it and is alive; a description where nobody has signed yet; None if it is free."""
        return self._look()[1]

    def _look(self) -> tuple[bool, Owner | str | None]:
        """Whether there is a file, and its owner."""
        try:
            content = json.loads(self.path.read_text())
            host, pid, boot = str(content["host"]), int(content["pid"]), str(content["boot"])
            if not 0 < pid < 1 << 31:
                raise ValueError(pid)
        except FileNotFoundError:
            return False, None
        except (ValueError, KeyError, TypeError, OverflowError):
            # Torn: its writer died while writing it, or writes it just now.
            return True, "a lease without a name" if self._idle() < _TORN_SECONDS else None
        owner = Owner(host, pid, max(0.0, self._idle()))
        if host != socket.gethostname():
            if self._silent is not None and self._silent == self._state():
                return True, None
            return True, owner if owner.idle < (SILENT_SECONDS if self._beats else LEASE_SECONDS) else None
        if boot != boot_id():
            return True, None
        if pid == os.getpid():
            return True, owner if content.get("lease") in _held else None
        same = content.get("started") in (None, started_at(pid))  # or the number has gone to another process
        return True, owner if same and is_alive(pid) else None

    def _idle(self) -> float:
        """Seconds since the last sign of life."""
        times = []
        for path in (self.path,) if self._beats else (self.path, self._subject):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
        return time.time() - max(times, default=0.0)

    def give_back(self) -> None:
        """Be the owner no more, if it is still us."""
        _held.discard(self._token)
        with suppress(OSError):
            if self._is_ours():
                self.path.unlink()

    def break_it(self) -> None:
        """Take it from an owner that is known to be dead."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def held(self, on_event: OnEvent = ignore) -> Iterator[Lease]:
        """Take it, give signs of life, give it back. ``on_event`` is told what is waited for.

        Raises
        ------
        Incomplete
            If somebody else has it, and is alive.
        """
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(ended,), name="s2ct-heartbeat", daemon=True)
        try:  # a signal may end us right after it was taken
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
            with suppress(OSError):  # broken, or the disk is away for a while: the work decides
                if self._is_ours():
                    os.utime(self.path)
