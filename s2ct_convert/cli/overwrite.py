"""``--overwrite`` of a store: on a terminal, s2ct shows what it would replace or delete, and asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_MOST_UNITS = 2  # named in the question


def overwrite_store(command: Command) -> Command:
    """Add --overwrite and --yes, for a command that replaces a store once the new one is finished."""
    return _add(command, "Replace an existing store by a new one once that is finished. On a terminal, s2ct asks.")


def delete_store(command: Command) -> Command:
    """Add --overwrite and --yes, for a command that deletes a store before it starts."""
    return _add(command, "Delete an existing store and start again. On a terminal, s2ct asks first.")


def _add(command: Command, text: str) -> Command:
    for option in (
        click.option("-y", "--yes", is_flag=True, help="Do not ask before --overwrite."),
        click.option("--overwrite", is_flag=True, help=text),
    ):
        command = option(command)
    return command


def may_overwrite(store: Path | str, *, yes: bool, at_once: bool = False) -> None:
    """Ask whether an existing store may be replaced. Without a terminal, s2ct does not ask.

    Parameters
    ----------
    store : Path or str
    yes : bool
        Do not ask.
    at_once : bool
        It is deleted before the new store is made.

    Raises
    ------
    DestinationExists
        If the user answers no, or does not answer.
    """
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    from ..conversion.existing import find_existing
    from ..show.terminal import width_of, wrap
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
    how, when = ("deletes", "") if at_once else ("replaces", ", once a new store is finished")
    for line in wrap(f"--overwrite {how} {units}, {size(there.bytes)}{when}:", width_of(sys.stderr), "  "):
        click.echo(line, err=True)
    for path in there.paths:
        click.echo(f"  {path}", err=True)
    _confirm(store, "Delete this and start again?" if at_once else "Make a new store and replace this one?")


def _confirm(store: Path | str, question: str = "Delete this and start again?") -> None:
    from ..errors import DestinationExists

    if not click.confirm(question, err=True):
        raise DestinationExists(
            "the destination exists; nothing was deleted",
            where=str(store),
            todo="choose another destination, or answer y",
        )
