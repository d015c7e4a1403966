"""What to do about an answer, or the lack of one: decisions as values, without waiting and without I/O."""

from __future__ import annotations

import datetime
import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What the status of an answer means for the request."""

    GOOD = "good"
    RETRY = "retry"  # the service is busy or broken for now
    OTHER_URL = "other url"  # not at this URL; perhaps at the other
    FINAL = "final"  # asking again will not help


def judge(status: int) -> Verdict:
    """What a status means."""
    if status in (200, 206, 416):
        return Verdict.GOOD
    if status in (408, 425, 429) or 500 <= status <= 599:
        return Verdict.RETRY
    if status in (404, 410):
        return Verdict.OTHER_URL
    return Verdict.FINAL


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long. All times in seconds.

    ``attempts`` in a row without a new byte end the work on a file; a byte that arrives starts the count anew, so a
    connection that breaks every minute still brings 40 GB. Waits grow by a factor of two from ``backoff`` to
    ``longest``. A service that asks for more patience than ``patience`` is told to the user, who has other things to
    do. ``stall`` without a byte ends a connection; so does less than a ``slow`` part of the best lane's rate over
    ``slow_window``, at most ``redials`` times a file.
    """

    attempts: int = 8
    backoff: float = 1.0
    longest: float = 60.0
    patience: float = 900.0
    connect: float = 20.0
    stall: float = 60.0
    slow: float = 0.25
    slow_window: float = 30.0
    slow_bytes: int = 20_000_000
    redials: int = 3

    def wait(self, failures: int, jitter: float) -> float:
        """Seconds to wait after so many failures in a row; ``jitter`` in 0 to 1 spreads lanes out."""
        doublings = min(failures - 1, 1000)  # 2.0 ** 1024 is none
        return min(self.longest, self.backoff * 2.0**doublings) * (0.75 + 0.5 * jitter)


def asked_wait(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the service asks to wait, or None if it does not say.

    Zenodo sends ``Retry-After`` with good answers too, where it means nothing: it counts with 429 and 503 only.
    Forms: seconds, a date, and ``X-RateLimit-Reset`` (seconds since 1970) alone.

    Parameters
    ----------
    now : float
        Time of day in seconds since 1970.
    """
    if status not in (429, 503):
        return None
    if text := headers.get("Retry-After", "").strip():
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return float(text)
        try:
            date = email.utils.parsedate_to_datetime(text)
            date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)  # dates of HTTP are, however written
            return max(0.0, date.timestamp() - now)
        except (ValueError, TypeError, OverflowError):
            pass  # in neither form: as if it were not there
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if re.fullmatch(r"[0-9]{9,11}(\.[0-9]+)?", reset):
        return max(0.0, float(reset) - now)
    return None


def until(now: float, wait: float) -> str:
    """How long a wait is, in words: the time of day when it ends, with a date if that is another day."""
    if wait > 366 * 86400:
        return "for more than a year"
    end = time.localtime(now + wait)
    same_day = end[:3] == time.localtime(now)[:3]
    return time.strftime("until %H:%M" if same_day else "until %Y-%m-%d %H:%M", end)


@dataclass(frozen=True)
class ContentRange:
    """``Content-Range``: first byte and total; None where it does not say."""

    start: int | None
    total: int | None


def content_range(text: str | None) -> ContentRange:
    """Read ``bytes 5-9/10``, ``bytes */10`` or ``bytes 5-9/*``."""
    match = re.fullmatch(r"\s*bytes\s+(?:(\d+)\s*-\s*\d+|\*)\s*/\s*(?:(\d+)|\*)\s*", text or "", re.IGNORECASE)
    if match is None:
        return ContentRange(None, None)
    return ContentRange(*(int(part) if part else None for part in match.groups()))


def etag_md5(text: str | None) -> str | None:
    """The md5 in an ``ETag: "md5:..."``, as Zenodo has it where it has one."""
    match = re.fullmatch(r'(?:W/)?"md5:([0-9a-fA-F]{32})"', (text or "").strip())
    return match[1].lower() if match else None


def page_says(body: str) -> str:
    """What an HTML page says, short: its title and the reference that its writers ask to be told."""
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    reference = re.search(
        r"reference\s*(?:id|number)?\s*:?\s*(?:<[^>]+>\s*)*([A-Za-z0-9][A-Za-z0-9.\-]{5,})", body, re.IGNORECASE
    )
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", title[1] if title else body)).strip()[:120]
    return f"{words} (reference {reference[1]})" if reference else words
