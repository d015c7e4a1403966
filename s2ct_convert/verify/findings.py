"""Findings of verification: each difference with its place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import S2ctError, StoreDamaged

# Errors of h5py, zarr-python and its codecs on bytes that cannot be decoded.
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, StoreDamaged)


@dataclass(frozen=True)
class Finding:
    """One difference.

    Attributes
    ----------
    what : str
        Message.
    unit : str
        ``train/50SMG``, ``index``, or empty for the whole store.
    localids : tuple of int
        Affected samples.
    example : int or None
        Number of the example in the source.
    rows : tuple of int or None
        First and last affected observation of the unit.
    file : str
        The affected file; empty if there is no single one.
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
        """The finding as a dict for JSON."""
        return asdict(self)


def _samples(localids: tuple[int, ...]) -> str:
    if len(localids) == 1:
        return f"sample {localids[0]}"
    if len(localids) <= 4:
        return f"samples {', '.join(map(str, localids))}"
    return f"{len(localids)} samples from {localids[0]} to {localids[-1]}"


def one_line(error: Exception) -> str:
    """The message of any error as one line."""
    if isinstance(error, S2ctError):
        return "; ".join(" ".join(line.split()) for line in str(error).splitlines())
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
