"""Brings the files of a record to a folder: what is there is kept, what is begun is continued, the rest is fetched.

The order that makes it safe to stop anywhere: the manifest is kept first; a file grows under a name of its own and gets
its name only when size and md5 fit; then its receipt is written. Running it again is the resume.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import MachineError, S2ctError, SomeFailed, from_os_error
from ..events import OnEvent, ignore, in_turn
from .api import record_id
from .budget import Budget
from .choice import FileChoice
from .events import FileDone, FileFailed, FileIdle, FilesPlanned, FileStarted
from .fetch import STOPPED, Fetch, FetchRun, Stopped
from .live import fetch_manifest, settle_manifest
from .local import Local, State, check_folder, survey
from .manifest import DEFAULT_RECORD, Manifest, RecordFile, read_lock
from .partial import Partial
from .policy import RetryPolicy
from .receipts import write_receipt
from .service import USER_AGENT, Service, service_url, token_from_environment
from .watch import Watch

WAKE_SECONDS = 0.2
STOP_SECONDS = 0.7  # for lanes to put their things away after Ctrl-C


@dataclass(frozen=True)
class Report:
    """What a download did: files fetched now, there before, failed, and left where it had to stop before their turn."""

    folder: Path
    record: str
    done: tuple[FileDone, ...]
    before: tuple[str, ...]
    failed: tuple[FileFailed, ...]
    left: tuple[str, ...]
    seconds: float


class FilesFailed(SomeFailed):
    """Some files could not be had; ``report`` tells all."""

    def __init__(self, report: Report) -> None:
        self.report = report
        n = len(report.failed) + len(report.left)
        total = n + len(report.done) + len(report.before)
        super().__init__(
            f"{n} of {total} files could not be had",
            {failure.exit_code for failure in report.failed},
            some_done=bool(report.done or report.before),
            where=str(report.folder),
            todo="run the same command again: what came so far is kept",
        )


def download(
    folder: str | os.PathLike[str],
    *,
    record: str = DEFAULT_RECORD,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    files: Iterable[str] = (),
    lanes: int = 3,
    paranoid: bool = False,
    base_url: str | None = None,
    user_agent: str | None = None,
    policy: RetryPolicy | None = None,
    budget: Budget | None = None,
    on_event: OnEvent = ignore,
) -> Report:
    """Bring files of a record to a folder, or go on with that.

    Parameters
    ----------
    folder : path-like
    record : str
        Id, DOI or URL of a Zenodo record.
    tiles, splits, files : iterable of str
        Only these; ``files`` are shell patterns of names.
    lanes : int
        Files fetched at the same time.
    paranoid : bool
        Read files again that were checked before.
    base_url : str, optional
        Root of the service; by default S2CT_ZENODO_URL, else https://zenodo.org.
    user_agent : str, optional
    policy, budget : optional
        Waits, attempts and the number of requests.
    on_event : callable
        Told of everything that happens, one call at a time, see :mod:`s2ct_convert.record.events`.

    Returns
    -------
    Report

    Raises
    ------
    FilesFailed
        If some could not be had; the others are there.
    Difference
        If the service describes the record otherwise than the lock.
    NetworkError, MachineError, WrongUsage

    Examples
    --------
    >>> import s2ct_convert
    >>> report = s2ct_convert.download("archives", tiles=["50SMG"], splits=["train"])  # doctest: +SKIP
    >>> [done.key for done in report.done]  # doctest: +SKIP
    ['train_50SMG_462.7z']
    """
    began, folder, record = time.monotonic(), Path(folder), record_id(record)
    policy, budget = policy or RetryPolicy(), budget or Budget()
    choice, tell = FileChoice.of(tiles, splits, files), in_turn(on_event)
    check_folder(folder)
    with open_lanes(
        record, base_url=base_url, user_agent=user_agent, policy=policy, budget=budget, on_event=tell
    ) as run:
        lock = read_lock(folder, record)
        wanted = choice.of_manifest(lock or ask_manifest(folder, run))
        found = survey(folder, wanted, paranoid=paranoid, on_event=tell)
        todo = [one for one in found if one.state is not State.OK]
        if todo and lock:
            ask_manifest(folder, run)
        before = tuple(one.file.key for one in found if one.state is State.OK)
        total, have = sum(one.file.size or 0 for one in todo), sum(one.have for one in todo)
        check_space(folder, total - have)
        tell(FilesPlanned(len(todo), total, have, len(before)))
        done, failed = _run_lanes(folder, run, todo, lanes)
    settled = {one.key for one in done} | {one.key for one in failed}
    left = tuple(one.file.key for one in todo if one.file.key not in settled)
    report = Report(folder, record, tuple(done), before, tuple(failed), left, time.monotonic() - began)
    if failed:
        raise FilesFailed(report)
    return report


@contextmanager
def open_lanes(
    record: str,
    *,
    base_url: str | None,
    user_agent: str | None,
    policy: RetryPolicy,
    budget: Budget,
    on_event: OnEvent,
) -> Iterator[FetchRun]:
    """What it takes to fetch files of a record: connections, a budget of requests, a watch on both."""
    with (
        Service(
            service_url(base_url),
            user_agent or USER_AGENT,
            token_from_environment(),
            connect=policy.connect,
            read=policy.stall + policy.connect,
        ) as service,
        Watch(policy, lambda transfer, idle: on_event(FileIdle(transfer.key, idle, transfer.have()))) as watch,
    ):
        yield FetchRun(service, record, policy, budget, watch, threading.Event(), on_event)


def ask_manifest(folder: Path, run: FetchRun) -> Manifest:
    """What the service says of the record, compared with the lock in the folder or kept as that."""
    live = fetch_manifest(run.service, run.record, run.policy, run.budget, run.on_event)
    return settle_manifest(folder, live, run.on_event)


def check_space(folder: Path, need: int) -> None:
    """See that there is room for so many bytes.

    Raises
    ------
    MachineError
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if need > free:
        raise MachineError(
            "there is not enough room for what is to be fetched",
            where=str(folder),
            expected=f"{need:,} bytes free",
            found=f"{free:,} bytes free",
            todo="free some space, choose another folder, or fetch less (--tile, --split, --file)",
        )


