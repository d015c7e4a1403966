"""How stores, units and samples look at a prompt: one screen of text, or a table in a notebook."""

from __future__ import annotations

import html
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

ROWS = 12  # most rows of a table, so that it fits in a terminal of 24 lines
WIDTH = 79
KEEP = "\N{NO-BREAK SPACE}"  # a line does not end here

T = TypeVar("T", covariant=True)
C = TypeVar("C")


@dataclass(frozen=True)
class Summary:
    """What a value shows of itself.

    Attributes
    ----------
    title : str
        The first line.
    facts : sequence of (name, value)
        One line each.
    header : sequence of str
        Names of the columns of the table; empty for no table.
    rows : sequence of sequences
        Its first rows, at most ``ROWS``.
    total : int
        Number of rows of the whole table.
    """

    title: str
    facts: Sequence[tuple[str, str]] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    total: int = 0

    @property
    def _more(self) -> str:
        return f"... {self.total - len(self.rows):,} more" if self.total > len(self.rows) else ""

    def text(self) -> str:
        """Lines of at most 79 characters, except the title."""
        lines = [f"<{self.title}>"]
        wide = max((len(name) for name, _ in self.facts), default=0)
        for name, value in self.facts:
            first, *rest = textwrap.wrap(value, WIDTH - 4 - wide, max_lines=3, placeholder=" ...") or [""]
            lines += [f"  {name:<{wide}}  {first}", *(f"  {'':<{wide}}  {line}" for line in rest)]
        if self.header:
            columns = zip(self.header, *self.rows, strict=True)
            aligned = [_aligned(list(map(str, column))) for column in columns]
            lines += [_cut("  " + "  ".join(row)) for row in zip(*aligned, strict=True)]
        if self._more:
            lines.append(f"  {self._more}")
        return "\n".join(line.rstrip() for line in lines).replace(KEEP, " ")

    def html(self) -> str:
        """The same as a fragment of HTML."""
        parts = [f"<b>{html.escape(self.title)}</b>"]
        if self.facts:
            parts.append(_html_table([], self.facts))
        if self.header:
            parts.append(_html_table(self.header, self.rows))
        if self._more:
            parts.append(f"<p>{self._more}</p>")
        return f"<div>{''.join(parts)}</div>"


class Shown(ABC):
    """Base class: a value that shows its ``_summary`` at a prompt and in a notebook."""

    @abstractmethod
    def _summary(self) -> Summary: ...

    def __repr__(self) -> str:
        return self._summary().text()

    def _repr_html_(self) -> str:
        return self._summary().html()


def shown_in_lists(cls: type[C]) -> type[C]:
    """Decorate a class with ``_summary`` whose values come in lists: ``repr`` is one line, ``print`` shows the rest."""
    setattr(cls, "__repr__", lambda self: f"<{self._summary().title}>")  # noqa: B010  # NamedTuple has its own
    setattr(cls, "__str__", lambda self: self._summary().text())  # noqa: B010
    setattr(cls, "_repr_html_", lambda self: self._summary().html())  # noqa: B010
    return cls


class OwnMapping(Mapping[str, T]):
    """Base class: a mapping that is equal only to itself."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def _aligned(column: list[str]) -> list[str]:
    """The cells of a column in one width, numbers to the right."""
    wide = max(map(len, column))
    right = all(cell.replace(",", "").replace(".", "").lstrip("-").isdigit() for cell in column[1:])
    return [cell.rjust(wide) if right else cell.ljust(wide) for cell in column]


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."


def _html_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def row(cells: Sequence[Any], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"

    head = f"<thead>{row(header, 'th')}</thead>" if header else ""
    return f"<table>{head}<tbody>{''.join(row(one, 'td') for one in rows)}</tbody></table>"


def series_summary(title: str, series: Any) -> Summary:
    """A summary of arrays of one series: ``image``, ``label``, ``time``, ``weight``, and ``dates``."""
    rows = [
        (name, array.dtype, " x ".join(map(str, array.shape)), values)
        for name, array, values in (
            ("image", series.image, "as published"),
            ("label", series.label, label_numbers(series.label)),
            ("time", series.time, "days since 1970-01-01"),
            ("weight", series.weight, _range(series.weight)),
        )
    ]
    title = ", ".join(filter(None, (f"{title}: {many(len(series.time), 'observation')}", period(series.dates))))
    return Summary(title, (), ("array", "dtype", "shape", "values"), rows, 4)


def _range(weights: npt.NDArray[np.float32]) -> str:
    known = weights[~np.isnan(weights)]
    return f"{known.min():g} to {known.max():g}" if len(known) else "none"


def many(n: int, word: str) -> str:
    """Such as ``1 sample`` and ``2,000 samples``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def period(dates: npt.NDArray[np.datetime64]) -> str:
    """First and last date, and how many are missing."""
    known = dates[~np.isnat(dates)]
    missing = f"{len(dates) - len(known):,} without a date" if len(known) < len(dates) else ""
    return ", ".join(filter(None, (f"{known.min()} to {known.max()}" if len(known) else "", missing)))


def label_numbers(label: npt.NDArray[np.int8]) -> str:
    """How often each number occurs."""
    numbers, counts = np.unique(label, return_counts=True)
    return ", ".join(f"{n}{KEEP}({count:,}x)" for n, count in zip(numbers.tolist(), counts.tolist(), strict=True))


def label_names(counts: Sequence[int], names: Sequence[str]) -> str:
    """How many labels each class has."""
    return ", ".join(f"{name}{KEEP}{count:,}" for name, count in zip(names, counts, strict=True) if count)
