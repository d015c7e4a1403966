"""Brings one file whole, however often the connection breaks.

The rules, answer by answer, are in :meth:`Fetch._judge`; what a status means is in :mod:`.policy`. A byte is
written only after the answer was seen to be of the right file at the right offset, and in the end the md5 decides.
"""

from __future__ import annotations

import random
import time

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from ..errors import Difference, NetworkError
from ..events import Message
from .answers import body_of, refused, told
from .api import file_urls
from .events import FileProgress, FileWaiting
from .manifest import RecordFile
from .partial import Partial
from .policy import Verdict, asked_wait, content_range, etag_md5, judge, page_says, until
from .run import STOPPED, FetchRun, Stopped
from .watch import Transfer

_BLOCK = 1 << 18
_TELL_SECONDS = 0.1  # between two events of progress
SLOW = "slow"


class WrongMd5(Difference):
    """A file came whole twice, each time with the wrong md5."""


class FileChanged(Difference):
    """The service has another file under this name than the manifest tells."""


class _Again(Exception):
    """This request brought nothing more. ``wait`` is what the service asked for; ``free`` counts as no failure."""

    def __init__(self, why: str, *, wait: float | None = None, free: bool = False) -> None:
        super().__init__(why)
        self.why, self.wait, self.free = why, wait, free


