"""The current file list of the service, and its comparison with the lock and the bundled list."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from ..durable import parse_json
from ..errors import Difference, NetworkError
from ..events import Message, OnEvent
from .answers import describe, refused, without_hope
from .api import parse_record, record_url
from .bounds import SlowBody, read_body
from .events import FileWaiting
from .local import free_name
from .manifest import Manifest, lock_path, published, read_lock, write_lock
from .policy import Verdict, asked_wait, judge, until
from .receipts import READ_ONLY
from .run import FetchRun

_RECORD_BYTES = 16 << 20  # no description of a record is larger


def fetch_manifest(run: FetchRun) -> Manifest:
    """Fetch the file list of the record from the service.

    Raises
    ------
    NetworkError
        If the list cannot be fetched.
    BadManifest
        If the list is not valid.
    """
    service, record, policy = run.service, run.record, run.policy
    url, why, failures = record_url(service.base, record), "", 0
    while failures < policy.attempts:
        wait = None
        try:
            answer = service.get(url, accept="application/json", turn=run.turn)
            try:
                run.budget.observe(answer.headers, run.clock())
                verdict = judge(answer.status)
                if verdict is Verdict.GOOD:
                    return parse_record(record, _parse(read_body(answer, _RECORD_BYTES + 1, policy.answer)))
                if verdict is not Verdict.RETRY:
                    raise refused(f"record {record}", answer, what="record")
                wait = asked_wait(answer.status, answer.headers, run.clock())
                why = f"the service answers {answer.status} {answer.reason or ''}".rstrip()
            finally:
                answer.close()
        except (HTTPError, OSError) as error:
            if final := without_hope(error, url):
                raise final from error
            why = describe(error)
        except _NotJson as error:
            why = str(error)
        except SlowBody as error:
            why = error.what
        failures += 1
        wait = wait if wait is not None else policy.wait(failures, 0.5)
        if failures < policy.attempts:
            if wait > policy.patience:
                why += f"; it asks to wait {until(run.clock(), wait)}"
                break
            run.on_event(FileWaiting(f"record {record}", wait, why))
            run.pause(wait)
    raise NetworkError(
        f"the list of files cannot be fetched: {why}",
        where=url,
        todo="check the network and run the same command again; behind a proxy, set HTTPS_PROXY",
    )


class _NotJson(Exception):
    """The response is not a JSON document of a sensible size."""


def _parse(body: bytes) -> Any:
    if len(body) > _RECORD_BYTES:
        raise _NotJson(f"the response is larger than {_RECORD_BYTES:,} bytes")
    try:
        return parse_json(body)
    except ValueError as error:
        raise _NotJson("the response is not JSON") from error


def ask_manifest(folder: Path, run: FetchRun) -> Manifest:
    """Fetch the file list and pass it to :func:`settle_manifest`."""
    return settle_manifest(folder, fetch_manifest(run), run.on_event, accept=run.accept_record)


def settle_manifest(folder: Path, live: Manifest, on_event: OnEvent, *, accept: bool = False) -> Manifest:
    """Compare the file list with the lock. If there is no lock, compare it with the bundled list and write the lock.

    ``accept``: a list that differs becomes the lock. The lock before it keeps its content under another name.

    Raises
    ------
    Difference
        If they differ.
    """
    lock = read_lock(folder, live.record)
    if lock is not None and accept and lock.files != live.files:
        path = lock_path(folder, live.record)
        os.replace(path, kept := free_name(path.with_name(f"{path.name}.before")))
        on_event(Message(f"the list of files differs from {path.name}, which is kept as {kept.name}"))
    elif lock is not None:
        if lock.files != live.files:
            raise Difference(
                "the file list of the service differs from the lock",
                where=str(lock_path(folder, live.record)),
                found="; ".join(_changes(lock, live)[:5]),
                todo="if the change is right, use s2ct download --accept-record; this lock is kept too",
            )
        return lock
    if not accept:
        check_published(live)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = write_lock(folder, live)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        on_event(Message(f"{folder} is read-only: the list of files is not saved"))
    else:
        on_event(Message(f"the list of {len(live.files)} files is saved as {path.name}"))
    return live


def check_published(live: Manifest) -> None:
    """Compare the file list with the bundled list, by md5. A record that is not bundled is accepted.

    Raises
    ------
    Difference
        If they differ.
    """
    if (known := published(live.record)) and sorted(p.md5 for p in known) != sorted(file.md5 for file in live.files):
        missing = {p.md5 for p in known} - {file.md5 for file in live.files}
        raise Difference(
            "the file list of the service differs from the list that s2ct was made with",
            where=f"record {live.record}",
            expected=f"{len(known)} files with the md5 sums of the page of the record",
            found=f"{len(live.files)} files; {len(missing)} of those md5 sums are missing",
            todo="check the page of the record; if the change is right, use --accept-record",
        )


def _changes(lock: Manifest, live: Manifest) -> list[str]:
    before, now = {f.key: f for f in lock.files}, {f.key: f for f in live.files}
    gone = [f"{key} is gone" for key in before if key not in now]
    new = [f"{key} is new" for key in now if key not in before]
    other = [f"{key} has another md5 or size" for key in now if key in before and now[key] != before[key]]
    return gone + new + other
