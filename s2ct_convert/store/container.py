"""What a container (Zarr directory, HDF5 file) must be able to do for the rest of the program.

A unit is written into a target of its own at a temporary path, then published. Only ``begin`` and ``finalise``
touch what units share, and only the process that runs the conversion calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset
from ..names import UnitName
from .codecs import Codec, Decode, Encode
from .groups import Content


class UnitTarget(Protocol):
    """One unit being written at a path of its own. Chunks are appended in order and can be read back."""

    path: Path

    def append(self, chunk: bytes, rows: int) -> None:
        """Write the next encoded chunk of ``image``, of which the first ``rows`` are observations."""

    def read(self, number: int) -> bytes:
        """Encoded chunk ``number`` again."""

    def finish(self, group: Content) -> None:
        """Write all the rest of the unit, sync and close."""

    def close(self) -> None:
        """Let go of all files, finished or not."""


class Container(Protocol):
    """A store of one format at one path, of one data set."""

    format: str
    path: Path
    dataset: Dataset
    codec: Codec
    encode: Encode
    decode: Decode

    def exists(self) -> bool:
        """Whether there is anything under the store's name."""

    def begin(self, units: Sequence[UnitName], attributes: Mapping[str, Any]) -> None:
        """Make the store say that it is not complete; create what units share."""

    def target(self, path: Path) -> UnitTarget:
        """A unit to be written at a temporary path."""

    def home(self, unit: UnitName) -> Path:
        """Where a finished unit stands, as long as it has files of its own."""

    def publish(self, unit: UnitName, work: Path) -> None:
        """Give a finished target its place."""

    def has(self, unit: UnitName, files: Mapping[str, int] | None = None) -> bool:
        """Whether the unit is in its place; with all these files of these sizes, as long as it has files of its own."""

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