class Fetch:
    """The work on one file."""

    def __init__(self, run: FetchRun, file: RecordFile, partial: Partial) -> None:
        self._run, self._file, self._partial = run, file, partial
        self._urls = file_urls(run.service.base, run.record, file.key)
        self._url = 0
        self._refused_ranges: set[int] = set()  # URLs that answer a range with something else
        self._gone: set[int] = set()
        self._other_size: set[int] = set()
        self._redials = run.policy.redials
        self._jitter = random.Random(file.key)
        self._last_told = 0.0
        self.fetched = 0

    def run(self) -> None:
        """Bring the file and publish it.

        Raises
        ------
        S2ctError
            If it cannot be had; what came so far stays for the next time.
        Stopped
        """
        for last in (False, True):
            self._bring()
            if self._partial.is_right():
                self._partial.publish()
                return
            if last:
                aside = self._partial.set_aside()
                raise WrongMd5(
                    "the file came whole twice, with the wrong md5",
                    where=self._file.key,
                    expected=f"md5 {self._file.md5}",
                    found=f"md5 {self._partial.md5()}, kept as {aside.name}",
                    todo="try another network; if it stays so, the record has changed or the manifest is wrong",
                )
            self._run.on_event(
                Message(f"{self._file.key}: whole, but its md5 is {self._partial.md5()}; it is fetched once more")
            )
            self._partial.start_over()

    def _bring(self) -> None:
        """Ask until all bytes are there."""
        failures, policy = 0, self._run.policy
        while self._partial.missing:
            before = self._partial.have
            try:
                self._ask()
                continue
            except _Again as again:
                reason = again
            if self._partial.have > before:
                failures = 0
            if reason.free:
                continue
            failures += 1
            self._refused_ranges.clear()  # a server may fall back for a while only
            if failures >= policy.attempts:
                raise NetworkError(
                    f"{reason.why}; gave up after {failures} attempts without a new byte",
                    where=self._file.key,
                    found=f"{self._partial.have:,} of {self._partial.size:,} bytes are here",
                    todo="run the same command again: it goes on from there",
                )
            wait = reason.wait if reason.wait is not None else policy.wait(failures, self._jitter.random())
            if wait > policy.patience:
                raise NetworkError(
                    f"{reason.why}; the service asks to wait {until(self._run.clock(), wait)}",
                    where=self._file.key,
                    todo="run the same command again after that: it goes on from where it is",
                )
            self._run.on_event(FileWaiting(self._file.key, wait, reason.why))
            self._run.pause(wait)

    def _ask(self) -> None:
        """One request, and all bytes it brings."""
        run, partial = self._run, self._partial
        ranges = len(self._refused_ranges) < len(self._urls)
        start = partial.have if ranges else 0
        try:
            answer = run.service.get(self._urls[self._url], start=start, turn=run.turn)
        except (HTTPError, OSError) as error:
            raise _Again(told(error)) from error
        try:
            skip = self._judge(answer, start)
            self._read(answer, skip)
        finally:
            answer.close()  # what was not read to its end cannot be used again

    def _judge(self, answer: BaseHTTPResponse, start: int) -> int:
        """See whether this is the answer that was asked for; bytes at its beginning that are here already."""
        run, status, headers = self._run, answer.status, answer.headers
        now = run.clock()
        run.budget.observe(headers, now)
        verdict = judge(status)
        if verdict is Verdict.RETRY:
            wait = asked_wait(status, headers, now)
            if status == 429:  # counts for all lanes: the limit is by address
                run.budget.keep_quiet(min(wait if wait is not None else run.policy.backoff, run.policy.patience))
            raise _Again(f"the service answers {status} {answer.reason or ''}".rstrip(), wait=wait)
        if verdict is Verdict.OTHER_URL:
            self._gone.add(self._url)
            if len(self._gone) < len(self._urls):
                self._other_url()
                raise _Again(f"the service answers {status}", free=True)
            raise refused(self._file.key, answer)
        if verdict is Verdict.FINAL:
            raise refused(self._file.key, answer)
        said = etag_md5(headers.get("ETag"))
        if said is not None and said != self._file.md5:
            raise FileChanged(
                "the service has another file under this name",
                where=self._file.key,
                expected=f"md5 {self._file.md5}",
                found=f"md5 {said}",
                todo="the record was changed; see s2ct list",
            )
        if status == 416:
            self._check_total(content_range(headers.get("Content-Range")).total)
            new = self._refuse_ranges()
            raise _Again("the service finds no byte where the file goes on", free=new)
        if headers.get("Content-Type", "").lower().startswith("text/html"):
            raise _Again(f"a web page came instead of the file: {page_says(body_of(answer))}")
        if headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
            raise _Again("the file came packed by the server, which was not asked for")
        if status == 206:
            part = content_range(headers.get("Content-Range"))
            self._check_total(part.total)
            if part.start != start:
                new = self._refuse_ranges()
                raise _Again(f"the service sends bytes from {part.start}, asked for was from {start}", free=new)
            return 0
        length = headers.get("Content-Length", "")
        self._check_total(int(length) if length.isdigit() else None)
        if start and self._url not in self._refused_ranges:
            self._refuse_ranges()
            if len(self._refused_ranges) < len(self._urls):
                raise _Again("the service sends all of the file again", free=True)
        return self._partial.have

    def _check_total(self, total: int | None) -> None:
        """Another size than in the manifest is another file; both URLs are asked before that is said."""
        if total is None or total == self._partial.size:
            return
        self._other_size.add(self._url)
        if len(self._other_size) < len(self._urls):
            self._other_url()
            raise _Again(f"the service has {total:,} bytes", free=True)
        raise FileChanged(
            "the service has a file of another size under this name",
            where=self._file.key,
            expected=f"{self._partial.size:,} bytes",
            found=f"{total:,} bytes",
            todo="the record was changed, or something on the way changes it; see s2ct list",
        )

    def _refuse_ranges(self) -> bool:
        """This URL does not go on where a file broke off: use the other; where none does, all is read anew.

        Whether that is news: if not, asking at once would go on forever.
        """
        new = self._url not in self._refused_ranges
        self._refused_ranges.add(self._url)
        if len(self._refused_ranges) < len(self._urls):
            self._other_url()
        return new

    def _other_url(self) -> None:
        self._url = (self._url + 1) % len(self._urls)

    def _read(self, answer: BaseHTTPResponse, skip: int) -> None:
        """Write what comes, but the first ``skip`` bytes, until all is there or it breaks."""
        run, partial = self._run, self._partial
        transfer = Transfer(
            self._file.key,
            answer,
            partial.missing + skip,
            may_redial=self._redials > 0 and not skip,
            have=lambda: partial.have,
        )
        run.watch.begin(transfer)
        try:
            while partial.missing:
                if run.stop.is_set():
                    raise Stopped
                try:
                    block = memoryview(answer.read1(_BLOCK))
                except (HTTPError, OSError) as error:
                    raise self._broke(transfer, told(error)) from error
                if not block:
                    raise self._broke(transfer, "the connection ended early")
                transfer.add(len(block))
                self.fetched += len(block)
                dropped = min(skip, len(block))
                skip -= dropped
                if block := block[dropped : dropped + partial.missing]:
                    partial.write(block)
                    self._tell_progress()
        finally:
            run.watch.end(transfer)

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if now - self._last_told >= _TELL_SECONDS or not self._partial.missing:
            self._last_told = now
            self._run.on_event(FileProgress(self._file.key, self._partial.have))

    def _broke(self, transfer: Transfer, why: str) -> _Again | Stopped:
        if self._run.stop.is_set() or transfer.cut_because == STOPPED:
            return Stopped()
        if transfer.cut_because == SLOW:
            self._redials -= 1
            return _Again("this connection is much slower than the others", free=True)
        return _Again(transfer.cut_because or why)
