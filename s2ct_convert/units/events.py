"""Events of the units of a store."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import EXIT_MACHINE
from ..events import Event, Message
from .entries import UnitEntry


@dataclass(frozen=True)
class UnitsPlanned(Event):
    """The run starts: bytes of source files to read, units to make, units done before."""

    bytes: int
    units: int
    done: int


@dataclass(frozen=True)
class Replacing(Message):
    """A new store is made beside the one that it replaces. The same command goes on with it."""


@dataclass(frozen=True)
class UnitStarted(Event):
    """Work on a unit starts, from this source of ``bytes`` bytes."""

    unit: str
    source: str
    bytes: int = 0


@dataclass(frozen=True)
class UnitProgress(Event):
    """Bytes of the source file read since the last event."""

    unit: str
    bytes: int


@dataclass(frozen=True)
class UnitSending(Event):
    """Of a unit that goes to a bucket: bytes of objects that are there, and bytes of all its objects."""

    unit: str
    sent: int
    bytes: int


@dataclass(frozen=True)
class SourceSkipped(Event):
    """``bytes`` planned bytes of a source are not read: it failed before it started, or it holds no unit to make."""

    bytes: int


@dataclass(frozen=True)
class UnitDone(Event):
    """A unit is in the store and in the ledger. ``made``: this run made it; False if another process had."""

    entry: UnitEntry
    made: bool = True


@dataclass(frozen=True)
class UnitFailed(Event):
    """A unit could not be made, or a source could not be used.

    ``bug``: the fault is in s2ct, not in the source. ``refused``: the store has the unit from another source.
    ``also_of``: the unit that the source is of, if the unit has another source in this run. ``is_part``: shards are
    missing, so it is no source; a unit in the store lacks nothing for it. ``limited``: the limit on requests is
    reached.
    """

    unit: str
    source: str
    exit_code: int
    message: str
    bug: bool = False
    traceback: str = ""
    refused: bool = False
    also_of: str = ""
    is_part: bool = False
    limited: bool = False

    @property
    def stops_the_run(self) -> bool:
        """Whether the other units would fail too, e.g. for a full disk or a missing permission."""
        return self.exit_code == EXIT_MACHINE or self.limited


@dataclass(frozen=True)
class UnitLog(Event):
    """A line that the worker process of a unit wrote to stderr."""

    unit: str
    line: str


@dataclass(frozen=True)
class UnitRetried(Event):
    """The worker process of a unit was killed; s2ct retries it once. ``bytes``: progress that no longer counts."""

    unit: str
    cause: str
    jobs: int
    bytes: int


@dataclass(frozen=True)
class Finalising(Event):
    """All units are done; writing the index and the root starts."""
