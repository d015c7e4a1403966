"""Events of a look at files of the record."""

from __future__ import annotations

from dataclasses import dataclass

from ..events import Event
from .results import PeekedFile


@dataclass(frozen=True)
class PeekPlanned(Event):
    """``files`` files will be looked at."""

    files: int


@dataclass(frozen=True)
class FilePeeked(Event):
    """A file was looked at; ``peeked`` may have an error."""

    peeked: PeekedFile
