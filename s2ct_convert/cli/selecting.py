"""Options that select observations, as ``store.select`` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import options, values

if TYPE_CHECKING:
    from ..reading.select import Selection
    from ..reading.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])
NAMES = (
    "localid",
    "label",
    "time",
    "months",
    "max_length",
    "seed",
)  # parameters of `selecting`, without tile and split


def _split(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[str] | None:
    """Values of a repeated option, each of which may be a list ``A,B``."""
    words = [word.strip() for value in given for word in value.split(",")]
    if "" in words:
        raise click.BadParameter(f"{','.join(given)!r} has an empty part")
    return words or None


def _numbers(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[int] | None:
    words = _split(ctx, param, given)
    try:
        return None if words is None else [int(word) for word in words]
    except ValueError:
        raise click.BadParameter(f"{','.join(given)!r} is not a number, nor a list of numbers") from None


def _labels(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[str | int] | None:
    words = _split(ctx, param, given)
    return None if words is None else [int(one) if one.removeprefix("-").isdecimal() else one for one in words]


def _dates(ctx: click.Context, param: click.Parameter, given: str | None) -> str | slice | None:
    """One date, or ``FIRST:LAST``, either of which may be missing."""
    if given is None:
        return None
    from ..reading.filters import days

    first, colon, last = given.partition(":")
    time = slice(first or None, last or None) if colon else given
    try:
        if not given.strip(":"):
            raise ValueError
        begin, end = days(time)
    except ValueError:
        raise click.BadParameter(f"{given!r} is not a date, such as 2018-06-01, 2018-06 or 2018-06:2018-09") from None
    if begin > end:
        raise click.BadParameter(f"{given!r} ends before it begins")
    return time


def selecting(command: Command) -> Command:
    """Add the options of ``store.select``."""
    for option in (
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            metavar="N",
            help="With --max-length: begin at a random observation of each sample.",
        ),
        click.option(
            "--max-length",
            type=click.IntRange(min=1),
            metavar="N",
            help="At most N consecutive matching observations of a sample.",
        ),
        click.option(
            "--month",
            "months",
            multiple=True,
            metavar="N[,N]",
            callback=_numbers,
            help="Only observations of these months, 1 to 12, of any year; may be repeated.",
        ),
        click.option(
            "--time",
            metavar="DATE[:DATE]",
            callback=_dates,
            help="Only observations of this day, month or year, or from one to the other, e.g. 2018-06:2018-09.",
        ),
        click.option(
            "--label",
            multiple=True,
            metavar="NAME[,NAME]",
            callback=_labels,
            shell_complete=values.labels,
            help="Only observations of these classes, by name or number; may be repeated.",
        ),
        click.option(
            "--localid",
            multiple=True,
            metavar="N[,N]",
            callback=_numbers,
            help="Only these samples; may be repeated.",
        ),
        options.splits,
        options.tiles,
    ):
        command = option(command)
    return command


def select(store: Store, choices: dict[str, Any]) -> Selection:
    """The selection of a command line.

    Raises
    ------
    WrongUsage
        If the store has no such tile, split or class, or the choices contradict each other.
    """
    from ..errors import WrongUsage

    if choices["seed"] is not None and choices["max_length"] is None:
        raise click.UsageError("--seed is for --max-length: it chooses where each sample begins.")
    wanted = {name: choices[name] for name in NAMES}
    names = {"tile": choices["tiles"] or None, "split": choices["splits"] or None}
    try:
        return store.select(**names, **wanted)
    except (KeyError, ValueError) as error:
        raise WrongUsage(str(error.args[0]), where=str(store.path)) from None


def given(choices: dict[str, Any]) -> list[str]:
    """The options of ``selecting`` on a command line that TFRecords do not take."""
    return [f"--{name.removesuffix('s').replace('_', '-')}" for name in NAMES if choices[name] is not None]
