"""Download the files of a record to a folder: keep whole files, resume partial files, fetch the others.

It is safe to stop at any time. First the manifest is written as the lock. A file grows as a partial file and gets its
name only when size and md5 match. Then its receipt is written. Running the download again resumes it.
"""

from __future__ import annotations

import os
import queue
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from ..errors import Incomplete, MachineError, S2ctError, SomeFailed, from_os_error
from ..events import OnEvent, ignore
from ..paths import check_outside_stores
from .api import record_id
from .choice import FileChoice
from .events import FileDone, FileFailed, FilesPlanned, FileStarted
from .fetch import Fetch
from .lanes import run_lanes
from .live import ask_manifest
from .local import Local, State, check_folder, survey
from .manifest import DEFAULT_RECORD, RecordFile, read_lock
from .others import has_control_file
from .partial import Partial
from .receipts import write_receipt
from .run import FetchRun, LaneOptions, Stopped, open_run


@dataclass(frozen=True)
class Report:
    """Result of a download.

    Attributes
    ----------
    folder : Path
    record : str
        Id of the record.
    done : tuple of FileDone
        Files fetched now.
    before : tuple of str
        Names of files that were complete before.
    failed : tuple of FileFailed
        Files that could not be downloaded, with the reason.
    left : tuple of str
        Names of files that were not tried, because the download had to stop.
    seconds : float
        Duration.
    """

    folder: Path
    record: str
    done: tuple[FileDone, ...]
    before: tuple[str, ...]
    failed: tuple[FileFailed, ...]
    left: tuple[str, ...]
    seconds: float


class FilesFailed(SomeFailed):
    """Some files could not be downloaded.

    Attributes
    ----------
    report : Report
        The result: files that were downloaded, and files that failed.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        n = len(report.failed) + len(report.left)
        total = n + len(report.done) + len(report.before)
        super().__init__(
            f"{n} of {total} files could not be downloaded",
            {failure.exit_code for failure in report.failed},
            some_done=bool(report.done or report.before),
            where=str(report.folder),
            todo="run the same command again to resume",
        )


def download(
    folder: str | os.PathLike[str],
    *,
    record: str = DEFAULT_RECORD,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    files: Iterable[str] = (),
    jobs: int = 3,
    paranoid: bool = False,
    on_event: OnEvent = ignore,
    **lanes: Unpack[LaneOptions],
) -> Report:
    """Download files of a record, as :func:`s2ct_convert.download`, which says how damaged files are mended."""
    began, folder, record = time.monotonic(), Path(folder), record_id(record)
    choice = FileChoice.of(tiles, splits, files)
    check_folder(folder)
    check_outside_stores(folder, "a download")
    with open_run(record, on_event=on_event, **lanes) as run:
        todo, before = _look(folder, run, choice, paranoid=paranoid)
        busy = [_left_alone(folder, one.file.key) for one in todo if one.state is State.BUSY]
        for failure in busy:
            run.on_event(failure)
        done, failed = _run_lanes(folder, run, [one for one in todo if one.state is not State.BUSY], jobs)
        failed += busy
    settled = {one.key for one in done} | {one.key for one in failed}
    left = tuple(one.file.key for one in todo if one.file.key not in settled)
    report = Report(folder, record, tuple(done), before, tuple(failed), left, time.monotonic() - began)
    if failed:
        raise FilesFailed(report)
    return report


def _look(folder: Path, run: FetchRun, choice: FileChoice, *, paranoid: bool) -> tuple[list[Local], tuple[str, ...]]:
    """Files to fetch, and the names of files that are complete."""
    lock = read_lock(folder, run.record)
    lock = None if run.accept_record else lock  # then the service is asked first
    wanted = choice.of_manifest(lock or ask_manifest(folder, run))
    found = survey(folder, wanted, paranoid=paranoid, repair=run.mending.existing, on_event=run.on_event)
    todo = [one for one in found if one.state is not State.OK]
    if todo and lock:
        ask_manifest(folder, run)
    before = tuple(one.file.key for one in found if one.state is State.OK)
    sizes = [(one.file.size or 0, one.have) for one in todo if one.state is not State.BUSY]
    total, have = sum(size for size, _ in sizes), sum(map(min, sizes))  # a wrong file may be too large
    check_space(folder, total - have)
    run.on_event(FilesPlanned(len(todo), total, have, len(before)))
    return todo, before


def _left_alone(folder: Path, key: str) -> FileFailed:
    error = Incomplete(
        "another program is downloading this file, so it is left alone",
        where=str(folder / key),
        found=f"{key}.aria2" if has_control_file(folder / key) else "it grows",
        todo="wait for that program and run the same command again; if it has ended, move the file away",
    )
    return FileFailed(key, error.exit_code, str(error))


def check_space(folder: Path, need: int) -> None:
    """Check that ``need`` bytes are free.

    Raises
    ------
    MachineError
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if need > free:
        raise MachineError(
            "not enough disk space for the download",
            where=str(folder),
            expected=f"{need:,} bytes free",
            found=f"{free:,} bytes free",
            todo="free some space, choose another folder, or fetch fewer files (--tile, --split, --file)",
        )


def _run_lanes(
    folder: Path, run: FetchRun, todo: Sequence[Local], lanes: int
) -> tuple[list[FileDone], list[FileFailed]]:
    """Fetch files in ``lanes`` threads: partial files first, then the largest."""
    waiting: queue.SimpleQueue[RecordFile] = queue.SimpleQueue()
    for one in sorted(todo, key=lambda one: (one.state is not State.PARTIAL, -(one.file.size or 0))):
        waiting.put(one.file)
    done: list[FileDone] = []
    failed: list[FileFailed] = []

    def fetch_next() -> bool:
        try:
            file = waiting.get_nowait()
        except queue.Empty:
            return False
        outcome = fetch_file(folder, run, file)
        if isinstance(outcome, FileDone):
            done.append(outcome)
        elif outcome is not None:
            failed.append(outcome)
            if outcome.exit_code == MachineError.exit_code:
                run.stop.set()  # a full disk affects every other file too
        return True

    run_lanes(run, fetch_next, min(lanes, len(todo)))
    return done, failed


def fetch_file(folder: Path, run: FetchRun, file: RecordFile) -> FileDone | FileFailed | None:
    """Fetch one file; None if the run is being stopped."""
    began = time.monotonic()
    try:
        final = folder / file.key
        if run.mending.existing and final.is_symlink():
            final = final.resolve()  # what the link leads to is repaired
        partial = Partial(final, file, run.stop.is_set)
        try:
            if run.mending.existing and partial.final.exists():
                partial.take_in(partial.final)
            run.on_event(FileStarted(file.key, partial.size, partial.have))
            fetch = Fetch(run, file, partial)
            fetch.run()
        finally:
            partial.close()
        write_receipt(folder, file.key, file.md5)
        took = time.monotonic() - began
        outcome: FileDone | FileFailed = FileDone(file.key, partial.size, fetch.fetched, took, fetch.repaired)
    except (Stopped, KeyboardInterrupt):
        return None
    except S2ctError as error:
        outcome = FileFailed(file.key, error.exit_code, str(error))
    except OSError as error:
        known = from_os_error(error, str(folder / file.key))
        outcome = FileFailed(file.key, known.exit_code, str(known))
    run.on_event(outcome)
    return outcome
