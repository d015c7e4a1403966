"""What happens during a download, as values: progress and tests are fed from these alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """Something a user should know that is no failure."""

    text: str


@dataclass(frozen=True)
class Checking:
    """Files that are there already are read to get their md5: so many bytes."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Checked:
    """Bytes read of files that are there already."""

    bytes: int


@dataclass(frozen=True)
class Planned:
    """What is to be fetched: files, bytes of them, bytes of these that are there already; and files done before."""

    files: int
    bytes: int
    have: int
    done: int


@dataclass(frozen=True)
class FileStarted:
    """A lane works on a file of which ``have`` of ``size`` bytes are there."""

    key: str
    size: int
    have: int


@dataclass(frozen=True)
class FileProgress:
    """So many bytes of a file are there now."""

    key: str
    have: int


@dataclass(frozen=True)
class FileWaiting:
    """A lane waits before it asks again, and why; ``key`` is ``record <id>`` where the list of files is asked for."""

    key: str
    seconds: float
    why: str


@dataclass(frozen=True)
class FileIdle:
    """No byte has come for so long; ``have`` bytes of the file are there."""

    key: str
    seconds: float
    have: int


@dataclass(frozen=True)
class FileDone:
    """A file is in its place, its md5 right. ``fetched`` bytes came over the network in ``seconds``."""

    key: str
    size: int
    fetched: int
    seconds: float


@dataclass(frozen=True)
class FileFailed:
    """A file that could not be had."""

    key: str
    exit_code: int
    message: str


Event = (
    Note | Checking | Checked | Planned | FileStarted | FileProgress | FileWaiting | FileIdle | FileDone | FileFailed
)
OnEvent = Callable[[Event], None]
