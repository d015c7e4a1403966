"""Runs units on the workers of a Dask scheduler: a future per unit, one unit per worker at a time.

The ledger on the shared file system, or in the bucket, records what is done, not the scheduler. When a worker is lost,
its unit is looked up there before it goes to another worker. Retries by the scheduler are off: it would run a unit
again that a lost worker had finished. The callback gets the same events as from the other engines.
"""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EXIT_INCOMPLETE, NetworkError
from ..events import Message, OnEvent
from ..objects.remote import AnyFile, absolute
from ..objects.scratch import address_of
from ..source.find import Source
from ..units.entries import UnitEntry
from ..units.events import UnitDone, UnitFailed, UnitProgress, UnitSending
from ..units.ledger import Ledger
from ..units.unit import UnitTask
from .dask_cluster import Cluster
from .dask_crew import Crew, Worker, WorkerMessage, gathered
from .dask_worker import made_entry, make_and_report
from .worker import started

RETRIES = 2  # of a unit whose worker died
RELEASES = 20  # of a unit whose worker was closed; more often means that workers do not live long enough for it
STOP_SECONDS = 15.0  # for running units to clean up when the client stops


def look_at(cluster: Cluster, store: Path, sources: Sequence[Source]) -> None:
    """Check that a cluster can run a conversion. Changes nothing.

    Raises
    ------
    NetworkError, WrongUsage, MachineError
    """
    with gathered(cluster, store, sources):
        pass


def run_dask(tasks: Sequence[UnitTask], cluster: Cluster, on_event: OnEvent) -> None:
    """Make units on the workers of a cluster. Leaving (by an exception) stops those that run.

    Raises
    ------
    NetworkError
        If the scheduler cannot be reached, or the connection is lost. Running units then stop by themselves; finished
        units stay.
    WrongUsage, MachineError
        If a worker that is present at the start cannot be used.
    Incomplete
        If all workers are lost and no new one comes.
    """
    if not tasks:
        return
    with gathered(cluster, tasks[0].store, [task.source for task in tasks]) as crew:
        run = _Run(crew, [_absolute(task) for task in tasks], on_event)
        try:
            run.run()
        except NetworkError:
            raise  # the scheduler is gone; workers without a scheduler stop
        except BaseException:
            run.stop()
            raise


def _absolute(task: UnitTask) -> UnitTask:
    """The task with absolute paths, for a process in another working directory."""
    more = tuple(dataclasses.replace(part, path=_absolute_file(part.path)) for part in task.source.more)
    source = dataclasses.replace(task.source, path=_absolute_file(task.source.path), more=more)
    store = Path(os.path.abspath(task.store))  # noqa: PTH100
    return dataclasses.replace(task, store=store, source=source, address=address_of(task.store))


def _absolute_file(file: AnyFile) -> AnyFile:
    return Path(absolute(file)) if isinstance(file, Path) else file


@dataclass
class _Attempt:
    """A unit on a worker."""

    task: UnitTask
    worker: Worker
    future: Any
    started: bool = False
    read: int = 0

    @property
    def unit(self) -> str:
        return str(self.task.source.unit)


