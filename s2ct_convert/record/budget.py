"""One budget of requests for all lanes, so that a run never brings a rate limit upon itself.

Zenodo counts requests per User-Agent and address in a moving window of a minute (133 for guests in 2026) and says
in ``X-RateLimit-*`` how many are left. A run of the whole record needs 1 + 72.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping

PER_MINUTE = 60  # the smallest limit ever documented for guests
WINDOW = 62.0  # seconds; a request may reach the service a little later than it was made, and is counted then


class Budget:
    """Hands out requests: at most ``limit`` in any ``window`` seconds, none while the service asks for quiet."""

    def __init__(self, limit: int = PER_MINUTE, window: float = WINDOW) -> None:
        self._limit, self._window = limit, window
        self._made: deque[float] = deque()
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Seconds until the next request may be made; 0 if it may be made now, which then counts as made."""
        with self._lock:
            now = time.monotonic()
            if now < self._quiet_until:
                return self._quiet_until - now
            while self._made and self._made[0] <= now - self._window:
                self._made.popleft()
            if len(self._made) >= self._limit:
                return self._made[0] + self._window - now
            self._made.append(now)
            return 0.0

    def keep_quiet(self, seconds: float) -> None:
        """No request of any lane for so long."""
        with self._lock:
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    def observe(self, headers: Mapping[str, str], now: float) -> None:
        """Learn from an answer. ``now`` is the time of day in seconds, as ``X-RateLimit-Reset`` is."""
        limit, remaining, reset = (
            _number(headers.get(f"X-RateLimit-{name}")) for name in ("Limit", "Remaining", "Reset")
        )
        with self._lock:
            if limit is not None and limit > 0:
                self._limit = max(1, min(self._limit, int(limit)))
        if remaining is not None and remaining < 1 and reset is not None and reset > now:
            self.keep_quiet(min(reset - now, self._window))


def _number(text: str | None) -> float | None:
    """A plain number; None for anything else, of which ``float`` reads much: nan, inf, 1_000."""
    text = (text or "").strip()
    return float(text) if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]*)?", text) else None
