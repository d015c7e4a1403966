"""Events of the files of a record. Sizes are in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ..events import Event


@dataclass(frozen=True)
class Checking(Event):
    """``files`` existing files of ``bytes`` bytes will be read to check their md5."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Checked(Event):
    """``bytes`` more bytes of existing files were read."""

    bytes: int


@dataclass(frozen=True)
class FilesPlanned(Event):
    """``files`` files of ``bytes`` bytes will be fetched; ``have`` bytes exist already. ``done`` files are complete."""

    files: int
    bytes: int
    have: int
    done: int


@dataclass(frozen=True)
class FileStarted(Event):
    """A lane starts on a file, of which ``have`` of ``size`` bytes exist."""

    key: str
    size: int
    have: int


@dataclass(frozen=True)
class FileProgress(Event):
    """A file has ``have`` bytes now."""

    key: str
    have: int


@dataclass(frozen=True)
class FileWaiting(Event):
    """A lane waits before it retries. ``key`` is ``record <id>`` for the list of files."""

    key: str
    seconds: float
    why: str


@dataclass(frozen=True)
class FileIdle(Event):
    """No byte of a file has arrived for ``seconds``. It has ``have`` bytes."""

    key: str
    seconds: float
    have: int


@dataclass(frozen=True)
class FileDamaged(Event):
    """A file is complete, but with the wrong md5. s2ct looks for the damage in it."""

    key: str
    md5: str


@dataclass(frozen=True)
class FileRepairing(Event):
    """The damage in a file was found: ``bytes`` bytes from offset ``start`` are fetched again."""

    key: str
    start: int
    bytes: int


@dataclass(frozen=True)
class FileDone(Event):
    """A file is complete and its md5 is correct. ``fetched`` bytes came over the network in ``seconds``.

    ``repaired`` of them replaced damaged stretches; 0 if the file was not damaged, or was fetched again as a whole.
    """

    key: str
    size: int
    fetched: int
    seconds: float
    repaired: int = 0


@dataclass(frozen=True)
class FileFailed(Event):
    """A file could not be downloaded."""

    key: str
    exit_code: int
    message: str
