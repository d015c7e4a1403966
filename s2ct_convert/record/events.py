"""What happens to the files of a record."""

from __future__ import annotations

from dataclasses import dataclass

from ..events import Event


@dataclass(frozen=True)
class Checking(Event):
    """Files that are there already are read to get their md5: so many bytes."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Checked(Event):
    """Bytes read of files that are there already."""

    bytes: int


@dataclass(frozen=True)
class FilesPlanned(Event):
    """What is to be fetched: files, bytes of them, bytes of these that are there already; and files done before."""

    files: int
    bytes: int
    have: int
    done: int


@dataclass(frozen=True)
class FileStarted(Event):
    """A lane works on a file of which ``have`` of ``size`` bytes are there."""

    key: str
    size: int
    have: int


@dataclass(frozen=True)
class FileProgress(Event):
    """So many bytes of a file are there now."""

    key: str
    have: int


@dataclass(frozen=True)
class FileWaiting(Event):
    """A lane waits before it asks again, and why; ``key`` is ``record <id>`` where the list of files is asked for."""

    key: str
    seconds: float
    why: str


@dataclass(frozen=True)
class FileIdle(Event):
    """No byte has come for so long; ``have`` bytes of the file are there."""

    key: str
    seconds: float
    have: int


@dataclass(frozen=True)
class FileDone(Event):
    """A file is in its place, its md5 right. ``fetched`` bytes came over the network in ``seconds``."""

    key: str
    size: int
    fetched: int
    seconds: float


@dataclass(frozen=True)
class FileFailed(Event):
    """A file that could not be had."""

    key: str
    exit_code: int
    message: str
