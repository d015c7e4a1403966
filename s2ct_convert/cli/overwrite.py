"""``--overwrite`` of a store: on a terminal, s2ct shows what it would delete and asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_MOST_UNITS = 2  # named in the question


def overwrite_store(command: Command) -> Command:
    """Add --overwrite and --yes."""
    for option in (
        click.option("-y", "--yes", is_flag=True, help="Do not ask before --overwrite deletes a store."),
        click.option(
            "--overwrite",
            is_flag=True,
            help="Delete an existing store and start again. On a terminal, s2ct asks first.",
        ),
    ):
        command = option(command)
    return command


def may_overwrite(store: Path | str, *, yes: bool) -> None:
    """Ask whether an existing store may be deleted. Without a terminal, s2ct does not ask.

    Raises
    ------
    DestinationExists
        If the user answers no, or does not answer.
    """
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    from ..conversion.existing import find_existing
    from ..words import plural, size

    if isinstance(store, str):
        click.echo(f"--overwrite deletes the store {store} and its ledger {store}.s2ct, if they exist", err=True)
        _confirm(store)
        return
    there = find_existing(store)
    if there is None:
        return
    named = ", ".join(there.units[:_MOST_UNITS]) + (", ..." if len(there.units) > _MOST_UNITS else "")
    units = f"{plural(len(there.units), 'unit')} ({named})" if there.units else "no finished unit"
    click.echo(f"--overwrite deletes {units}, {size(there.bytes)}:", err=True)
    for path in there.paths:
        click.echo(f"  {path}", err=True)
    _confirm(store)


def _confirm(store: Path | str) -> None:
    from ..errors import DestinationExists

    if not click.confirm("Delete this and start again?", err=True):
        raise DestinationExists(
            "the destination exists; nothing was deleted",
            where=str(store),
            todo="choose another destination, or answer y",
        )
