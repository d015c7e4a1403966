"""Runs units: in this process, or each in a process of its own, as many at a time as there are jobs.

A process per unit rather than a pool of long-lived ones: a unit takes minutes, starting a process half a second,
and so memory goes back to the system between units and a worker that is killed takes exactly its own unit with it.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

from ..errors import EXIT_INCOMPLETE, EXIT_MACHINE, S2ctError, from_os_error
from .events import OnEvent, UnitDone, UnitFailed, UnitProgress, UnitStarted
from .unit import UnitTask, convert_unit

PROGRESS_BYTES = 1 << 20  # a progress event per MiB read
STOP_SECONDS = 5  # for a worker to put its things away before it is killed


def run_here(tasks: Sequence[UnitTask], on_event: OnEvent) -> None:
    """Make units one after another in this process."""
    for task in tasks:
        outcome = _make(task, on_event)
        on_event(outcome)
        if _stops_the_run(outcome):
            return


def run_processes(tasks: Sequence[UnitTask], jobs: int, on_event: OnEvent) -> None:
    """Make units in processes, ``jobs`` at a time. Leaving (by an exception) kills those that run."""
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    running: dict[Connection, tuple[SpawnProcess, UnitTask]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_worker, args=(task, sender), daemon=False)
                _start(process)
                sender.close()
                running[receiver] = (process, task)
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                process, task = running[ready]
                try:
                    event = ready.recv()
                except EOFError:
                    process.join()
                    del running[ready]
                    on_event(_died(task, process.exitcode))
                    continue
                on_event(event)
                if isinstance(event, UnitDone | UnitFailed):
                    process.join()
                    ready.close()
                    del running[ready]
                    if _stops_the_run(event):
                        waiting.clear()
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join(STOP_SECONDS)
            process.kill()


def _start(process: SpawnProcess) -> None:
    """Start a worker that Ctrl-C does not reach: until it can say so itself, it inherits that from this thread."""
    resource_tracker.ensure_running()  # or the start does it, and lifts what is blocked here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _worker(task: UnitTask, sender: Connection[Any, Any]) -> None:
    """Body of a worker process. Ctrl-C reaches the whole terminal; only the parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    sender.send(_make(task, sender.send))


def _stop(signum: int, frame: FrameType | None) -> None:
    """Leave through every ``finally``, so that nothing unfinished stays behind; once: the parent may ask again."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signum)


def _make(task: UnitTask, on_event: OnEvent, check: Callable[[], None] = lambda: None) -> UnitDone | UnitFailed:
    """Make a unit; ``check`` is called often and may raise what is no Exception to stop it."""
    unit, source = str(task.source.unit), str(task.source.path)
    on_event(UnitStarted(unit, task.source.where))
    read = 0

    def on_bytes(n: int) -> None:
        nonlocal read
        check()
        read += n
        if read >= PROGRESS_BYTES:
            on_event(UnitProgress(unit, read))
            read = 0

    def failed(exit_code: int, message: str, *, bug: bool = False) -> UnitFailed:
        return UnitFailed(unit, source, exit_code, message, bug, traceback.format_exc())

    try:
        record = convert_unit(task, on_bytes)
    except S2ctError as error:
        return failed(error.exit_code, str(error))
    except OSError as error:
        known = from_os_error(error, str(task.store))
        return failed(known.exit_code, str(known))
    except MemoryError:
        return failed(EXIT_MACHINE, f"{source}: memory ran out\n  to do:    use fewer jobs (-j)")
    except Exception as error:
        todo = "this is a bug of s2ct; please report it"
        return failed(1, f"{source}: {type(error).__name__}: {error}\n  to do:    {todo}", bug=True)
    on_event(UnitProgress(unit, read))
    return UnitDone(record)


def _stops_the_run(event: UnitDone | UnitFailed) -> bool:
    """A full disk or a lost permission would meet every other unit too."""
    return isinstance(event, UnitFailed) and event.exit_code == EXIT_MACHINE


def _died(task: UnitTask, exitcode: int | None) -> UnitFailed:
    by = signal.Signals(-exitcode).name if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"
    message = (
        f"{task.source.where}: the worker process died ({by})\n"
        "  to do:    if it was killed for its memory, use fewer jobs (-j); then run the same command again"
    )
    return UnitFailed(str(task.source.unit), str(task.source.path), EXIT_INCOMPLETE, message)
