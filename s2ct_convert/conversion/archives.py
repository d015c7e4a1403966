"""Archives of a record, brought to a folder one after another by a thread, never more than there are places for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..names import UnitName
from ..record.download import STOP_SECONDS, WAKE_SECONDS, fetch_file
from ..record.events import FileDone, FileFailed
from ..record.fetch import STOPPED, Lanes
from ..record.local import Local, State
from ..record.manifest import RecordFile


@dataclass(frozen=True)
class Piece:
    """A unit, and the file of the record that it is made of."""

    unit: UnitName
    file: RecordFile


class Archives:
    """Brings archives, those of which most is here first. To be started, and to be stopped.

    Parameters
    ----------
    folder : Path
        Where they come.
    lanes : Lanes
        What it takes to fetch.
    pieces : sequence of (Piece, Local)
        What is wanted, and what is here of it.
    places : int
        How many archives, whole or begun, may be here at a time.
    """

    def __init__(self, folder: Path, lanes: Lanes, pieces: Sequence[tuple[Piece, Local]], places: int) -> None:
        self._folder, self._lanes = folder, lanes
        self._pieces = sorted(pieces, key=lambda one: (-one[1].have, -(one[0].file.size or 0)))
        self._free = threading.Semaphore(places)
        self._places, self._kept = places, 0
        self._ready: queue.SimpleQueue[tuple[Piece, FileFailed | None] | None] = queue.SimpleQueue()
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._bring, name="s2ct-archives", daemon=True)
        self._ended = False

    def start(self) -> None:
        self._thread.start()

    def _bring(self) -> None:
        try:
            for piece, local in self._pieces:
                while not self._free.acquire(timeout=WAKE_SECONDS):
                    if self._lanes.stop.is_set():
                        return
                if self._lanes.stop.is_set():
                    return
                outcome = None
                if local.state is not State.OK:
                    outcome = fetch_file(self._folder, self._lanes, piece.file)
                    if outcome is None:  # stopped
                        return
                self._ready.put((piece, None if isinstance(outcome, FileDone) else outcome))
        except BaseException as error:  # a thread's own end would be seen by nobody
            self._bug = error
        finally:
            self._ready.put(None)

    def take(self, most: int) -> list[tuple[Piece, FileFailed | None]]:
        """Archives that are here, or why not; waits for the first. Empty when there are no more."""
        taken: list[tuple[Piece, FileFailed | None]] = []
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
        """An archive has gone: its place is free."""
        self._free.release()

    def keep(self) -> bool:
        """An archive stays in its place; whether there is a place left."""
        self._kept += 1
        return self._kept < self._places

    def stop(self) -> None:
        """End fetching; what came is kept."""
        self._lanes.stop.set()
        self._lanes.watch.cut_all(STOPPED)
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
