"""Fetches files of a record into a folder, one after another in a thread, with a limit on the files in the folder."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ..record.download import check_space, fetch_file
from ..record.events import FileDone, FileFailed, FilesPlanned
from ..record.lanes import STOP_SECONDS
from ..record.local import Local, State, survey
from ..record.manifest import DEFAULT_RECORD, RecordFile
from ..record.policy import RetryPolicy
from ..record.run import FetchRun
from ..threads import WAKE_SECONDS

ARCHIVES = 3  # on the disk at a time
KEEP_FAILED = 3  # further archives, whose units failed


@dataclass(frozen=True)
class FetchOptions:
    """The record and its files to fetch, and how many of them may be on the disk.

    Attributes
    ----------
    record, base_url, user_agent, policy
        As for :func:`s2ct_convert.download`.
    files : iterable of str
        Shell patterns; only files whose names match one are fetched.
    archives : int
        Archives, whole or partial, that may be on the disk at the same time.
    keep_archives : bool
        Keep all archives, without a limit.
    keep_failed : int
        Further archives to keep, whose units failed; older ones are deleted.
    """

    record: str = DEFAULT_RECORD
    base_url: str | None = None
    user_agent: str | None = None
    policy: RetryPolicy | None = None
    files: Iterable[str] = ()
    archives: int = ARCHIVES
    keep_archives: bool = False
    keep_failed: int = KEEP_FAILED


class FetchKeywords(TypedDict, total=False):
    """The fields of :class:`FetchOptions`."""

    record: str
    base_url: str | None
    user_agent: str | None
    policy: RetryPolicy | None
    files: Iterable[str]
    archives: int
    keep_archives: bool
    keep_failed: int


def in_order(files: Iterable[Local]) -> list[Local]:
    """The order in which files are fetched, see :class:`Archives`."""
    first, *rest = sorted(files, key=lambda one: (one.file.size or 0) - one.have)
    return [first, *sorted(rest, key=lambda one: (-one.have, -(one.file.size or 0)))]


class Archives:
    """Fetches files. Call :meth:`start`, then :meth:`stop`.

    The file that lacks the fewest bytes comes first, so that the conversion starts soon. Then come those with the most
    bytes on the disk, which free their place, and the largest, so that no large one is left at the end.

    Parameters
    ----------
    folder : Path
        The folder of the archives.
    lanes : FetchRun
        The connections of the download.
    options : FetchOptions
        Limits on the files, whole or partial, in the folder.
    """

    def __init__(self, folder: Path, lanes: FetchRun, options: FetchOptions) -> None:
        self._folder, self._lanes = folder, lanes
        self._places = None if options.keep_archives else options.archives
        self._files: list[Local] = []
        self._free = threading.Semaphore(0)
        self._ready: queue.SimpleQueue[tuple[RecordFile, FileFailed | None] | None] = queue.SimpleQueue()
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._bring, name="s2ct-archives", daemon=True)
        self._ended = False

    def start(self, wanted: Sequence[RecordFile]) -> None:
        """Check which files are in the folder and whether the disk has room for the first ones, then fetch.

        Raises
        ------
        MachineError
            If the disk has too little room.
        """
        found = survey(self._folder, wanted, paranoid=False, on_event=self._lanes.on_event)
        self._files = in_order(found)
        places = len(found) if self._places is None else self._places
        missing = [one for one in found if one.state is not State.OK]
        total, have = sum(one.file.size or 0 for one in missing), sum(one.have for one in missing)
        largest = sorted((one.file.size or 0 for one in missing), reverse=True)[:places]
        check_space(self._folder, max(0, sum(largest) - have))
        self._lanes.on_event(FilesPlanned(len(missing), total, have, len(found) - len(missing)))
        self._free.release(places)
        self._thread.start()

    def _bring(self) -> None:
        try:
            for local in self._files:
                while not self._free.acquire(timeout=WAKE_SECONDS):
                    if self._lanes.stop.is_set():
                        return
                if self._lanes.stop.is_set():
                    return
                outcome = None
                if local.state is not State.OK:
                    outcome = fetch_file(self._folder, self._lanes, local.file)
                    if outcome is None:  # stopped
                        return
                self._ready.put((local.file, None if isinstance(outcome, FileDone) else outcome))
        except BaseException as error:  # an exception in a thread would go unnoticed; take() raises it
            self._bug = error
        finally:
            self._ready.put(None)

    def take(self, most: int) -> list[tuple[RecordFile, FileFailed | None]]:
        """Up to ``most`` files that are ready, or their failures. Waits for the first; empty at the end."""
        taken: list[tuple[RecordFile, FileFailed | None]] = []
        while not self._ended and len(taken) < most:
            try:
                # With a timeout, so that this thread notices signals that the system gave to another thread.
                one = self._ready.get(timeout=WAKE_SECONDS) if not taken else self._ready.get_nowait()
            except queue.Empty:
                if taken:
                    break
                continue
            if one is None:
                self._ended = True
                if self._bug is not None:
                    raise self._bug
            else:
                taken.append(one)
        return taken

    def free(self) -> None:
        """Free the place of a file on which work has ended."""
        self._free.release()

    def stop(self) -> None:
        """Stop fetching; whole and partial files are kept."""
        self._lanes.end()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