class _Run:
    def __init__(self, crew: Crew, tasks: Sequence[UnitTask], on_event: OnEvent) -> None:
        self._crew, self._on_event = crew, on_event
        self._store, self._ledger = tasks[0].store, Ledger(tasks[0].store)
        self._waiting = list(reversed(tasks))
        self._running: dict[str, _Attempt] = {}
        self._reported: dict[str, int] = {}  # bytes reported as read, by unit reported as started
        self._died: dict[str, list[str]] = {}  # addresses of the workers that died, by unit
        self._released: Counter[str] = Counter()
        self._refused: set[str] = set()

    def run(self) -> None:
        idle_since: float | None = None
        while self._waiting or self._running:
            self._assign()
            message = self._crew.hear(1.0)
            if message is not None:
                self._hear(message)
            self._look_after_workers()
            if any(worker.usable for worker in self._crew.workers.values()) or self._running:
                idle_since = None
            elif idle_since is None:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > self._crew.cluster.timeout and self._waiting:
                raise self._crew.none_left(len(self._waiting))

    def _assign(self) -> None:
        """Give each idle worker the next unit."""
        busy = {id(attempt.worker) for attempt in self._running.values()}
        for worker in self._crew.workers.values():
            if worker.usable and id(worker) not in busy and self._waiting:
                task = dataclasses.replace(self._waiting.pop(), threads=max(1, worker.threads))
                key = f"s2ct-{task.source.unit.key}-{uuid.uuid4().hex}"
                future = self._crew.submit(key, worker.address, make_and_report, task, self._crew.topic)
                self._running[key] = _Attempt(task, worker, future)
                future.add_done_callback(lambda _, key=key: self._crew.messages.put({"kind": "over", "key": key}))

    def _hear(self, message: WorkerMessage) -> None:
        attempt = self._running.get(message["key"])
        if attempt is None:
            return  # of an attempt that was given up
        match message["kind"]:
            case "started":
                attempt.started, attempt.read = True, 0
                if attempt.unit not in self._reported:
                    self._started(attempt)
            case "progress":
                attempt.read += message["bytes"]
                self._progress(attempt)
            case "sending":
                self._on_event(UnitSending(attempt.unit, message["sent"], message["bytes"]))
            case "note":
                self._on_event(Message(f"{attempt.unit}: {message['text']} (on {attempt.worker.address})"))
            case "done":
                self._end(message["key"], UnitDone(UnitEntry.from_values(message["entry"]), message["made"]))
            case "failed":
                self._end(message["key"], UnitFailed(**message["failure"]))
            case "stopped":
                self._lost(message["key"], "is closing", died=False)
            case "over":
                self._over(message["key"], attempt)

    def _started(self, attempt: _Attempt) -> None:
        self._reported[attempt.unit] = 0
        self._on_event(started(attempt.task))

    def _progress(self, attempt: _Attempt) -> None:
        """Report the bytes that exceed those of earlier attempts."""
        fresh = attempt.read - self._reported[attempt.unit]
        if fresh > 0:
            self._reported[attempt.unit] += fresh
            self._on_event(UnitProgress(attempt.unit, fresh))

    def _over(self, key: str, attempt: _Attempt) -> None:
        """The future has ended without an outcome."""
        if self._crew.client.status != "running":
            raise self._crew.lost()
        error = attempt.future.exception() if attempt.future.status == "error" else None
        if error is None or type(error).__name__ == "KilledWorker":
            self._lost(key, "was lost", died=True)
            return
        message = f"{attempt.task.source.where}: {type(error).__name__}: {error}\n  where:    {attempt.worker.address}"
        todo = "this is a bug of s2ct; please report it"
        failure = UnitFailed(attempt.unit, str(attempt.task.source.path), 1, f"{message}\n  to do:    {todo}", bug=True)
        self._end(key, failure)

    def _look_after_workers(self) -> None:
        for key, attempt in list(self._running.items()):
            there = self._crew.workers.get(attempt.worker.address)
            if there is not attempt.worker:
                self._lost(key, "was lost", died=attempt.worker.running)
            elif not there.running and not attempt.started:
                self._lost(key, "is paused or closing", died=False)
        for worker in self._crew.workers.values():
            if worker.fault is not None and worker.address not in self._refused:
                self._refused.add(worker.address)
                text = f"new worker {worker.address} is not used: {worker.fault.what} ({worker.fault.found})"
                self._on_event(Message(text))

    def _lost(self, key: str, how: str, *, died: bool) -> None:
        """An attempt will not finish: its unit is done in spite of that, is retried on another worker, or fails."""
        attempt = self._running[key]
        task, unit = attempt.task, attempt.unit
        entry = made_entry(task)
        if entry is not None and entry != task.replaces:  # written during this run
            self._end(key, UnitDone(entry))
            return
        if died:
            self._ledger.unit_lease(task.source.unit).break_it()
            self._died.setdefault(unit, []).append(attempt.worker.address)
        else:
            self._released[unit] += attempt.started
        times = len(self._died.get(unit, ()))
        if times > RETRIES or self._released[unit] > RELEASES:
            self._end(key, self._given_up(attempt))
            return
        if attempt.started or died:
            self._on_event(Message(f"{unit}: its worker {attempt.worker.address} {how}; making the unit again"))
        self._release(key)
        self._waiting.append(task)

    def _given_up(self, attempt: _Attempt) -> UnitFailed:
        where, died = attempt.task.source.where, self._died.get(attempt.unit, [])
        if len(died) > RETRIES:
            message = (
                f"{where}: {len(died)} workers died while they made this unit: {', '.join(died)}\n"
                "  to do:    if they ran out of memory, start workers with more; "
                "then run the same command again"
            )
        else:
            message = (
                f"{where}: {self._released[attempt.unit]} workers were closed while they made this unit, "
                f"the last was {attempt.worker.address}\n"
                "  to do:    give workers more time than a unit takes (--lifetime, time limit of the jobs)"
            )
        return UnitFailed(attempt.unit, str(attempt.task.source.path), EXIT_INCOMPLETE, message)

    def _end(self, key: str, outcome: UnitDone | UnitFailed) -> None:
        attempt = self._running[key]
        if attempt.unit not in self._reported:
            self._started(attempt)
        if isinstance(outcome, UnitDone):
            attempt.read = outcome.entry.source_bytes
            self._progress(attempt)
        self._release(key)
        self._on_event(outcome)
        if isinstance(outcome, UnitFailed) and outcome.stops_the_run:
            self._waiting.clear()

    def _release(self, key: str) -> None:
        """Release the future: the scheduler forgets it, and its worker stops."""
        self._running.pop(key).future.release()

    def stop(self) -> None:
        """Cancel all units, and wait up to ``STOP_SECONDS`` until the started ones have cleaned up."""
        at_work = {key: attempt for key, attempt in self._running.items() if attempt.started}
        for key in list(self._running):
            self._release(key)
        end = time.monotonic() + STOP_SECONDS
        try:
            while at_work and time.monotonic() < end:
                message = self._crew.hear(end - time.monotonic())
                if message is not None and message["kind"] in ("done", "failed", "stopped"):
                    at_work.pop(message["key"], None)
                for key, attempt in list(at_work.items()):
                    if self._crew.workers.get(attempt.worker.address) is not attempt.worker:
                        del at_work[key]
        except NetworkError:
            return  # workers that have no scheduler stop by themselves
        for attempt in at_work.values():
            where = f"still running on {attempt.worker.address}"
            self._on_event(Message(f"{attempt.unit}: {where}; it stops when its file system responds"))
