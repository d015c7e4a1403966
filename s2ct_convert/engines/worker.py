"""Makes one unit, for every engine. Progress is reported as events; a failure is a return value."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from ..archives.unpackers import Unpacker, ask_python_too, find_unpacker
from ..errors import (
    EXIT_MACHINE,
    ArchiveDamaged,
    DuplicateUnit,
    FolderSyncWarning,
    Incomplete,
    S2ctError,
    TFRecordDamaged,
    from_os_error,
)
from ..events import Message, OnEvent
from ..objects.failures import RequestLimit
from ..processes import peak_memory
from ..source.find import Source
from ..source.read import suited
from ..source.salvage import DAMAGE, count_salvageable
from ..units.entries import Failure
from ..units.events import UnitDone, UnitFailed, UnitProgress, UnitStarted
from ..units.ledger import Ledger
from ..units.resume import refusal
from ..units.salvage import NothingWhole
from ..units.unit import UnitTask, convert_unit

PROGRESS_BYTES = 4 << 20  # bytes read between two progress events


def make_unit(task: UnitTask, on_event: OnEvent, check: Callable[[], None] = lambda: None) -> UnitDone | UnitFailed:
    """Make a unit; a failure is recorded in the ledger. ``check`` is called often and may raise a BaseException."""
    unit, source = str(task.source.unit), str(task.source.path)
    on_event(started(task))
    read, lock = 0, threading.Lock()

    def on_bytes(n: int) -> None:
        nonlocal read
        check()
        with lock:  # several threads may unpack
            read += n
            due, read = (read, 0) if read >= PROGRESS_BYTES else (0, read)
        if due:
            on_event(UnitProgress(unit, due))

    def failed(exit_code: int, message: str, *, bug: bool = False, limited: bool = False) -> UnitFailed:
        failure = UnitFailed(unit, source, exit_code, message, bug, traceback.format_exc(), limited=limited)
        note_failure(task, failure, peak_memory())
        return failure

    try:
        done = _convert_any(task, on_bytes, on_event)
    except Incomplete as error:  # another process is making it: not a failure of the unit
        return UnitFailed(unit, source, error.exit_code, str(error))
    except DuplicateUnit as error:  # the unit is in the store
        return refusal(task.source.unit, source, error)
    except S2ctError as error:
        return failed(error.exit_code, str(error), limited=isinstance(error, RequestLimit))
    except OSError as error:
        known = from_os_error(error, str(task.store))
        return failed(known.exit_code, str(known))
    except MemoryError:
        return failed(EXIT_MACHINE, f"{source}: out of memory\n  to do:    use fewer jobs (-j)")
    except Exception as error:
        todo = "this is a bug of s2ct; please report it"
        return failed(1, f"{source}: {type(error).__name__}: {error}\n  to do:    {todo}", bug=True)
    on_event(UnitProgress(unit, read))
    return done


def started(task: UnitTask) -> UnitStarted:
    """The event at the start of a unit. A source that no longer exists has no size; making the unit reports that."""
    size = 0
    with suppress(OSError):
        size = task.source.size()
    return UnitStarted(str(task.source.unit), task.source.where, size)


def _convert_any(task: UnitTask, on_bytes: Callable[[int], None], on_event: OnEvent) -> UnitDone:
    """Make a unit from its source or one of its copies; with ``salvage``, from what is whole in a damaged one."""
    try:
        return _convert_whole(task, on_bytes, on_event)
    except DAMAGE as error:
        if not task.demands.salvage:
            raise
        on_event(Message(f"{task.source.where}: {error.what}; taking the examples that are whole"))
        try:
            salvaging = dataclasses.replace(task, source=_best(task), salvages=True)
            return convert_unit(salvaging, lambda n: on_bytes(0), on_event)  # its bytes were counted before
        except NothingWhole as nothing:
            raise type(error)(
                f"{error.what}; {nothing.what}", where=error.where, found=error.found, todo="fetch the source again"
            ) from None


def _best(task: UnitTask) -> Source:
    """Of a damaged source and its copies, the one with the most whole examples."""
    source = task.source
    if not source.copies:
        return source
    return max((source, *source.copies), key=lambda one: count_salvageable(one, dataset=task.options.dataset).examples)


def _convert_whole(task: UnitTask, on_bytes: Callable[[int], None], on_event: OnEvent) -> UnitDone:
    """Make a unit from its source or, if the source is damaged, from one of its copies."""
    for copy in task.source.copies:
        try:
            return _convert_one(task, on_bytes, on_event)
        except (ArchiveDamaged, TFRecordDamaged) as error:
            on_event(Message(f"{task.source.path}: {error.what}; reading its copy {copy.path} instead"))
            task = dataclasses.replace(task, source=copy)
    return _convert_one(task, on_bytes, on_event)


def _convert_one(task: UnitTask, on_bytes: Callable[[int], None], on_event: OnEvent) -> UnitDone:
    def convert(unpacker: Unpacker) -> UnitDone:
        own = task if unpacker is chosen else dataclasses.replace(task, unpacker=unpacker.name)
        return convert_unit(own, on_bytes, on_event)

    chosen = suited(find_unpacker(task.unpacker, task.bounds), task.source)
    return ask_python_too(convert, chosen, lambda text: on_event(Message(f"{task.source.path}: {text}")))


def note_failure(task: UnitTask, failure: UnitFailed, peak: int | None) -> None:
    """Write a failure into the ledger."""
    noted = Failure(failure.unit, failure.source, failure.exit_code, failure.message, socket.gethostname(), peak)
    with suppress(OSError):  # e.g. a full disk, which is the failure that is reported
        Ledger(task.store).write_failure(noted)


def work(
    task: UnitTask, sender: Connection[Any, Any], log: Connection[Any, Any], environment: Mapping[str, str]
) -> None:
    """Body of a worker process. It ignores Ctrl-C, which reaches the whole terminal: the parent stops its workers.

    ``environment`` is the environment of the parent; that of the server, which forked this process, may be older.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, _stop)
    os.dup2(log.fileno(), 2)  # warnings and output of libraries: the parent passes them on with the name of the unit
    log.close()
    warnings.simplefilter("ignore", FolderSyncWarning)  # the parent has written to the same folder, and said it once
    threading.Thread(target=_end_with_the_parent, name="s2ct-parent", daemon=True).start()
    sender.send(make_unit(task, sender.send))


def _stop(signum: int, frame: FrameType | None) -> None:
    """Exit through every ``finally``, so that nothing unfinished stays. A second SIGTERM is ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signum)


def _end_with_the_parent() -> None:
    """Stop when the parent dies: an orphan would hold its unit and block the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
