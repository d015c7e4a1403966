"""Runs units on this machine: in this process, or each in its own process, up to ``jobs`` at a time.

There is one process per unit, not a pool of long-lived processes. So memory returns to the system between units, and a
killed worker loses only its own unit. Workers are forked from a server that has imported what they need, and that has
no threads and no open files of this process.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait

from ..errors import EXIT_INCOMPLETE, WrongUsage
from ..events import Event, OnEvent
from ..processes import EXIT_MAIN_AGAIN, WORKER, peak_memory
from ..threads import WAKE_SECONDS
from ..units.events import UnitDone, UnitFailed, UnitLog, UnitProgress, UnitRetried
from ..units.unit import PEAK_BYTES, UnitTask
from .server import start_server
from .worker import make_unit, note_failure, work

STOP_SECONDS = 5  # for a worker to clean up before it is killed
_LOG_BYTES = 1 << 16


def share(cores: int, units: int, memory: int | None = None) -> tuple[int, int]:
    """Units at a time, and threads of each. Cores go to units first, then to threads; memory limits the units."""
    jobs = max(1, min(cores, units))
    if memory is not None:
        jobs = max(1, min(jobs, memory // PEAK_BYTES))
    return jobs, max(1, cores // jobs)


def run_local(tasks: Sequence[UnitTask], concurrent: int, threads: int, on_event: OnEvent) -> None:
    """Make units on this machine: ``concurrent`` units at a time, with ``threads`` each."""
    tasks = [dataclasses.replace(task, threads=threads) for task in tasks]
    if concurrent == 1:
        run_here(tasks, on_event)
    else:
        run_processes(tasks, concurrent, on_event)


def run_here(tasks: Sequence[UnitTask], on_event: OnEvent) -> None:
    """Make units one after another in this process."""
    for task in tasks:
        outcome = make_unit(task, on_event)
        on_event(outcome)
        if isinstance(outcome, UnitFailed) and outcome.stops_the_run:
            return


def run_processes(tasks: Sequence[UnitTask], jobs: int, on_event: OnEvent) -> None:
    """Make units in processes, ``jobs`` at a time. An exception kills the running processes.

    If a worker is killed (SIGKILL, mostly because memory ran out), its unit is retried once at the end, with half as
    many jobs.

    Raises
    ------
    WrongUsage
        If the main script calls the conversion while a worker imports it.
    """
    start_server(tasks[0].options.format if tasks else None)
    waiting = deque(tasks)
    running: list[_Worker] = []
    retried: set[str] = set()
    stopped = False
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_Worker(waiting.popleft(), on_event))
            logs = {worker.log: worker for worker in running if worker.may_log}
            ready = wait([*(worker.events for worker in running), *logs], WAKE_SECONDS)
            for log in logs.keys() & ready:
                logs[log].read_log()
            for worker in [one for one in running if one.events in ready]:
                outcome = worker.read_event()
                if outcome is None:
                    continue
                running.remove(worker)
                if worker.was_killed and worker.unit not in retried and not stopped:
                    retried.add(worker.unit)
                    waiting.append(worker.task)
                    jobs = max(1, jobs // 2)
                    on_event(UnitRetried(worker.unit, worker.cause(), jobs, worker.bytes))
                    continue
                on_event(outcome)
                if isinstance(outcome, UnitFailed) and outcome.stops_the_run:
                    stopped = True
                    waiting.clear()
    finally:
        for worker in running:
            worker.process.terminate()
        for worker in running:
            worker.process.join(STOP_SECONDS)
            worker.process.kill()


class _Worker:
    """A process that makes a unit; its events and its log lines are passed on."""

    def __init__(self, task: UnitTask, on_event: OnEvent) -> None:
        self.task, self._on_event = task, on_event
        self.bytes = 0
        self.unit = str(task.source.unit)
        self._peak = 0
        self._line = b""
        self.may_log = True
        context = multiprocessing.get_context("forkserver")
        self.events, sender = context.Pipe(duplex=False)
        self.log, log = context.Pipe(duplex=False)
        given = (task, sender, log, dict(os.environ))
        self.process = context.Process(target=work, args=given, name=WORKER, daemon=False)
        self.process.start()
        sender.close()
        log.close()

    @property
    def was_killed(self) -> bool:
        return self.process.exitcode == -signal.SIGKILL

    def read_event(self) -> UnitDone | UnitFailed | None:
        """Pass on the next event; return the outcome once the unit is done, has failed, or its process has died."""
        self._peak = max(self._peak, (self.process.pid and peak_memory(self.process.pid)) or 0)
        try:
            event: Event = self.events.recv()
        except EOFError:
            self._end()
            if self.process.exitcode == EXIT_MAIN_AGAIN:
                raise _no_main_guard() from None
            return self._died()
        if isinstance(event, UnitDone | UnitFailed):
            self._end()
            return event
        if isinstance(event, UnitProgress):
            self.bytes += event.bytes
        self._on_event(event)
        return None

    def _end(self) -> None:
        while self.may_log and (self.log.poll() or self.process.is_alive()):
            # Do not read to the end: a program that the worker started may hold the pipe open. Do not wait for the
            # worker before reading: it may be blocked on a full pipe.
            if self.log in wait([self.log, self.process.sentinel]):
                self.read_log()
        self.process.join()
        if self._line:
            self._on_event(UnitLog(self.unit, self._line.decode(errors="backslashreplace")))
        self.events.close()
        self.log.close()

    def read_log(self) -> None:
        """Pass on the stderr of the worker, in whole lines."""
        data = os.read(self.log.fileno(), _LOG_BYTES)
        self.may_log = bool(data)
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._on_event(UnitLog(self.unit, line.decode(errors="backslashreplace")))

    def cause(self) -> str:
        """The cause of death: signal or exit code, and peak memory."""
        code = self.process.exitcode
        by = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        peak = f", peak memory {self._peak / 1e6:,.0f} MB" if self._peak else ""
        return f"the worker process died ({by}{peak})"

    def _died(self) -> UnitFailed:
        todo = "if memory ran out, use fewer jobs (-j) or --memory; then run the same command again"
        message = f"{self.task.source.where}: {self.cause()}\n  to do:    {todo}"
        failure = UnitFailed(self.unit, str(self.task.source.path), EXIT_INCOMPLETE, message)
        note_failure(self.task, failure, self._peak or None)
        return failure


def _no_main_guard() -> WrongUsage:
    path = getattr(sys.modules["__main__"], "__file__", None)
    return WrongUsage(
        "with several jobs, each worker process imports this script, and the script then starts the conversion again",
        where=str(path or ""),
        todo='put the code of the script under  if __name__ == "__main__":  or give jobs=1',
    )
