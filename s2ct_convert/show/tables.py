"""Results on stdout for people: tables, facts and sentences.

On a terminal a table fits the width: names are shortened in the middle, details are left out, and a table that is still
too wide is printed in parts. In a pipe every table is whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .terminal import line_of, shorten, width_of, wrap

GAP = 2  # blanks between two columns
LEAST_NAME, LEAST_TEXT = 12, 24  # characters that a shortened name and a wrapped text keep


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    head : str
    left : bool
        Aligned left; else right.
    name : bool
        Holds names, which a terminal shortens in the middle.
    text : bool
        Holds sentences, which a terminal wraps; only for the last column.
    detail : bool
        A terminal shows it only on request.
    part : int
        Where a table is printed in parts, columns of different parts are not mixed.
    """

    head: str
    left: bool = False
    name: bool = False
    text: bool = False
    detail: bool = False
    part: int = 0

    def least(self, width: int) -> int:
        """The fewest characters in which a column of this width is still useful."""
        return min(width, LEAST_NAME) if self.name else min(width, LEAST_TEXT) if self.text else width


Row = Sequence[str]


def print_table(columns: Sequence[Column], rows: Iterable[Row], *, keys: int = 1, verbose: bool = False) -> None:
    """Print a table without lines. ``keys`` first columns identify a row. ``verbose``: details on terminals too."""
    for line in table_lines(columns, list(rows), width_of(sys.stdout), keys=keys, verbose=verbose):
        print(line)


def table_lines(
    columns: Sequence[Column], rows: Sequence[Row], width: int | None, *, keys: int = 1, verbose: bool = False
) -> list[str]:
    """The lines of a table. With a ``width`` it is shortened or split until it fits."""
    shown = [i for i, column in enumerate(columns) if width is None or verbose or not column.detail]
    widths = [max(len(row[i]) for row in [[column.head for column in columns], *rows]) for i in range(len(columns))]
    lines: list[str] = []
    for part in [shown] if width is None else _parts(columns, shown, widths, width, keys):
        lines += [""] if lines else []
        fitted = widths if width is None else _fitted(columns, part, widths, width)
        for row in [[column.head for column in columns], *rows]:
            lines += _row_lines([(columns[i], row[i], fitted[i]) for i in part])
    return lines


def _parts(
    columns: Sequence[Column], shown: Sequence[int], widths: Sequence[int], width: int, keys: int
) -> list[list[int]]:
    """The columns of each part of a table: as many as fit, each part with the key columns."""

    def fits(wanted: Sequence[int]) -> bool:
        return sum(columns[i].least(widths[i]) for i in wanted) + GAP * (len(wanted) - 1) <= width

    if fits(shown):
        return [list(shown)]
    first = list(shown[:keys])
    parts = [list(first)]
    for i in shown[keys:]:
        last = parts[-1]
        if len(last) > keys and (columns[last[-1]].part != columns[i].part or not fits([*last, i])):
            parts.append([*first, i])
        else:
            last.append(i)
    return parts


def _fitted(columns: Sequence[Column], part: Sequence[int], widths: Sequence[int], width: int) -> list[int]:
    """The widths, with the widest of the names and texts made narrower until the part fits."""
    fitted = list(widths)
    while sum(fitted[i] for i in part) + GAP * (len(part) - 1) > width:
        flexible = [i for i in part if fitted[i] > columns[i].least(widths[i])]
        if not flexible:
            break
        fitted[max(flexible, key=lambda i: fitted[i])] -= 1
    return fitted


def _row_lines(cells: Sequence[tuple[Column, str, int]]) -> list[str]:
    """A row of columns, values and widths: one line, or several where a text is wrapped."""
    before, lines = "", []
    for column, value, width in cells:
        if column.text:
            first, *lines = wrap(value, width) or [""]
            before += first
        else:
            value = shorten(value, width)
            before += f"{value.ljust(width) if column.left else value.rjust(width)}{' ' * GAP}"
    indent = sum(width + GAP for column, _, width in cells if not column.text)
    return [line.rstrip() for line in (before, *(" " * indent + line for line in lines))]


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair per line."""
    for line in fact_lines(list(facts), width_of(sys.stdout)):
        print(line)


def fact_lines(facts: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """The lines of names and values. A value that does not fit is wrapped, or gets a line of its own."""
    column = max(len(name) for name, _ in facts)
    lines = []
    for name, value in facts:
        parts = wrap(value, None if width is None else width - column - GAP)
        if width is not None and max(map(len, parts)) > width - column - GAP:
            lines += [name, *(f"  {part}" for part in wrap(value, width - GAP))]
            continue
        for i, part in enumerate(parts):
            lines.append(f"{'' if i else name:{column}}{' ' * GAP}{part}")
    return lines


def print_named(name: str, rest: str, before: str = "") -> None:
    """Print a name between other words on one line; a terminal shortens the name if there is no room."""
    print(line_of(name, rest, width_of(sys.stdout), before))


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences; a terminal wraps them between words."""
    width = width_of(sys.stdout)
    for line in lines:
        for part in wrap(line, width, "  "):
            print(part)
