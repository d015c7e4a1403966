"""Request bytes of one file until all are there, however often the connection breaks.

:meth:`Asking._judge` checks each response; :mod:`.policy` says what a status means. Bytes are written only after the
response proved to be the right file at the right offset.
"""

from __future__ import annotations

import random
import time
from typing import Protocol

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from ..errors import NetworkError
from .answers import describe, refused, without_hope
from .api import file_urls
from .events import FileProgress, FileWaiting
from .judging import Again, FileChanged, check_etag, check_form, judge_status
from .manifest import RecordFile
from .partial import Partial
from .policy import Verdict, content_range, until, whole_number
from .run import STOPPED, FetchRun, Stopped
from .watch import Transfer

_BLOCK = 1 << 18
_REPORT_SECONDS = 0.1  # between two progress events
SLOW = "slow"


class NoRanges(Exception):
    """The service sends whole files only, and a stretch was requested."""


class Wanted(Protocol):
    """The bytes to request, in order: ``missing`` bytes from offset ``have``. ``end``: None for the end of the file."""

    have: int

    @property
    def missing(self) -> int: ...

    @property
    def end(self) -> int | None: ...

    def write(self, block: memoryview) -> None: ...


class Asking:
    """Requests bytes of one file. Attribute ``fetched``: the bytes that arrived."""

    def __init__(self, run: FetchRun, file: RecordFile, partial: Partial) -> None:
        self._run, self._file, self._partial = run, file, partial
        self._urls = file_urls(run.service.base, run.record, file.key)
        self._url = 0
        self._refused_ranges: set[int] = set()  # URLs that do not support ranges
        self._gone: set[int] = set()
        self._other_size: set[int] = set()
        self._redials = run.policy.redials
        self._jitter = random.Random(file.key)
        self._last_report = 0.0
        self.fetched = 0

    def bring(self, wanted: Wanted) -> None:
        """Send requests until all wanted bytes are there.

        Raises
        ------
        NoRanges
            If only a stretch is wanted, and the service sends whole files only.
        NetworkError, FileChanged, Stopped
        """
        failures, policy = 0, self._run.policy
        while wanted.missing:
            before = wanted.have
            try:
                self._ask(wanted)
                continue
            except Again as again:
                reason = again
            if wanted.have > before:
                failures = 0
            if reason.free:
                continue
            failures += 1
            self._refused_ranges.clear()  # a server may lack ranges for a while only
            if failures >= policy.attempts:
                raise NetworkError(
                    f"{reason.why}; gave up after {failures} attempts without a new byte",
                    where=self._file.key,
                    found=f"{self._partial.have:,} of {self._partial.size:,} bytes are here",
                    todo="run the same command again to resume",
                )
            wait = reason.wait if reason.wait is not None else policy.wait(failures, self._jitter.random())
            if wait > policy.patience:
                raise NetworkError(
                    f"{reason.why}; the service asks to wait {until(self._run.clock(), wait)}",
                    where=self._file.key,
                    todo="run the same command again after that time to resume",
                )
            self._run.on_event(FileWaiting(self._file.key, wait, reason.why))
            self._run.pause(wait)

    def _ask(self, wanted: Wanted) -> None:
        """Send one request and write all wanted bytes of its response."""
        run, url = self._run, self._urls[self._url]
        ranges = len(self._refused_ranges) < len(self._urls)
        if not ranges and wanted.end is not None:
            raise NoRanges
        start = wanted.have if ranges else 0
        try:
            answer = run.service.get(url, start=start, stop=wanted.end, turn=run.turn)
        except (HTTPError, OSError) as error:
            raise without_hope(error, url) or Again(describe(error)) from error
        try:
            skip = self._judge(answer, start, wanted)
            self._read(answer, skip, wanted)
        finally:
            answer.close()  # a connection that was not read to its end cannot be reused

    def _judge(self, answer: BaseHTTPResponse, start: int, wanted: Wanted) -> int:
        """Check that a response fits the request. Returns how many of its first bytes exist already."""
        status, headers = answer.status, answer.headers
        verdict = judge_status(self._run, answer)
        if verdict is Verdict.OTHER_URL:
            self._gone.add(self._url)
            if len(self._gone) < len(self._urls):
                self._other_url()
                raise Again(f"the service answers {status}", free=True)
            raise refused(self._file.key, answer)
        if verdict is Verdict.FINAL:
            raise refused(self._file.key, answer)
        check_etag(answer, self._file.md5, self._file.key)
        if status == 416:
            self._check_total(content_range(headers.get("Content-Range")).total)
            new = self._refuse_ranges()
            raise Again("the service has no bytes after the partial file", free=new)
        check_form(answer)
        if status == 206:
            part = content_range(headers.get("Content-Range"))
            self._check_total(part.total)
            if part.start != start:
                new = self._refuse_ranges()
                raise Again(f"the service sent bytes from {part.start} instead of {start}", free=new)
            return 0
        self._check_total(whole_number(headers.get("Content-Length")))
        if (start or wanted.end is not None) and self._url not in self._refused_ranges:
            self._refuse_ranges()
            if len(self._refused_ranges) < len(self._urls):
                raise Again("the service sent the file from its start", free=True)
        if wanted.end is not None:
            raise NoRanges
        return wanted.have

    def _check_total(self, total: int | None) -> None:
        """Check the size of the file at the service. Raises only if it differs at both URLs."""
        if total is None or total == self._partial.size:
            return
        self._other_size.add(self._url)
        if len(self._other_size) < len(self._urls):
            self._other_url()
            raise Again(f"the service has {total:,} bytes", free=True)
        raise FileChanged(
            "the service has a file of another size under this name",
            where=self._file.key,
            expected=f"{self._partial.size:,} bytes",
            found=f"{total:,} bytes",
            todo="the record was changed, or a proxy changes the file; compare it with s2ct list",
        )

    def _refuse_ranges(self) -> bool:
        """Note that this URL does not support ranges, and use the other. If neither does, read the file from its start.

        Returns whether this is new. If it is not, an immediate retry would loop forever.
        """
        new = self._url not in self._refused_ranges
        self._refused_ranges.add(self._url)
        if len(self._refused_ranges) < len(self._urls):
            self._other_url()
        return new

    def _other_url(self) -> None:
        self._url = (self._url + 1) % len(self._urls)

    def _read(self, answer: BaseHTTPResponse, skip: int, wanted: Wanted) -> None:
        """Write the body without its first ``skip`` bytes, until all is there or the connection breaks."""
        run, partial = self._run, self._partial
        transfer = Transfer(
            self._file.key,
            answer,
            wanted.missing + skip,
            may_redial=self._redials > 0 and not skip,
            have=lambda: partial.have,
        )
        run.watch.begin(transfer)
        try:
            while wanted.missing:
                if run.stop.is_set():
                    raise Stopped
                try:
                    block = memoryview(answer.read1(_BLOCK))
                except (HTTPError, OSError) as error:
                    raise self._broke(transfer, describe(error)) from error
                if not block:
                    raise self._broke(transfer, "the connection was closed early")
                transfer.add(len(block))
                self.fetched += len(block)
                dropped = min(skip, len(block))
                skip -= dropped
                if block := block[dropped : dropped + wanted.missing]:
                    wanted.write(block)
                    if wanted.end is None:
                        self._report_progress()
        finally:
            run.watch.end(transfer)

    def _report_progress(self) -> None:
        now = time.monotonic()
        if now - self._last_report >= _REPORT_SECONDS or not self._partial.missing:
            self._last_report = now
            self._run.on_event(FileProgress(self._file.key, self._partial.have))

    def _broke(self, transfer: Transfer, why: str) -> Again | Stopped:
        if self._run.stop.is_set() or transfer.cut_because == STOPPED:
            return Stopped()
        if transfer.cut_because == SLOW:
            self._redials -= 1
            return Again("this connection is much slower than the others", free=True)
        return Again(transfer.cut_because or why)
