"""How far a source may differ from the description of its record before it is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..dataset import DATASET, Dataset
from ..errors import NotAsDescribed
from ..source.notes import Note


@dataclass(frozen=True)
class Demands:
    """Requirements on a source.

    Attributes
    ----------
    strict : bool
        Refuse a source that has notes.
    accept_count : bool
        Accept a bare TFRecord that holds fewer examples, samples and images than the number in its name.
    salvage : bool
        Take the whole examples of a damaged source.
    """

    strict: bool = False
    accept_count: bool = False
    salvage: bool = False

    def flags(self) -> str:
        """Command-line flags that give these requirements."""
        return "".join(f" --{name.replace('_', '-')}" for name, given in self.values().items() if given)

    def values(self) -> dict[str, bool]:
        """Plain values for JSON; ``salvage`` only if it is set."""
        values = {"strict": self.strict, "accept_count": self.accept_count}
        return {**values, "salvage": True} if self.salvage else values

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Demands:
        """Inverse of :meth:`values`; other keys are ignored.

        Raises
        ------
        KeyError
        """
        return cls(bool(values["strict"]), bool(values["accept_count"]), bool(values.get("salvage")))

    def refuse(self, notes: Sequence[Note], where: str, dataset: Dataset = DATASET) -> None:
        """Refuse a source that has notes, if ``strict`` is set.

        Raises
        ------
        NotAsDescribed
        """
        if self.strict and notes:
            raise NotAsDescribed(
                "the source differs from the description of its record",
                where=where,
                found="\n            ".join(f"{note.text(dataset)} ({note.first})" for note in notes),
                todo="leave out --strict to store it with these notes",
            )


NO_DEMANDS = Demands()
