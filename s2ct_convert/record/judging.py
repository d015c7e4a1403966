"""What every answer with bytes of a file has to pass, whether the whole file was requested or a part."""

from __future__ import annotations

from urllib3.response import BaseHTTPResponse

from ..errors import Difference
from .answers import body_of
from .policy import Verdict, asked_wait, etag_md5, judge, page_says
from .run import FetchRun


class FileChanged(Difference):
    """The file at the service differs from the manifest."""


class Again(Exception):
    """Retry the request. ``wait``: seconds the service asks to wait. ``free``: this does not count as a failure."""

    def __init__(self, why: str, *, wait: float | None = None, free: bool = False) -> None:
        super().__init__(why)
        self.why, self.wait, self.free = why, wait, free


def judge_status(run: FetchRun, answer: BaseHTTPResponse) -> Verdict:
    """The verdict on the status. Notes the limits that the service states.

    Raises
    ------
    Again
        If the service is busy or fails for now.
    """
    now, status = run.clock(), answer.status
    run.budget.observe(answer.headers, now)
    verdict = judge(status)
    if verdict is Verdict.RETRY:
        wait = asked_wait(status, answer.headers, now)
        if status == 429:  # for all lanes: the limit is per address
            run.budget.keep_quiet(min(wait if wait is not None else run.policy.backoff, run.policy.patience))
        raise Again(f"the service answers {status} {answer.reason or ''}".rstrip(), wait=wait)
    return verdict


def check_etag(answer: BaseHTTPResponse, md5: str | None, name: str) -> str | None:
    """The md5 in the ETag, if it has one. Raises FileChanged if it is not ``md5``."""
    found = etag_md5(answer.headers.get("ETag"))
    if found is not None and md5 is not None and found != md5:
        raise FileChanged(
            "the service has another file under this name",
            where=name,
            expected=f"md5 {md5}",
            found=f"md5 {found}",
            todo="the record was changed; compare it with s2ct list",
        )
    return found


def check_form(answer: BaseHTTPResponse) -> None:
    """Raise Again if the body is a web page, or in an encoding that was not requested."""
    if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Again(f"the service sent a web page instead of the file: {page_says(body_of(answer))}")
    if answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise Again("the service sent the file in a content encoding that was not requested")
