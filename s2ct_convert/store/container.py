"""What a container (Zarr directory, HDF5 file) must be able to do for the rest of the program.

A container speaks of units by their names, and of what is under work by keys of its own choice of place. Nobody else
knows whether that is a folder, a file or objects of a bucket, and how a unit gets its place: a local container renames
and syncs (local.py); another may put object after object, none of which may be there before. What makes a unit count
is its record, which is written last, and not here.

A unit is written as work under a key that only one process uses, then published. Only ``begin`` and ``finalise`` touch
what units share, and only the process that runs the conversion calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    Not CRC-32C: chunks of Zarr end in their own, which makes that of the whole file the same for all of them.
    """

    name: str
    bytes: int
    crc32: str


class UnitTarget(Protocol):
    """One unit under work. Chunks are appended in order and can be read back."""

    def append(self, chunk: bytes, rows: int) -> None:
        """Write the next encoded chunk of ``image``, of which the first ``rows`` are observations."""

    def read(self, number: int) -> bytes:
        """Encoded chunk ``number`` again."""

    def finish(self, group: Content) -> None:
        """Write all the rest of the unit, so that it outlasts a crash, and close."""

    def files(self) -> tuple[UnitFile, ...]:
        """The files of the finished unit, read back."""

    def close(self) -> None:
        """Let go of all files, finished or not."""


class Container(Protocol):
    """A store of one format at one place, of one data set."""

    format: str

    @property
    def where(self) -> str:
        """The place of the store, for messages."""

    @property
    def dataset(self) -> Dataset:
        """What its units are of."""

    @property
    def codec(self) -> Codec:
        """Packs its chunks."""

    def exists(self) -> bool:
        """Whether there is anything under the store's name."""

    def sweep(self) -> None:
        """Delete what a killed process left beside the store while it replaced or deleted it."""

    def begin(self, units: Sequence[UnitName], attributes: Mapping[str, Any]) -> None:
        """Make the store say that it is not complete; create what units share."""

    def target(self, key: str) -> UnitTarget:
        """A new unit under work. Other processes may use the same key for work of their own."""

    def discard(self, key: str) -> None:
        """Delete what this process has under work under a key, if there is anything."""

    def publish(self, unit: UnitName, key: str) -> None:
        """Give the finished work under a key the place of a unit. The caller writes its record next.

        Where a unit with the same bytes has the place already, it stays; one with other bytes is replaced.
        """

    def place(self, unit: UnitName) -> str:
        """Where a finished unit stands, for messages."""

    def has(self, unit: UnitName, files: Mapping[str, int] | None = None) -> bool:
        """Whether the unit is in its place; with all these files of these sizes, as long as it has files of its own."""

    def files(self, unit: UnitName) -> tuple[UnitFile, ...]:
        """The files of a unit that has some of its own, read back."""

    def stands_alone(self, unit: UnitName) -> bool:
        """Whether the unit is in its place and has files of its own."""

    def set_aside(self, unit: UnitName) -> None:
        """Take a unit that stands alone, if it does, out of the store; it is kept outside."""

    def has_unmerged(self, units: Sequence[UnitName]) -> bool:
        """Whether units stand beside the store that finalise has yet to bring into it."""

    def digest(self, unit: UnitName) -> str | None:
        """Content digest that the unit in its place says it has."""

    def drop(self, unit: UnitName) -> None:
        """Delete a unit from its place."""

    def columns(self, unit: UnitName, names: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
        """Arrays of a published unit, whole."""

    def finalise(self, units: Sequence[UnitName], index: Content, attributes: Mapping[str, Any]) -> None:
        """Write the index and the root; the store is complete when this returns. Can be run again at any time."""

    def tidy(self, units: Sequence[UnitName]) -> None:
        """Delete what a complete store does not need any more, or a killed process left in it."""

    def destroy(self) -> None:
        """Delete the store."""
