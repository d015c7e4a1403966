"""Mend a complete file with the wrong md5: find the damage, and fetch only that stretch again.

A callable of a higher room finds the damage, since this room does not know what is in the files. If a stretch differs
up to its end, the next one follows, twice as long as the damage so far, until the bytes agree again: missing or extra
bytes shift all that follows. Rounds and bytes are bounded, and a stretch without any difference ends the attempt. Then
the whole file is fetched as usual.
"""

from __future__ import annotations

from ..events import Message
from .asking import Asking, NoRanges
from .damage import Damage
from .events import FileRepairing
from .manifest import RecordFile
from .partial import Partial
from .run import FetchRun

ROUNDS = 8  # each finds one damaged place
SAME_BYTES = 64 << 10  # at the end of a stretch: as many equal bytes mean that the damage ends before them
SPARE_BYTES = 1 << 20  # beyond the size of the file: a shifted end header is fetched before the place that shifted it
NEXT_BYTES = 256 << 10  # of a stretch that follows another, at least
_PIECE = 4096  # bytes that are compared at once


class Stretch:
    """A stretch of a complete partial file, to be fetched again. Bytes that differ are overwritten.

    Attributes ``first``: the offset of the first piece that differed, None if all were equal; ``same``: equal bytes at
    the end so far.
    """

    def __init__(self, partial: Partial, start: int, end: int) -> None:
        self._partial, self.have, self.end = partial, start, end
        self.first: int | None = None
        self.same = 0

    @property
    def missing(self) -> int:
        return self.end - self.have

    def write(self, block: memoryview) -> None:
        """Compare bytes with those that are there, and overwrite these if they differ."""
        old = memoryview(self._partial.read_at(self.have, len(block)))
        if old == block:
            self.same += len(block)
        else:
            for at in range(0, len(block), _PIECE):
                piece = block[at : at + _PIECE]
                if old[at : at + _PIECE] == piece:
                    self.same += len(piece)
                else:
                    self.same = 0
                    self.first = self.have + at if self.first is None else self.first
            self._partial.patch(self.have, block)
        self.have += len(block)


class Mend:
    """Mends one file. Attribute ``fetched``: the bytes that were fetched for it."""

    def __init__(self, run: FetchRun, file: RecordFile, partial: Partial, asking: Asking) -> None:
        self._run, self._key, self._partial, self._asking = run, file.key, partial, asking
        self.fetched = 0

    def run(self) -> bool:
        """Find damage and fetch it again, until the md5 is right. Returns whether it is.

        Raises
        ------
        NetworkError, FileChanged, Stopped, KeyboardInterrupt
        """
        for _ in range(ROUNDS):
            damage = self._run.mending.find(self._partial.path, self._key, self._run.stop.is_set)
            if damage is None:
                self._run.on_event(
                    Message(f"{self._key}: damaged; the damage cannot be narrowed down to half of the file or less")
                )
                return False
            try:
                changed = self._replace(damage)
            except NoRanges:
                self._run.on_event(Message(f"{self._key}: damaged, and the service sends only whole files"))
                changed = False
            self._partial.reread()
            if self._partial.is_right():
                return True
            if not changed:
                return False
        return False

    def _replace(self, damage: Damage) -> bool:
        """Fetch a damaged stretch and all that follows it until the bytes agree again. Returns whether any changed."""
        start, end = damage
        first: int | None = None
        while self.fetched + end - start <= self._partial.size + SPARE_BYTES:
            self._run.on_event(FileRepairing(self._key, start, end - start))
            stretch = Stretch(self._partial, start, end)
            self._asking.bring(stretch)
            self.fetched += end - start
            first = stretch.first if first is None else first
            if first is None or end == self._partial.size or stretch.same >= min(SAME_BYTES, end - start):
                return first is not None
            start, end = end, min(self._partial.size, end + max(NEXT_BYTES, 2 * (end - first)))
        return False
