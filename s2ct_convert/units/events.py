"""What happens during a conversion, as values: progress bars, log lines and tests are fed from these alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .records import UnitRecord


@dataclass(frozen=True)
class Note:
    """Something a user should know that is no failure."""

    text: str


@dataclass(frozen=True)
class Started:
    """The run begins: bytes of source files to read, units to make and units that are done already."""

    bytes: int
    units: int
    done: int


@dataclass(frozen=True)
class UnitStarted:
    """A unit is being made from this source."""

    unit: str
    source: str


@dataclass(frozen=True)
class UnitProgress:
    """Bytes of the source file read since the last event."""

    unit: str
    bytes: int


@dataclass(frozen=True)
class UnitDone:
    """A unit is in its place and recorded. ``made``: by this run; else it was found so when its turn came."""

    record: UnitRecord
    made: bool = True


@dataclass(frozen=True)
class UnitFailed:
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


@dataclass(frozen=True)
class UnitLog:
    """A line that the process making a unit wrote on its stderr."""

    unit: str
    line: str


@dataclass(frozen=True)
class UnitRetried:
    """The process making a unit was killed; it will be tried once more. ``bytes`` of progress were told in vain."""

    unit: str
    cause: str
    jobs: int
    bytes: int


@dataclass(frozen=True)
class Finalising:
    """All units are done; the index and the root are being written."""


Event = Note | Started | UnitStarted | UnitProgress | UnitDone | UnitFailed | UnitLog | UnitRetried | Finalising
OnEvent = Callable[[Event], None]
