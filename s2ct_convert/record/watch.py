"""Watches all lanes: closes stalled connections, and reconnects those that are much slower than others.

A connection is closed by shutting down its socket. Only this wakes the lane that waits in it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from .policy import RetryPolicy

STALL_BYTES = 4096  # fewer bytes than this in a stall window count as no data
IDLE_SECONDS = 5.0  # without a byte, before the user gets a note


class Shutdown(Protocol):
    """A connection that can be shut down."""

    def shutdown(self) -> None:
        """Shut down the socket and wake the thread that reads from it."""


class Transfer:
    """One response that one lane reads. ``have`` returns the bytes of the file so far."""

    def __init__(
        self, key: str, answer: Shutdown, missing: int, *, may_redial: bool, have: Callable[[], int] = lambda: 0
    ) -> None:
        self.key, self._answer, self.missing, self.may_redial, self.have = key, answer, missing, may_redial, have
        self.began = self.last_byte = time.monotonic()
        self.cut_because = ""
        self.bytes = 0
        self._seen: deque[tuple[float, int]] = deque([(self.began, 0)])

    def add(self, n: int) -> None:
        """Count ``n`` bytes that arrived. The lane calls this."""
        self.bytes += n
        self.last_byte = time.monotonic()

    def observe(self, now: float, keep: float) -> None:
        """Record the current byte count, and drop counts older than ``keep`` seconds."""
        self._seen.append((now, self.bytes))
        while len(self._seen) > 1 and self._seen[1][0] <= now - keep:
            self._seen.popleft()

    def gained(self, now: float, window: float) -> int | None:
        """Bytes in the last ``window`` seconds; None if the transfer is younger than that."""
        if now - self.began < window:
            return None
        before = max((count for at, count in self._seen if at <= now - window), default=0)
        return self.bytes - before

    def cut(self, why: str) -> None:
        """Close the connection. The lane reads the reason from ``cut_because``."""
        self.cut_because = self.cut_because or why
        with suppress(OSError, ValueError, RuntimeError):  # it is already closed
            self._answer.shutdown()


class Watch:
    """Context manager that watches transfers in a thread."""

    def __init__(self, policy: RetryPolicy, on_idle: Callable[[Transfer, float], None] = lambda *_: None) -> None:
        self._policy, self._on_idle = policy, on_idle
        self._transfers: set[Transfer] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="s2ct-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def begin(self, transfer: Transfer) -> None:
        with self._lock:
            self._transfers.add(transfer)

    def end(self, transfer: Transfer) -> None:
        with self._lock:
            self._transfers.discard(transfer)

    def cut_all(self, why: str) -> None:
        """Close every connection."""
        with self._lock:
            for transfer in self._transfers:
                transfer.cut(why)

    def _run(self) -> None:
        policy = self._policy
        tick = min(1.0, policy.stall / 4, policy.slow_window / 4)
        while not self._over.wait(tick):
            with self._lock:
                transfers = list(self._transfers)
            self._look(transfers, time.monotonic())

    def _look(self, transfers: list[Transfer], now: float) -> None:
        policy = self._policy
        for transfer in transfers:
            transfer.observe(now, 2 * max(policy.stall, policy.slow_window))
            idle = now - transfer.last_byte
            if idle >= min(IDLE_SECONDS, policy.stall / 2):
                self._on_idle(transfer, idle)
            gained = transfer.gained(now, policy.stall)
            if gained is not None and gained < min(STALL_BYTES, transfer.missing):
                transfer.cut(f"no data for {policy.stall:.0f} s")
        rates = {one: gained for one in transfers if (gained := one.gained(now, policy.slow_window)) is not None}
        best = max(rates.values(), default=0)
        for transfer, gained in rates.items():
            left = transfer.missing - transfer.bytes
            if transfer.may_redial and gained < policy.slow * best and left > policy.slow_bytes:
                transfer.cut("slow")
