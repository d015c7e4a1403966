"""Ranges of one file at the service. 206 and ``Content-Range`` decide; the body of any other answer is not read.

A request has bounds: the bytes that it asks for, and a time. So a server that sends another range, more bytes than
asked, fewer, or bytes without end costs little and ends in an error.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from ..errors import NetworkError
from ..record.answers import describe, refused, without_hope
from ..record.events import FileWaiting
from ..record.judging import Again, check_etag, check_form, judge_status
from ..record.policy import Verdict, content_range, until, whole_number
from ..record.run import FetchRun, Stopped
from ..record.watch import Transfer

REQUEST_SECONDS = 120.0  # for the body of one answer
_BLOCK = 1 << 16


class Ranges:
    """Fetches ranges of one file, and counts ``requests`` and ``bytes``: everything sent and received for it.

    Parameters
    ----------
    run : FetchRun
    name : str
        Name of the file in messages.
    urls : sequence of str
        URLs of the file. If a server does not support ranges at one of them, the next is tried.
    size : int, optional
        Size of the file in bytes. By default the first answer gives it.
    md5 : str, optional
        Expected md5, to compare with an ETag that is one.
    """

    def __init__(
        self, run: FetchRun, name: str, urls: Sequence[str], *, size: int | None = None, md5: str | None = None
    ) -> None:
        self._run, self.name, self._urls = run, name, list(urls)
        self.size, self._md5 = size, md5
        self.etag_md5: str | None = None
        self.requests = self.bytes = 0
        self._jitter = random.Random(name)

    def get(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop``, or to the end of the file.

        Raises
        ------
        NetworkError
            If the service cannot be reached, does not support ranges, or does not send what it was asked for.
        FileChanged
            If the ETag is an md5, and not the expected one.
        """
        failures, policy = 0, self._run.policy
        while True:
            try:
                return self._ask(start, stop if self.size is None else min(stop, self.size))
            except Again as again:
                reason = again
            if reason.free:
                continue
            failures += 1
            wait = reason.wait if reason.wait is not None else policy.wait(failures, self._jitter.random())
            if failures >= policy.attempts or wait > policy.patience:
                ends = f"gave up after {failures} attempts"
                if wait > policy.patience:
                    ends = f"the service asks to wait {until(self._run.clock(), wait)}"
                raise NetworkError(f"{reason.why}; {ends}", where=self.name, todo="run the same command again later")
            self._run.on_event(FileWaiting(self.name, wait, reason.why))
            self._run.pause(wait)

    def _turn(self) -> None:
        self._run.turn()
        self.requests += 1

    def _ask(self, start: int, stop: int) -> bytes:
        """Send one request, and read what was asked for."""
        try:
            answer = self._run.service.get(self._urls[0], start=start, stop=stop, turn=self._turn)
        except (HTTPError, OSError) as error:
            raise without_hope(error, self.name) or Again(describe(error)) from error
        try:
            self._judge(answer)
            return self._read(answer, self._length(answer, start, stop))
        finally:
            answer.close()  # a connection that was not read to its end cannot be reused

    def _judge(self, answer: BaseHTTPResponse) -> None:
        """Check that an answer is a range of the right file."""
        status, headers = answer.status, answer.headers
        verdict = judge_status(self._run, answer)
        if verdict is Verdict.OTHER_URL:
            self._other_url(f"the service answers {status}")
        if verdict is not Verdict.GOOD:
            raise refused(self.name, answer)
        found = check_etag(answer, self._md5, self.name)
        self.etag_md5 = found or self.etag_md5
        if status == 200:
            self._other_url("the service sent the file from its start")
            raise NetworkError(
                "the service does not send parts of this file; nothing of it was read",
                where=self.name,
                expected="206 Partial Content",
                found=f"{status} {answer.reason or ''}".rstrip(),
                todo="download the file to look into it: s2ct download",
            )
        if status == 416:
            total = content_range(headers.get("Content-Range")).total
            found_size = "an unknown size" if total is None else f"{total:,} bytes"
            raise self._lies("the service has no such bytes of this file", self._expected_size(), found_size)
        check_form(answer)

    def _length(self, answer: BaseHTTPResponse, start: int, stop: int) -> int:
        """How many bytes the answer should have, by its Content-Range."""
        text = answer.headers.get("Content-Range")
        part = content_range(text)
        if part.total is None or part.start is None or part.last is None:
            raise self._lies("the service does not say which bytes it sends", "a Content-Range", str(text))
        if self.size is not None and part.total != self.size:
            raise self._lies("the service has a file of another size", self._expected_size(), f"{part.total:,} bytes")
        stop = min(stop, part.total)
        if (part.start, part.last) != (start, stop - 1):
            raise self._lies(
                "the service sent other bytes than it was asked for",
                f"bytes {start:,} to {stop - 1:,}",
                f"bytes {part.start:,} to {part.last:,}",
            )
        stated = whole_number(answer.headers.get("Content-Length"))
        if stated is not None and stated > stop - start:
            raise self._more(stop - start, f"{stated:,} bytes")
        self.size = part.total
        return stop - start

    def _read(self, answer: BaseHTTPResponse, wanted: int) -> bytes:
        """Read exactly ``wanted`` bytes."""
        run, pieces, got = self._run, [], 0
        ends = time.monotonic() + REQUEST_SECONDS
        transfer = Transfer(self.name, answer, wanted, may_redial=False, have=lambda: got)
        run.watch.begin(transfer)
        try:
            while got < wanted:
                if run.stop.is_set():
                    raise Stopped
                try:
                    block = answer.read1(_BLOCK)
                except (HTTPError, OSError) as error:
                    if run.stop.is_set():
                        raise Stopped from error
                    raise Again(transfer.cut_because or describe(error)) from error
                transfer.add(len(block))
                self.bytes += len(block)
                got += len(block)
                pieces.append(block)
                if not block:
                    if run.stop.is_set():
                        raise Stopped
                    why = transfer.cut_because or f"the service sent {got:,} bytes of {wanted:,}"
                    raise Again(why)
                if got < wanted and time.monotonic() > ends:
                    raise Again(f"the service sent {got:,} bytes of {wanted:,} in {REQUEST_SECONDS:.0f} s")
        finally:
            run.watch.end(transfer)
        if got > wanted:
            raise self._more(wanted, f"at least {got:,} bytes")
        return b"".join(pieces)

    def _other_url(self, why: str) -> None:
        """Try the next URL, if there is one; this one is not used again."""
        if len(self._urls) > 1:
            del self._urls[0]
            raise Again(why, free=True)

    def _expected_size(self) -> str:
        return "a file that is not empty" if self.size is None else f"a file of {self.size:,} bytes"

    def _more(self, wanted: int, found: str) -> NetworkError:
        return self._lies("the service sent more bytes than it was asked for", f"{wanted:,} bytes", found)

    def _lies(self, what: str, expected: str, found: str) -> NetworkError:
        self._other_url(what)
        todo = "a proxy may change the answers; try another network, or download the file: s2ct download"
        return NetworkError(what, where=self.name, expected=expected, found=found, todo=todo)
