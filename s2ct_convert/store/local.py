"""The common part of containers on a local file system: work has temporary names and is published by a rename.

This file, zarr_container.py and hdf5_container.py hold all paths, renames and fsyncs of units.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib

from ..dataset import Dataset
from ..durable import remove, sweep, sync
from ..names import UnitName
from ..processes import owner_tag
from .container import OnSent, UnitFile

PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Scratch:
    """Folders on the file system of a store, for files outside the store.

    Attributes
    ----------
    work : Path
        For unfinished work.
    aside : Path
        For units moved out of the store.
    """

    work: Path
    aside: Path

    def path(self, key: str) -> Path:
        """A path for unfinished work of this process only: ``unit.host.pid`` or ``unit.host.pid.part``."""
        name, dot, part = key.partition(".")
        return self.work / f"{name}.{owner_tag()}{dot}{part}"


class LocalContainer(ABC):
    """A store at a path."""

    def __init__(self, path: Path, scratch: Scratch, dataset: Dataset) -> None:
        self.path, self.scratch, self.dataset = path, scratch, dataset
        self.on_sent: OnSent = lambda sent, total: None

    @property
    def where(self) -> str:
        return str(self.path)

    @abstractmethod
    def home(self, unit: UnitName) -> Path:
        """Path of a finished unit, as long as it has files of its own."""

    def sweep(self) -> None:
        sweep(self.path.parent, self.path.name)

    def discard(self, key: str) -> None:
        remove(self.scratch.path(key))

    def withdraw(self, unit: UnitName) -> None:  # noqa: B027
        """Nothing to note: a folder or a file is replaced as a whole."""

    def place(self, unit: UnitName) -> str:
        return str(self.home(unit))

    def files(self, unit: UnitName) -> tuple[UnitFile, ...]:
        return files_of(self.home(unit))

    def stands_alone(self, unit: UnitName) -> bool:
        return self.home(unit).exists()

    def set_aside(self, unit: UnitName) -> None:
        home, aside = self.home(unit), self.scratch.aside
        if home.exists():
            aside.mkdir(exist_ok=True)
            remove(aside / unit.key)
            os.rename(home, aside / unit.key)
            sync(home.parent)


def files_of(unit: Path) -> tuple[UnitFile, ...]:
    """The files of a unit on disk. The unit is a folder, or one file, which then has an empty name."""
    if unit.is_file():
        return (_checksum(unit, ""),)
    names = sorted(path.relative_to(unit).as_posix() for path in unit.rglob("*") if path.is_file())
    return tuple(_checksum(unit / name, name) for name in names)


def crc32_of(data: bytes) -> str:
    """The CRC-32 of bytes, as in ``UnitFile``."""
    return f"{isal_zlib.crc32(data):08x}"


def _checksum(path: Path, name: str) -> UnitFile:
    crc, size = 0, 0
    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            crc, size = isal_zlib.crc32(piece, crc), size + len(piece)
    return UnitFile(name, size, f"{crc:08x}")
