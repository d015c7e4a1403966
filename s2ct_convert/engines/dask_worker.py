"""The part of a conversion that runs on a Dask worker: check whether the worker is usable, and make units.

A worker sends its messages to the client as events of one topic, each as JSON; the future of a unit carries no result.
So the client fetches nothing from a worker that may be gone, and only plain numbers and text are sent. This module
imports Dask only when it runs on a worker.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import S2ctError, from_os_error
from ..events import Event, Message
from ..units.bucket_records import BucketRecords
from ..units.entries import UnitEntry
from ..units.events import UnitDone, UnitFailed, UnitProgress, UnitSending, UnitStarted
from ..units.ledger import Ledger
from ..units.resume import Candidate, judge
from ..units.unit import UnitTask, done_entry, open_container
from ..version import __version__
from .dask_bucket import on_this_host, reach
from .worker import make_unit

SEND_SECONDS = 0.5  # between two progress messages
COMPARED = ("zarr", "numcodecs", "h5py", "numpy")
_AT_WORK = ("running", "paused", "closing_gracefully")

Send = Callable[..., None]


class _Unwanted(BaseException):
    """The unit is not wanted any more. Not an Exception, so that a decoder does not mistake it for damage."""


def versions() -> dict[str, str]:
    """The versions that must be the same on all workers of a store."""
    major, minor, _ = platform.python_version_tuple()
    packages = {name: metadata.version(name) for name in COMPARED}
    return {"python": f"{major}.{minor}", "s2ct_convert": __version__, **packages}


def look_around(question: str) -> None:
    """Send the versions of this worker, and the files of the client that it does not see.

    ``question`` is JSON: ``topic``; ``bucket``, the address of a store that must be readable, or, if it is empty,
    ``nonce``, the path of a file and its content, and ``folder``, which must be writable; ``sources``, pairs of path
    and size.
    """
    from distributed import get_worker

    asked, worker = json.loads(question), get_worker()
    unseen = list(_unseen(asked))
    answer = {"kind": "looked", "worker": worker.address, "versions": versions(), "unseen": unseen}
    worker.log_event(asked["topic"], json.dumps(answer))


def _unseen(asked: dict[str, Any]) -> Iterator[str]:
    if asked["bucket"]:
        if why := reach(asked["bucket"]):
            yield why.splitlines()[0]
    else:
        yield from _unseen_store(asked)
    for path, size in asked["sources"]:
        try:
            found_size = os.stat(path).st_size  # noqa: PTH116
        except OSError as error:
            yield str(from_os_error(error, path)).splitlines()[0]
        else:
            if found_size != size:
                yield f"{path}: {found_size:,} bytes, the client sees {size:,}"


def _unseen_store(asked: dict[str, Any]) -> Iterator[str]:
    path, content = asked["nonce"]
    try:
        with open(path, encoding="ascii") as file:
            found = file.read()
        if found != content:
            yield f"{path}: the content is not what the client wrote"
        elif not os.access(asked["folder"], os.W_OK):
            yield f"{asked['folder']}: not writable"
    except OSError as error:
        yield str(from_os_error(error, path)).splitlines()[0]


def make_and_report(task: UnitTask, topic: str) -> None:
    """Make one unit and report it to the client. Stops and leaves nothing if the client or the worker is closing."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def send(kind: str, **fields: object) -> None:
        worker.log_event(topic, json.dumps({"kind": kind, "key": key, **fields}))

    def check() -> None:
        if not _is_wanted(worker, key):
            raise _Unwanted

    reporter = _Reporter(send)
    try:
        check()
        with _forwarded_logs(send), on_this_host(task, Path(worker.local_directory)) as own:
            try:
                outcome = make_unit(own, reporter, check)
            finally:
                with suppress(OSError):  # other workers on this host may clean at the same time
                    Ledger(own.store).clean()  # leftovers of killed workers on this host; the client may not know them
    except _Unwanted:
        send("stopped")
        return
    except S2ctError as error:  # the bucket cannot be read
        outcome = UnitFailed(str(task.source.unit), str(task.source.path), error.exit_code, str(error))
    reporter.flush()
    if isinstance(outcome, UnitFailed) and (entry := _made_by_another(task)):
        outcome = UnitDone(entry, made=False)
    if isinstance(outcome, UnitDone):
        send("done", entry=dataclasses.asdict(outcome.entry), made=outcome.made)
    else:
        send("failed", failure=dataclasses.asdict(outcome))


def _made_by_another(task: UnitTask) -> UnitEntry | None:
    """The entry of this unit if another worker has made it, after the scheduler gave up this one too early."""
    entry = made_entry(task)
    if entry is None or entry == task.replaces:
        return None
    return judge(entry, Candidate.of(task.source), task.source.where).done


def made_entry(task: UnitTask) -> UnitEntry | None:
    """The entry of the unit in its store, if it is done."""
    if task.address:
        return BucketRecords(task.address).entry(task.source.unit)
    return done_entry(open_container(task.store, task.options), Ledger(task.store), task.source.unit)


def _is_wanted(worker: Any, key: str) -> bool:
    """False once the client has cancelled the unit or is gone, or the worker is closing or has lost its scheduler.

    Dask cannot interrupt a thread. Its table of tasks shows whether the result of a running task is still wanted.
    """
    task = worker.state.tasks.get(key)
    return worker.status.name in _AT_WORK and task is not None and task.state in ("executing", "long-running")


class _Reporter:
    """Sends the start, messages and progress to the client.

    Progress is sent every ``SEND_SECONDS``: a message per MiB from 72 workers would overload a scheduler.
    """

    def __init__(self, send: Send) -> None:
        self._send, self._bytes, self._sent, self._told = send, 0, time.monotonic(), 0.0
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, UnitStarted):
            self._send("started")
        elif isinstance(event, Message):
            self._send("note", text=event.text)
        elif isinstance(event, UnitSending):
            if event.sent in (0, event.bytes) or time.monotonic() - self._told >= SEND_SECONDS:
                self._told = time.monotonic()
                self._send("sending", sent=event.sent, bytes=event.bytes)
        elif isinstance(event, UnitProgress):
            with self._lock:
                self._bytes += event.bytes
            if time.monotonic() - self._sent >= SEND_SECONDS:
                self.flush()

    def flush(self) -> None:
        with self._lock:
            n, self._bytes, self._sent = self._bytes, 0, time.monotonic()
        if n:
            self._send("progress", bytes=n)


class _Forward(logging.Handler):
    def __init__(self, send: Send) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send("note", text=record.getMessage().strip().splitlines()[0])


@contextmanager
def _forwarded_logs(send: Send) -> Iterator[None]:
    """Send warnings and log lines to the client. A worker makes one unit at a time, so all of them belong to it."""
    handler = _Forward(send)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        logging.captureWarnings(False)
