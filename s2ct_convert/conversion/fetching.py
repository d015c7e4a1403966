"""Files of a record, brought to a folder one after another by a thread, never more than there are places for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from ..record.download import STOP_SECONDS, WAKE_SECONDS, fetch_file
from ..record.events import FileDone, FileFailed
from ..record.local import Local, State
from ..record.manifest import RecordFile
from ..record.run import FetchRun


class Archives:
    """Brings files, those of which most is here first. To be started, and to be stopped.

    Parameters
    ----------
    folder : Path
        Where they come.
    lanes : FetchRun
        What it takes to fetch.
    files : sequence of Local
        What is wanted, and what is here of it.
    places : int
        How many files, whole or begun, may be here at a time.
    """

    def __init__(self, folder: Path, lanes: FetchRun, files: Sequence[Local], places: int) -> None:
        self._folder, self._lanes = folder, lanes
        self._files = sorted(files, key=lambda one: (-one.have, -(one.file.size or 0)))
        self._free = threading.Semaphore(places)
        self._ready: queue.SimpleQueue[tuple[RecordFile, FileFailed | None] | None] = queue.SimpleQueue()
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._bring, name="s2ct-archives", daemon=True)
        self._ended = False

    def start(self) -> None:
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
        except BaseException as error:  # a thread's own end would be seen by nobody
            self._bug = error
        finally:
            self._ready.put(None)

    def take(self, most: int) -> list[tuple[RecordFile, FileFailed | None]]:
        """Files that are here, or why not; waits for the first. Empty when there are no more."""
        taken: list[tuple[RecordFile, FileFailed | None]] = []
        while not self._ended and len(taken) < most:
            try:
                # With a time-out, to see signals, also those that the system gave to another thread.
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
        """Work on a file has ended: its place is free."""
        self._free.release()

    def stop(self) -> None:
        """End fetching; what came is kept."""
        self._lanes.end()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
