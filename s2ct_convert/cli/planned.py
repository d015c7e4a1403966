"""Arguments that ``convert``, ``plan`` and ``batch init`` share: sources, a store, and how to make it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import options, values
from .cloud_options import StoreOrAddress
from .results import print_json

if TYPE_CHECKING:
    from ..units.plan import Plan
    from ..units.summary import Summary

Command = TypeVar("Command", bound=Callable[..., Any])


class Converting(click.Command):
    """A command that makes a store. Its help ends with a table of codecs, which are imported only to show it."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        for line in codec_table():
            formatter.write(f"{line}\n")


def codec_table() -> list[str]:
    """All codecs by format, with size and speed, in lines of at most 80 columns."""
    from ..store.codecs import CODECS, DEFAULT_CODEC

    lines = [
        "Codecs: size relative to the raw pixels, packing and unpacking speed per core",
        "(docs/codecs.md; - is not measured):",
    ]
    width = max(len(codec.title) for codecs in CODECS.values() for codec in codecs.values())
    for format, codecs in CODECS.items():
        heading, ordered = format, list(codecs.values())
        for codec, following in zip(ordered, [*ordered[1:], None], strict=True):
            figures = f"{codec.figures.ratio:.2f}{_speed(codec.figures.packing)}{_speed(codec.figures.unpacking)}"
            default = "  [default]" if codec.name == DEFAULT_CODEC[format] else ""
            lines.append(f"  {heading:6}{codec.name:10}{codec.title:{width}}  {figures}{default}".rstrip())
            if codec.readers and (following is None or following.readers != codec.readers):
                lines.append(f"          {codec.readers}")
            heading = ""
    return lines


def _speed(megabytes: int | None) -> str:
    return f"{'-':>7}     " if megabytes is None else f"{megabytes:>7,} MB/s"


def kind(command: Command) -> Command:
    """Add --format, --codec, --linked and --statistics: the form of the store."""
    for option in (
        click.option(
            "--statistics",
            is_flag=True,
            help="Store mean, std and percentiles of the bands, and class counts and weights, in each unit.",
        ),
        click.option(
            "--linked",
            is_flag=True,
            help="hdf5: keep one file per unit in STORE.units; STORE is a small file of links.",
        ),
        click.option(
            "--codec",
            metavar="NAME",
            shell_complete=values.codecs,
            help="Codec of the pixels; s2ct convert -h ends with a table of codecs.",
        ),
        click.option(
            "-f",
            "--format",
            type=click.Choice(["zarr", "hdf5"]),
            help="Format of the store.  [default: from its suffix]",
        ),
    ):
        command = option(command)
    return command


def planned(command: Command) -> Command:
    """Add SOURCE... STORE, and the options that select sources and the form of the store."""
    for option in (
        options.as_unit,
        options.splits,
        options.tiles,
        options.salvage,
        options.demands,
        kind,
        click.argument("paths", nargs=-1, type=StoreOrAddress(), metavar="SOURCE... STORE"),
    ):
        command = option(command)
    return command


def plan_of(
    paths: tuple[Path | str, ...], plan_file: Path | None, choices: dict[str, Any], *, bucket: bool = False
) -> Plan:
    """The plan for a command line: made from the sources, or read from a plan file. ``bucket``: STORE may be in one."""
    from ..conversion.plan_file import read_plan
    from ..keywords import take
    from ..objects.remote import given_sources
    from ..paths import check_path
    from ..units.options import PlanOptions
    from ..units.plan import make_plan, make_plan_to

    scratch = choices.pop("scratch", None)
    flags = ["--as"] if (unit := choices.pop("unit")) else []
    flags += [_flag(name) for name in PlanOptions.__annotations__ if choices.get(name)]
    wanted = take(PlanOptions, choices)
    if plan_file is not None:
        if paths or flags:
            raise click.UsageError(f"--plan cannot be combined with {', '.join(flags) or 'SOURCE... STORE'}.")
        return read_plan(plan_file)
    if len(paths) < 2:
        missing = "SOURCE... STORE" if not paths else "STORE"
        raise click.UsageError(f"Missing argument '{missing}'.")
    *given, store = paths
    sources = given_sources(given)
    if not bucket:
        return make_plan(sources, check_path(store), wanted, unit=unit)
    return make_plan_to(sources, store, wanted, unit=unit, scratch=scratch)


def store_of(paths: tuple[Path | str, ...], plan_file: Path | None) -> Path | str | None:
    """The destination of a command line; None if it is missing."""
    from ..conversion.plan_file import read_plan

    if plan_file is not None:
        return read_plan(plan_file).store
    return paths[-1] if len(paths) > 1 else None


def give_summary(summary: Summary, json_: bool) -> None:
    """Show the result of a conversion."""
    from ..show.summary import print_summary, summary_document

    if json_:
        print_json(summary_document(summary))
    else:
        print_summary(summary)


def _flag(name: str) -> str:
    """The flag that sets an option, as on the command line."""
    return f"--{ {'tiles': 'tile', 'splits': 'split'}.get(name, name).replace('_', '-') }"
