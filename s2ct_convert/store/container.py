"""The interface of a container (Zarr directory, HDF5 file).

Callers name finished units by unit name and unfinished units by key. Only the container knows where they are (a
folder, a file, objects of a bucket) and how it publishes a unit: a local container renames and syncs (local.py);
another may upload objects one by one, none of which may exist before. A unit counts as finished once its record is
written. The caller writes the record last.

A unit is written under a key that only one process uses, then published. Only ``begin`` and ``finalise`` change
what units share. Only the process that runs the conversion calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset
from ..names import UnitName
from .codec import Codec
from .groups import Content


@dataclass(frozen=True)
class UnitFile:
    """One file of a finished unit: its name in the unit, its size, the CRC-32 of its bytes in hex.

    Not CRC-32C: a Zarr chunk ends in its own CRC-32C, so the CRC-32C of every whole chunk file is the same.
    """

    name: str
    bytes: int
    crc32: str


OnSent = Callable[[int, int], None]  # bytes of a unit that are there, and all its bytes


class UnitTarget(Protocol):
    """One unfinished unit. Chunks are appended in order and can be read back."""

    def append(self, chunk: bytes, rows: int) -> None:
        """Write the next encoded chunk of ``image``. Its first ``rows`` rows are observations."""

    def read(self, number: int) -> bytes:
        """Read back encoded chunk ``number``."""

    def finish(self, group: Content) -> None:
        """Write the rest of the unit, sync it to disk and close."""

    def files(self) -> tuple[UnitFile, ...]:
        """The files of the finished unit, read back."""

    def close(self) -> None:
        """Close all files, finished or not."""


class Container(Protocol):
    """A store of one format, at one place, for one data set."""

    format: str
    on_sent: OnSent  # called while a unit is published to another machine

    @property
    def where(self) -> str:
        """The place of the store, for messages."""

    @property
    def dataset(self) -> Dataset:
        """The data set of the units."""

    @property
    def codec(self) -> Codec:
        """The codec of the chunks."""

    def exists(self) -> bool:
        """Whether anything exists under the store's name."""

    def sweep(self) -> None:
        """Delete left-overs beside the store of a process that was killed while it replaced or deleted the store."""

    def begin(self, units: Sequence[UnitName], attributes: Mapping[str, Any]) -> None:
        """Mark the store as incomplete and create what units share."""

    def target(self, key: str) -> UnitTarget:
        """Start a new unit. Other processes may use the same key for their own work."""

    def discard(self, key: str) -> None:
        """Delete the unfinished work of this process under a key, if there is any."""

    def publish(self, unit: UnitName, key: str) -> None:
        """Move the finished work under a key to the place of the unit. The caller writes the unit's record next.

        An existing unit with the same bytes stays; one with other bytes is replaced.
        """

    def withdraw(self, unit: UnitName) -> None:
        """Note that ``publish`` may delete what is in the place of the unit. The caller deletes its record next."""

    def place(self, unit: UnitName) -> str:
        """The place of a finished unit, for messages."""

    def has(self, unit: UnitName, files: Mapping[str, int] | None = None) -> bool:
        """Whether the unit is in its place. If it has files of its own, these must exist with these sizes."""

    def files(self, unit: UnitName) -> tuple[UnitFile, ...]:
        """The files of a unit that has files of its own, read back."""

    def stands_alone(self, unit: UnitName) -> bool:
        """Whether the unit is in its place and has files of its own."""

    def set_aside(self, unit: UnitName) -> None:
        """Move a unit that has files of its own out of the store and keep it. Does nothing for other units."""

    def has_unmerged(self, units: Sequence[UnitName]) -> bool:
        """Whether there are units beside the store that finalise has not merged yet."""

    def digest(self, unit: UnitName) -> str | None:
        """Content digest recorded in the published unit."""

    def drop(self, unit: UnitName) -> None:
        """Delete a published unit."""

    def columns(self, unit: UnitName, names: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
        """Whole arrays of a published unit."""

    def finalise(self, units: Sequence[UnitName], index: Content, attributes: Mapping[str, Any]) -> None:
        """Write the index and the root. The store is complete when this returns. Safe to run again at any time."""

    def tidy(self, units: Sequence[UnitName]) -> None:
        """Delete what a complete store no longer needs, and left-overs of killed processes."""

    def destroy(self) -> None:
        """Delete the store."""
