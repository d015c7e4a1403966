"""Retry policy: decides what to do about a response or an error, without waiting and without I/O."""

from __future__ import annotations

import datetime
import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

PAGE_CHARACTERS = 4096  # of an error page that are looked at


class Verdict(Enum):
    """What to do after a response with a given status."""

    GOOD = "good"
    RETRY = "retry"  # the service is busy or failing for now
    OTHER_URL = "other url"  # not at this URL, perhaps at the other
    FINAL = "final"  # a retry will not help


def judge(status: int) -> Verdict:
    """The verdict on an HTTP status."""
    if status in (200, 206, 416):
        return Verdict.GOOD
    if status in (408, 425, 429) or 500 <= status <= 599:
        return Verdict.RETRY
    if status in (404, 410):
        return Verdict.OTHER_URL
    return Verdict.FINAL


@dataclass(frozen=True)
class RetryPolicy:
    """How often to retry and how long to wait. All times are in seconds.

    A file fails after ``attempts`` requests in a row without a new byte. A new byte resets the count, so a connection
    that breaks every minute can still fetch 40 GB. Waits double from ``backoff`` up to ``longest``. If the service asks
    to wait longer than ``patience``, the file fails with a message.

    Connecting times out after ``connect``. TLS, the headers of a response, and a small body such as a list of files
    have ``answer`` each. A connection is closed after ``stall`` without data. It is also closed if its rate over
    ``slow_window`` is below ``slow`` times the best rate and more than ``slow_bytes`` bytes are missing, at most
    ``redials`` times a file.
    """

    attempts: int = 8
    backoff: float = 1.0
    longest: float = 60.0
    patience: float = 900.0
    connect: float = 20.0
    answer: float = 120.0
    stall: float = 60.0
    slow: float = 0.25
    slow_window: float = 30.0
    slow_bytes: int = 20_000_000
    redials: int = 3

    def wait(self, failures: int, jitter: float) -> float:
        """Seconds to wait after ``failures`` failures in a row; ``jitter`` from 0 to 1 spreads the lanes."""
        doublings = min(failures - 1, 1000)  # 2.0 ** 1024 overflows
        return min(self.longest, self.backoff * 2.0**doublings) * (0.75 + 0.5 * jitter)


def asked_wait(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the service asks to wait; None if it does not ask.

    Only 429 and 503 count: Zenodo also sends ``Retry-After`` with good responses, where it means nothing. It is seconds
    or a date. Without it, ``X-RateLimit-Reset`` (seconds since 1970) counts.

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
            date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)  # HTTP dates are in UTC
            return max(0.0, date.timestamp() - now)
        except (ValueError, TypeError, OverflowError):
            pass  # neither form: ignore it
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if re.fullmatch(r"[0-9]{9,11}(\.[0-9]+)?", reset):
        return max(0.0, float(reset) - now)
    return None


def until(now: float, wait: float) -> str:
    """When a wait ends, in words: a local time, with a date if it is another day."""
    if wait > 366 * 86400:
        return "for more than a year"
    end = time.localtime(now + wait)
    same_day = end[:3] == time.localtime(now)[:3]
    return time.strftime("until %H:%M" if same_day else "until %Y-%m-%d %H:%M", end)


@dataclass(frozen=True)
class ContentRange:
    """``Content-Range``: first byte, total size and last byte; None if missing."""

    start: int | None
    total: int | None
    last: int | None = None


def content_range(text: str | None) -> ContentRange:
    """Parse ``bytes 5-9/10``, ``bytes */10`` or ``bytes 5-9/*``."""
    number = "([0-9]{1,19})"
    form = rf"\s*bytes\s+(?:{number}\s*-\s*{number}|\*)\s*/\s*(?:{number}|\*)\s*"
    match = re.fullmatch(form, text or "", re.IGNORECASE)
    if match is None:
        return ContentRange(None, None)
    start, last, total = (int(part) if part else None for part in match.groups())
    return ContentRange(start, total, last)


def whole_number(text: str | None) -> int | None:
    """The number in a header such as ``Content-Length``; None if it is missing or not a number of bytes."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,19}", text) else None


def etag_md5(text: str | None) -> str | None:
    """The md5 in ``ETag: "md5:..."``, the form that Zenodo uses; else None."""
    match = re.fullmatch(r'(?:W/)?"md5:([0-9a-fA-F]{32})"', (text or "").strip())
    return match[1].lower() if match else None


def page_says(body: str) -> str:
    """Summary of an HTML error page: its title and its reference number for support."""
    # One blank for several: in a run of blanks, the patterns below would take cubic time.
    page = re.sub(r"\s+", " ", body[:PAGE_CHARACTERS])
    title = re.search(r"<title[^<>]*>([^<]*)</title", page, re.IGNORECASE)
    text = re.sub(r" +", " ", re.sub(r"<[^<>]*>", " ", page))
    reference = re.search(r"reference ?(?:id|number)? ?:? ?([a-z0-9][a-z0-9.\-]{5,99})", text, re.IGNORECASE)
    words = (title[1] if title else text).strip()[:120]
    return f"{words} (reference {reference[1]})" if reference else words
