"""What a Dask worker does for a conversion: look whether it can take part, and make units.

Everything it has to say goes to the client as events of one topic, a JSON each; the future of a unit only says that
it is over. So nothing has to be fetched from a worker that may be gone by then, and what is no plain number or text
never travels. Dask's own modules are loaded by the worker; this one needs them only once it runs there.
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
from typing import Any

from ..errors import from_os_error
from ..events import Event, Message
from ..units.entries import UnitEntry
from ..units.events import UnitDone, UnitFailed, UnitProgress, UnitStarted
from ..units.ledger import Ledger
from ..units.resume import Candidate, judge
from ..units.unit import UnitTask
from ..version import __version__
from .worker import make_unit

SAY_SECONDS = 0.5  # between two words about progress
COMPARED = ("zarr", "numcodecs", "h5py", "numpy")
_AT_WORK = ("running", "paused", "closing_gracefully")

Say = Callable[..., None]


class _Unwanted(BaseException):
    """Nobody waits for this unit any more; no Exception, so that no decoder takes it for damage."""


def versions() -> dict[str, str]:
    """What must be the same wherever units of one store are made."""
    major, minor, _ = platform.python_version_tuple()
    packages = {name: metadata.version(name) for name in COMPARED}
    return {"python": f"{major}.{minor}", "s2ct_convert": __version__, **packages}


def look_around(question: str) -> None:
    """Tell the versions here, and whether the files of the client are here too.

    ``question`` is JSON: ``topic``; ``nonce``, the path of a file and its content; ``folder``, where the store is to
    be; ``sources``, pairs of path and size.
    """
    from distributed import get_worker

    asked, worker = json.loads(question), get_worker()
    unseen = list(_unseen(asked))
    answer = {"kind": "looked", "worker": worker.address, "versions": versions(), "unseen": unseen}
    worker.log_event(asked["topic"], json.dumps(answer))


def _unseen(asked: dict[str, Any]) -> Iterator[str]:
    path, content = asked["nonce"]
    try:
        with open(path, encoding="ascii") as file:
            found = file.read()
        if found != content:
            yield f"{path}: has another content than the client wrote"
        elif not os.access(asked["folder"], os.W_OK):
            yield f"{asked['folder']}: cannot be written to"
    except OSError as error:
        yield str(from_os_error(error, path)).splitlines()[0]
    for path, size in asked["sources"]:
        try:
            found_size = os.stat(path).st_size  # noqa: PTH116
        except OSError as error:
            yield str(from_os_error(error, path)).splitlines()[0]
        else:
            if found_size != size:
                yield f"{path}: {found_size:,} bytes, the client sees {size:,}"


def make_and_report(task: UnitTask, topic: str) -> None:
    """Make one unit as every engine does. Stops early, leaving nothing, if the client or the worker is going."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def say(kind: str, **told: object) -> None:
        worker.log_event(topic, json.dumps({"kind": kind, "key": key, **told}))

    def check() -> None:
        if not _is_wanted(worker, key):
            raise _Unwanted

    reporter, ledger = _Reporter(say), Ledger(task.store)
    try:
        check()
        with _logs_told(say):
            outcome = make_unit(task, reporter, check)
    except _Unwanted:
        say("stopped")
        return
    finally:
        with suppress(OSError):  # other workers of this machine may be at it too
            ledger.clean()  # what one left that was killed: the client may be unable to tell that it is dead
    reporter.flush()
    if isinstance(outcome, UnitFailed) and (entry := _made_by_another(task)):
        outcome = UnitDone(entry, made=False)
    if isinstance(outcome, UnitDone):
        say("done", entry=dataclasses.asdict(outcome.entry), made=outcome.made)
    else:
        say("failed", failure=dataclasses.asdict(outcome))


def _made_by_another(task: UnitTask) -> UnitEntry | None:
    """The entry of a unit that two workers made, one of them given up by the scheduler though it lived."""
    entry = Ledger(task.store).entry(task.source.unit)
    if entry is None or entry == task.replaces:
        return None
    return judge(entry, Candidate.of(task.source), task.source.where).done


def _is_wanted(worker: Any, key: str) -> bool:
    """False once the client has cancelled the unit or is gone, or the worker is closing or has lost its scheduler.

    Dask cannot interrupt a thread. It notes in its table of tasks that nobody wants the result of one that runs.
    """
    task = worker.state.tasks.get(key)
    return worker.status.name in _AT_WORK and task is not None and task.state in ("executing", "long-running")


class _Reporter:
    """Tells of the start, and of bytes read now and then: every MiB of 72 workers would keep a scheduler busy."""

    def __init__(self, say: Say) -> None:
        self._say, self._bytes, self._said = say, 0, time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, UnitStarted):
            self._say("started")
        elif isinstance(event, Message):
            self._say("note", text=event.text)
        elif isinstance(event, UnitProgress):
            with self._lock:
                self._bytes += event.bytes
            if time.monotonic() - self._said >= SAY_SECONDS:
                self.flush()

    def flush(self) -> None:
        with self._lock:
            n, self._bytes, self._said = self._bytes, 0, time.monotonic()
        if n:
            self._say("progress", bytes=n)


class _Forward(logging.Handler):
    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say("note", text=record.getMessage().strip().splitlines()[0])


@contextmanager
def _logs_told(say: Say) -> Iterator[None]:
    """Warnings and log lines reach the client too. A worker makes one unit at a time, so all of them are of it."""
    handler = _Forward(say)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        logging.captureWarnings(False)
