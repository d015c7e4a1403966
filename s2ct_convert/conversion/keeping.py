"""Decides which files of a record stay on the disk after all their units were tried.

A file is deleted when all its units are in the store. Of the files with failed units, the newest few stay.
"""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path

from ..durable import remove
from ..events import Message, OnEvent
from ..record.manifest import RecordFile
from ..record.partial import partial_path
from .fetching import Archives, FetchOptions


class Keeping:
    """Counts the units of each file that are not tried yet; at zero, deletes or keeps the file."""

    def __init__(self, folder: Path, archives: Archives, options: FetchOptions, on_event: OnEvent) -> None:
        self.folder = folder
        self._archives, self._on_event = archives, on_event
        self._all, self._failed = options.keep_archives, options.keep_failed
        self._under_way: Counter[str] = Counter()  # units that are not tried yet, by file
        self._bad: set[str] = set()  # files with a failed or refused unit
        self._kept: deque[RecordFile] = deque()  # files kept for their failed units, the oldest first
        self.stopped = False  # after a fault of the machine: all files stay

    def drop(self, file: RecordFile) -> None:
        """Delete a file that needs no download: the store has all its units."""
        if not self._all:
            remove(self.folder / file.key)

    def came(self, file: RecordFile, units: int) -> None:
        """A file was fetched and holds this number of units."""
        self._under_way[file.key] = units
        if not units:
            self._end(file)

    def fails(self, file: RecordFile) -> None:
        """A unit of the file failed or was refused."""
        self._bad.add(file.key)

    def settle(self, file: RecordFile) -> None:
        """One unit of the file was tried."""
        self._under_way[file.key] -= 1
        if not self._under_way[file.key]:
            self._end(file)

    def _end(self, file: RecordFile) -> None:
        """All units of a file were tried: delete the file, or keep it and delete an older one."""
        if self._all or self.stopped:
            pass
        elif file.key not in self._bad:
            remove(self.folder / file.key)
        else:
            self._kept.append(file)
            if len(self._kept) > self._failed:
                self._delete(self._kept.popleft())
        self._archives.free()

    def _delete(self, file: RecordFile) -> None:
        path = self.folder / file.key
        for one in (path, partial_path(path, file)):
            remove(one)
        kept = self._failed
        newest = "none is kept" if not kept else "the newest is kept" if kept == 1 else f"the newest {kept} are kept"
        self._on_event(Message(f"{file.key}: deleted; of files with failed units, {newest} (--keep-failed)"))
