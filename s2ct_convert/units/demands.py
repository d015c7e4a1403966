"""How far a source may differ from the description of its record before it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    strict: bool = False
    accept_count: bool = False

    def flags(self) -> str:
        """Command-line flags that give these requirements."""
        return f"{' --strict' if self.strict else ''}{' --accept-count' if self.accept_count else ''}"

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
