"""How much a source may differ from what its record says before it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..dataset import DATASET, Dataset
from ..errors import NotAsDescribed
from ..source.notes import Note


@dataclass(frozen=True)
class Demands:
    """What a source must be.

    Attributes
    ----------
    strict : bool
        Refuse a source with any note.
    accept_count : bool
        Take a bare TFRecord that has less in it than the number in its name.
    """

    strict: bool = False
    accept_count: bool = False

    def flags(self) -> str:
        """As on the command line."""
        return f"{' --strict' if self.strict else ''}{' --accept-count' if self.accept_count else ''}"

    def refuse(self, notes: Sequence[Note], where: str, dataset: Dataset = DATASET) -> None:
        """Refuse a source with notes, if only sources without any are wanted.

        Raises
        ------
        NotAsDescribed
        """
        if self.strict and notes:
            raise NotAsDescribed(
                "the source is not as its record describes it",
                where=where,
                found="\n            ".join(f"{note.text(dataset)} ({note.first})" for note in notes),
                todo="leave out --strict to store it with these notes",
            )


NO_DEMANDS = Demands()
