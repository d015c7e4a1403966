"""Gaps of a damaged source: the stretches from which no whole example could be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .errors import StoreDamaged
from .words import plural


@dataclass(frozen=True)
class Gap:
    """A stretch of a source that is lost. Offsets are in bytes; None where a number is not known.

    Attributes
    ----------
    file : str
        Name of the source file.
    after : int
        Number of whole examples that were found before it, in the whole source.
    examples : int or None
        Number of lost examples.
    begin, end : int or None
        First byte of it, and first byte after it, in the TFRecord.
    packed_begin, packed_end : int or None
        The same in the archive: the packed bytes that hold it, and some around it. None for a bare TFRecord.
    """

    file: str
    after: int
    examples: int | None = None
    begin: int | None = None
    end: int | None = None
    packed_begin: int | None = None
    packed_end: int | None = None

    def __str__(self) -> str:
        lost = "unknown number of examples" if self.examples is None else plural(self.examples, "example")
        places = [f"{_range(self.begin, self.end)} of the TFRecord"]
        if self.packed_begin is not None:
            places.append(f"{_range(self.packed_begin, self.packed_end)} of {self.file}")
        return f"after {plural(self.after, 'example')}: {lost} lost; {', '.join(places)}"


def _range(begin: int | None, end: int | None) -> str:
    if begin is None and end is None:
        return "unknown bytes"
    return f"bytes {' to '.join('unknown' if one is None else f'{one:,}' for one in (begin, end))}"


def gaps_to_text(gaps: Iterable[Gap]) -> str:
    """Gaps as JSON, for the attribute ``gaps`` of a unit."""
    return json.dumps([dataclasses.asdict(gap) for gap in gaps])


def gaps_from_text(text: str, where: str) -> tuple[Gap, ...]:
    """Inverse of :func:`gaps_to_text`; ``where`` is the unit in messages.

    Raises
    ------
    StoreDamaged
    """
    try:
        return gaps_from_values(json.loads(text))
    except (ValueError, TypeError) as error:
        raise StoreDamaged(f"the attribute gaps is invalid: {error}", where=where) from None


def gaps_from_values(values: Iterable[dict[str, Any]]) -> tuple[Gap, ...]:
    """Gaps from plain values.

    Raises
    ------
    TypeError
    """
    return tuple(Gap(**one) for one in values)
