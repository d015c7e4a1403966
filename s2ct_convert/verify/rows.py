"""The table that assigns observations to samples, and checks of its consistency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..missing import NO_DAY, NO_LOCALID, NO_NUMBER
from ..reading.unit import Unit
from .findings import Finding


@dataclass(frozen=True)
class Rows:
    """Sample and source place of every observation of a unit."""

    owner: npt.NDArray[np.int64]  # row of the sample according to row_start
    sample_index: npt.NDArray[np.int32]  # row of the sample according to the array sample_index
    example: npt.NDArray[np.int32]
    position: npt.NDArray[np.int32]
    by_place: npt.NDArray[np.int64]  # rows in the order of the source

    @classmethod
    def of(cls, unit: Unit) -> Rows:
        example, position = np.asarray(unit[unit.example_order][...]), np.asarray(unit["position"][...])
        owner = np.searchsorted(unit.row_start, np.arange(len(example)), side="right") - 1
        return cls(owner, np.asarray(unit["sample_index"][...]), example, position, np.lexsort((position, example)))

    def of_example(self, number: int) -> npt.NDArray[np.int64]:
        """Rows of one example, in the order of the example."""
        low, high = np.searchsorted(self.example, (number, number + 1), sorter=self.by_place)
        return self.by_place[low:high]

    def broken(self, unit: Unit) -> list[Finding]:
        """Contradictions in the table. If there are any, no other check of rows is possible."""
        out, name, sizes = [], str(unit.name), np.asarray(unit["row_size"][...])
        if unit.row_start[0] != 0 or (sizes < 0).any() or (np.diff(unit.row_start) != sizes).any():
            out.append(Finding("row_start and row_size contradict each other", name))
        if unit.observations != len(self.example):
            out.append(Finding(f"row_start ends at {unit.observations} of {len(self.example)} observations", name))
        return out

    def disorder(self, unit: Unit) -> list[Finding]:
        """Errors in the order of samples and of their observations."""
        out, name = [], str(unit.name)
        before, after = unit.localid[:-1], unit.localid[1:]  # their difference may overflow an int64
        if ((after < before) | ((after == before) & (after != NO_LOCALID))).any():
            out.append(Finding("localid is not ascending", name))
        in_order = np.lexsort((self.position, self.example, unit.time, unit.time == NO_DAY, self.owner))
        if (wrong := np.flatnonzero(in_order != np.arange(len(unit.time)))).size:
            rows = int(wrong[0]), int(wrong[-1])
            out.append(Finding("observations are not in time order", name, rows=rows))
        return out

    def strays(self, unit: Unit) -> list[Finding]:
        """Rows whose sample_index contradicts row_start, or whose place in the source is impossible."""
        out, name = [], str(unit.name)
        if (wrong := np.flatnonzero(self.sample_index != self.owner)).size:
            rows = int(wrong[0]), int(wrong[-1])
            out.append(Finding("sample_index differs from the sample that row_start gives", name, rows=rows))
        example, position = self.example[self.by_place], self.position[self.by_place]
        first = np.append(True, np.diff(example) != 0)
        expected = np.arange(len(example)) - np.flatnonzero(first)[np.cumsum(first) - 1] if len(example) else example
        if (wrong := np.flatnonzero(position != expected)).size:
            numbers = f"example {example[wrong[0]]}"
            out.append(Finding(f"positions in {numbers} are not 0, 1, 2 and so on", name))
        n_examples = int(unit.attributes["source_examples"])
        if len(example) and not 0 <= example[0] <= example[-1] < n_examples:
            out.append(Finding(f"rows refer to examples beyond the {n_examples} of the source", name))
        return [*out, *self._wrong_numbers(unit)] if unit.salvaged else out

    def _wrong_numbers(self, unit: Unit) -> list[Finding]:
        """Numbers of examples of a salvaged unit that contradict the order in which the examples were found."""
        number, found = np.asarray(unit["example"][...])[self.by_place], self.example[self.by_place]
        known = number != NO_NUMBER
        step, gone = np.diff(number[known]), np.diff(found[known])
        if (~known[:-1] & known[1:]).any() or (number[known] < found[known]).any() or (step < gone).any():
            return [Finding("the numbers of examples contradict their order", str(unit.name))]
        return [Finding("rows of one example differ in its number", str(unit.name))] if step[gone == 0].any() else []
