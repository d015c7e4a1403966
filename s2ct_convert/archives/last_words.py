"""What a child process writes to its stderr, of which the end is kept."""

from __future__ import annotations

import os
import select
import threading
from typing import IO

_BYTES = 4096  # kept
_SECONDS = 1.0  # to wait for the rest after the child has ended: a program that outlives it may keep stderr open


class LastWords:
    """Reads stderr of a child in a thread. It must be closed."""

    def __init__(self) -> None:
        self._text = b""
        self._stderr: IO[bytes] | None = None
        self._thread = threading.Thread(target=self._listen, name="s2ct-stderr", daemon=True)
        self._woken, self._wake = os.pipe()

    def start(self, stderr: IO[bytes]) -> None:
        """Listen to this pipe."""
        self._stderr = stderr
        self._thread.start()

    def _listen(self) -> None:
        assert self._stderr is not None
        stderr, waiting = self._stderr.fileno(), select.poll()
        for fd in (stderr, self._woken):
            waiting.register(fd, select.POLLIN)
        while self._woken not in [fd for fd, _ in waiting.poll()] and (piece := os.read(stderr, _BYTES)):
            self._text = (self._text + piece)[-_BYTES:]

    def finish(self) -> None:
        """Wait for the rest, after the child has ended."""
        self._thread.join(_SECONDS)

    def in_one_line(self) -> str:
        """The end of it, as one line."""
        lines = [line.strip() for line in self._text.decode(errors="replace").splitlines()]
        return "; ".join(dict.fromkeys(line for line in lines if line and set(line) != {"-"}))[:300]

    def close(self) -> None:
        """Stop listening, even if another process has the pipe open. May be called twice."""
        if self._wake < 0:
            return
        os.close(self._wake)
        self._wake = -1
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._woken)
        if self._stderr is not None:
            self._stderr.close()
