"""The table that says which observations are whose, and whether it fits itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..missing import NO_DAY, NO_LOCALID
from ..reading.unit import Unit
from .findings import Finding


@dataclass(frozen=True)
class Rows:
    """Of every observation of a unit: the sample it lies in, the one it says it is of, and its place in the source."""

    owner: npt.NDArray[np.int64]
    sample_index: npt.NDArray[np.int32]
    example: npt.NDArray[np.int32]
    position: npt.NDArray[np.int32]
    by_place: npt.NDArray[np.int64]  # rows in the order of the source

    @classmethod
    def of(cls, unit: Unit) -> Rows:
        example, position = np.asarray(unit["example"][...]), np.asarray(unit["position"][...])
        owner = np.searchsorted(unit.row_start, np.arange(len(example)), side="right") - 1
        return cls(owner, np.asarray(unit["sample_index"][...]), example, position, np.lexsort((position, example)))

    def of_example(self, number: int) -> npt.NDArray[np.int64]:
        """Rows of one example, in its order."""
        low, high = np.searchsorted(self.example, (number, number + 1), sorter=self.by_place)
        return self.by_place[low:high]

    def broken(self, unit: Unit) -> list[Finding]:
        """What is wrong with the table itself; then nothing else can be told."""
        out, name, sizes = [], str(unit.name), np.asarray(unit["row_size"][...])
        if unit.row_start[0] != 0 or (sizes < 0).any() or (np.diff(unit.row_start) != sizes).any():
            out.append(Finding("row_start and row_size do not fit each other", name))
        if unit.observations != len(self.example):
            out.append(Finding(f"row_start ends at {unit.observations} of {len(self.example)} observations", name))
        return out

    def disorder(self, unit: Unit) -> list[Finding]:
        """What is wrong with the order of samples and of the observations in them."""
        out, name = [], str(unit.name)
        before, after = unit.localid[:-1], unit.localid[1:]  # their difference may be more than an int64 holds
        if ((after < before) | ((after == before) & (after != NO_LOCALID))).any():
            out.append(Finding("localid is not ascending", name))
        in_order = np.lexsort((self.position, self.example, unit.time, unit.time == NO_DAY, self.owner))
        if (wrong := np.flatnonzero(in_order != np.arange(len(unit.time)))).size:
            rows = int(wrong[0]), int(wrong[-1])
            out.append(Finding("observations are not in the order of time", name, rows=rows))
        return out

    def strays(self, unit: Unit) -> list[Finding]:
        """Rows that are not of the sample they lie in, or of no place a source can have."""
        out, name = [], str(unit.name)
        if (wrong := np.flatnonzero(self.sample_index != self.owner)).size:
            rows = int(wrong[0]), int(wrong[-1])
            out.append(Finding("sample_index differs from the sample they lie in", name, rows=rows))
        example, position = self.example[self.by_place], self.position[self.by_place]
        first = np.append(True, np.diff(example) != 0)
        expected = np.arange(len(example)) - np.flatnonzero(first)[np.cumsum(first) - 1] if len(example) else example
        if (wrong := np.flatnonzero(position != expected)).size:
            numbers = f"example {example[wrong[0]]}"
            out.append(Finding(f"positions in {numbers} are not 0, 1, 2 and so on", name))
        n_examples = int(unit.attributes["source_examples"])
        if len(example) and not 0 <= example[0] <= example[-1] < n_examples:
            out.append(Finding(f"rows name examples beyond the {n_examples} of the source", name))
        return out
