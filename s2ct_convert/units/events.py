"""What happens to the units of a store."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import EXIT_MACHINE
from ..events import Event
from .entries import UnitEntry


@dataclass(frozen=True)
class UnitsPlanned(Event):
    """The run begins: bytes of source files to read, units to make and units that are done already."""

    bytes: int
    units: int
    done: int


@dataclass(frozen=True)
class UnitStarted(Event):
    """A unit is being made from this source."""

    unit: str
    source: str


@dataclass(frozen=True)
class UnitProgress(Event):
    """Bytes of the source file read since the last event."""

    unit: str
    bytes: int


@dataclass(frozen=True)
class UnitDone(Event):
    """A unit is in its place and in the ledger. ``made``: by this run; else it was found so when its turn came."""

    entry: UnitEntry
    made: bool = True


@dataclass(frozen=True)
class UnitFailed(Event):
    """A unit (or a source that is no unit) that could not be made.

    ``bug``: it is our fault, not that of the source. ``refused``: the source is another one of a unit that is there.
    """

    unit: str
    source: str
    exit_code: int
    message: str
    bug: bool = False
    traceback: str = ""
    refused: bool = False

    @property
    def stops_the_run(self) -> bool:
        """Whether every other unit would fail too: the disk is full, or a permission is missing."""
        return self.exit_code == EXIT_MACHINE


@dataclass(frozen=True)
class UnitLog(Event):
    """A line that the process making a unit wrote on its stderr."""

    unit: str
    line: str


@dataclass(frozen=True)
class UnitRetried(Event):
    """The process making a unit was killed; it will be tried once more. ``bytes`` of progress no longer count."""

    unit: str
    cause: str
    jobs: int
    bytes: int


@dataclass(frozen=True)
class Finalising(Event):
    """All units are done; the index and the root are being written."""
