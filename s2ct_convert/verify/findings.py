"""What verification found wrong, with the place where it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import StoreDamaged

# What h5py, zarr-python and its codecs raise where stored bytes cannot be decoded.
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, StoreDamaged)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    what : str
        In words.
    unit : str
        ``train/50SMG``, ``index``, or empty for the store as a whole.
    localids : tuple of int
        The samples.
    example : int or None
        Number of the example in the source.
    rows : tuple of int or None
        First and last observation of the unit that are concerned.
    file : str
        The file, where one is to blame.
    """

    what: str
    unit: str = ""
    localids: tuple[int, ...] = ()
    example: int | None = None
    rows: tuple[int, int] | None = None
    file: str = ""

    def __str__(self) -> str:
        place = [self.unit] if self.unit else []
        if self.localids:
            place.append(_samples(self.localids))
        if self.example is not None:
            place.append(f"example {self.example}")
        if self.rows is not None:
            place.append(f"rows {self.rows[0]} to {self.rows[1]}")
        if self.file:
            place.append(self.file)
        return f"{', '.join(place)}: {self.what}" if place else self.what

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def _samples(localids: tuple[int, ...]) -> str:
    if len(localids) == 1:
        return f"sample {localids[0]}"
    if len(localids) <= 4:
        return f"samples {' '.join(map(str, localids))}"
    return f"{len(localids)} samples from {localids[0]} to {localids[-1]}"
