"""One budget of requests for all lanes, so that a run stays below the rate limit.

Zenodo counts requests per User-Agent and address in a moving window of a minute (133 for guests in 2026). The headers
``X-RateLimit-*`` say how many are left. A download of the whole record needs 1 + 72 requests.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping

PER_MINUTE = 60  # the smallest documented limit for guests
WINDOW = 62.0  # seconds; more than a minute, since the service counts a request when it arrives


class Budget:
    """Limits requests: at most ``limit`` in any ``window`` seconds, none while the service asks to wait.

    ``requests`` counts them.
    """

    def __init__(self, limit: int = PER_MINUTE, window: float = WINDOW) -> None:
        self._limit, self._window = limit, window
        self.requests = 0
        self._made: deque[float] = deque()
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Seconds until the next request is allowed. 0 means now, and counts it as made."""
        with self._lock:
            now = time.monotonic()
            if now < self._quiet_until:
                return self._quiet_until - now
            while self._made and self._made[0] <= now - self._window:
                self._made.popleft()
            if len(self._made) >= self._limit:
                return self._made[0] + self._window - now
            self._made.append(now)
            self.requests += 1
            return 0.0

    def keep_quiet(self, seconds: float) -> None:
        """Allow no request of any lane for ``seconds``."""
        with self._lock:
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    def observe(self, headers: Mapping[str, str], now: float) -> None:
        """Apply the rate limit in the headers of a response. ``now`` is the time in seconds since 1970."""
        limit, remaining, reset = (
            _number(headers.get(f"X-RateLimit-{name}")) for name in ("Limit", "Remaining", "Reset")
        )
        with self._lock:
            if limit is not None and limit > 0:
                self._limit = max(1, min(self._limit, int(limit)))
        if remaining is not None and remaining < 1 and reset is not None and reset > now:
            self.keep_quiet(min(reset - now, self._window))


def _number(text: str | None) -> float | None:
    """A plain number; None for anything else, also for nan, inf and 1_000, which ``float`` accepts."""
    text = (text or "").strip()
    return float(text) if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]*)?", text) else None