def _run_lanes(
    folder: Path, run: FetchRun, todo: Sequence[Local], lanes: int
) -> tuple[list[FileDone], list[FileFailed]]:
    """Threads that take files one after another: those begun before first, then the largest."""
    waiting: queue.SimpleQueue[RecordFile] = queue.SimpleQueue()
    for one in sorted(todo, key=lambda one: (one.state is not State.PARTIAL, -(one.file.size or 0))):
        waiting.put(one.file)
    done: list[FileDone] = []
    failed: list[FileFailed] = []
    bugs: list[BaseException] = []
    ended = threading.Semaphore(0)

    def lane() -> None:
        try:
            while not run.stop.is_set():
                try:
                    file = waiting.get_nowait()
                except queue.Empty:
                    return
                outcome = fetch_file(folder, run, file)
                if isinstance(outcome, FileDone):
                    done.append(outcome)
                elif outcome is not None:
                    failed.append(outcome)
                    if outcome.exit_code == MachineError.exit_code:
                        run.stop.set()  # a full disk would meet every other file too
        except BaseException as error:  # a thread's own end would be seen by nobody
            bugs.append(error)
            run.stop.set()
            run.watch.cut_all(STOPPED)
        finally:
            ended.release()

    # Daemons: one that waits for an answer does not keep the process when the user wants it to end.
    threads = [threading.Thread(target=lane, name=f"s2ct-lane-{i}", daemon=True) for i in range(min(lanes, len(todo)))]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            while not ended.acquire(timeout=WAKE_SECONDS):
                pass  # to see signals, also those that the system gave to another thread
        if bugs:  # a lane that dies must not look like one that has nothing to do
            raise bugs[0]
    except BaseException:
        run.stop.set()
        run.watch.cut_all(STOPPED)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in filter(threading.Thread.is_alive, threads):  # a signal may come before all are started
            thread.join(max(0.0, deadline - time.monotonic()))
        raise
    return done, failed


def fetch_file(folder: Path, run: FetchRun, file: RecordFile) -> FileDone | FileFailed | None:
    """One file; None if the run is being stopped."""
    began = time.monotonic()
    try:
        partial = Partial(folder / file.key, file, run.stop.is_set)
        try:
            run.on_event(FileStarted(file.key, partial.size, partial.have))
            fetch = Fetch(run, file, partial)
            fetch.run()
        finally:
            partial.close()
        write_receipt(folder, file.key, file.md5)
        outcome: FileDone | FileFailed = FileDone(file.key, partial.size, fetch.fetched, time.monotonic() - began)
    except (Stopped, KeyboardInterrupt):
        return None
    except S2ctError as error:
        outcome = FileFailed(file.key, error.exit_code, str(error))
    except OSError as error:
        known = from_os_error(error, str(folder / file.key))
        outcome = FileFailed(file.key, known.exit_code, str(known))
    run.on_event(outcome)
    return outcome
