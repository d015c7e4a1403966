"""``s2ct review``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .group import Group
from .results import print_json

if TYPE_CHECKING:
    from ..reading.agreement import Comparison, Disagreement, ReviewSummary

DIFFERENCES = 20  # that are shown; --json has all


@click.group(cls=Group, short_help="Read reviews of labels that s2ct view saved.")
def review() -> None:
    """Read reviews of labels that the page of s2ct view saved as CSV or JSON."""


@review.command(short_help="Compare a review with the labels, or two reviews.")
@click.argument("file", type=options.DATA_PATH)
@click.argument("second", type=options.DATA_PATH, required=False, metavar="[SECOND]")
@click.option("--store", type=options.STORE_PATH, help="The store that was reviewed: check every row against it.")
@options.as_json
@options.verbose
@options.debugging
def summary(file: Path, second: Path | None, store: Path | None, json_: bool, verbose: bool) -> None:
    """Say how far the reviewer of FILE agrees with the labels, and with the reviewer of a SECOND file.

    Agreement is over the rows with a suggestion; a suggestion that is the label counts as agreed. A date without a
    row counts nowhere. Cohen's kappa is over the dates for which both reviewers suggest a class.

    \b
    s2ct review summary review.csv
    s2ct review summary review.csv --store clouds.zarr
    s2ct review summary review.csv of_a_colleague.csv --json
    """
    from ..reading.agreement import review_summary
    from ..reading.opening import open_store

    if store is None:
        found = review_summary(file, second)
    else:
        with open_store(store) as opened:
            found = review_summary(file, second, store=opened)
    if json_:
        print_json(found.document())
    else:
        _show(found, every=verbose)


def _show(found: ReviewSummary, *, every: bool) -> None:
    from ..show.tables import Column, print_facts, print_table
    from ..words import plural

    facts = [("review", f"{found.review}, {plural(found.rows, 'date')}")]
    facts += [("", f"{found.suggested:,} with a class, {found.flagged:,} flagged, {found.noted:,} with a note")]
    facts += [("store", found.store_digest)]
    facts += [("agreement", f"{_share(found.same, found.suggested)} of the suggested classes are the label")]
    print_facts(facts)
    print("\nBy label: the suggested classes in columns")
    names = _names(found.classes)
    columns = [Column("label", left=True), Column("suggested"), Column("agreed")]
    columns += [Column("in store")] if found.in_store is not None else []
    columns += [Column(_short(number), part=1) for number in found.classes]
    rows = []
    for i, name in enumerate(names):
        total = int(found.matrix[i].sum())
        row = [name, f"{total:,}", _percent(int(found.matrix[i, i]), total)]
        row += [f"{found.in_store[i]:,}"] if found.in_store is not None else []
        rows.append(row + [f"{n:,}" if n else "." for n in found.matrix[i].tolist()])
    print_table(columns, rows)
    if found.second is not None:
        _show_second(found.second, every=every)


def _show_second(second: Comparison, *, every: bool) -> None:
    from ..show.tables import Column, print_facts, print_table
    from ..words import plural

    kappa = "not defined" if second.kappa is None else f"{second.kappa:.3f}"
    print()
    print_facts(
        [
            ("second", f"{second.review}: {plural(second.both, 'date')} with a class from both"),
            ("agreement", f"{_share(second.same, second.both)} have the same class"),
            ("kappa", f"{kappa} (Cohen; 1: they always agree, 0: as often as by chance)"),
        ]
    )
    if not second.differences:
        return
    shown = second.differences if every else second.differences[:DIFFERENCES]
    print("\nWhere they differ:")
    columns = [Column(name, left=True) for name in ("unit", "localid", "obs", "date", "label", "first", "second")]
    print_table(columns, [_difference(one) for one in shown], keys=3)
    if len(shown) < len(second.differences):
        print(f"and {len(second.differences) - len(shown):,} more: --verbose and --json show all")


def _difference(one: Disagreement) -> list[str]:
    from ..reading.agreement import class_name

    place = [one.unit, str(one.localid), str(one.obs), one.date or "-"]
    return [*place, *map(class_name, (one.label, one.first, one.second))]


def _names(classes: tuple[int, ...]) -> list[str]:
    from ..reading.agreement import class_name

    return [f"{number} {class_name(number)}".removesuffix(f" {number}") for number in classes]


def _short(number: int) -> str:
    return f"to {number}"


def _share(n: int, total: int) -> str:
    return f"{n:,} of {total:,} ({_percent(n, total)})"


def _percent(n: int, total: int) -> str:
    return f"{100 * n / total:.1f} %" if total else "-"
