"""What ``convert``, ``plan`` and ``batch init`` have in common: sources, a store, and how it is to be made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import options

if TYPE_CHECKING:
    from ..units.plan import Plan

Command = TypeVar("Command", bound=Callable[..., Any])

CODECS = """\b
Codecs: size against the raw pixels, packing and unpacking speed of one core
(docs/codecs.md):
  zarr  fast      blosc lz4        0.68   1,400 MB/s  2,400 MB/s
        balanced  blosc zstd 2     0.62     450 MB/s  1,600 MB/s   [default]
        small     blosc zstd 9     0.59       7 MB/s  1,100 MB/s
        all three are core codecs of Zarr v3, which its readers have
  hdf5  gzip      shuffle deflate  0.65     440 MB/s    250 MB/s   [default]
                  every HDF5 and netCDF-4 build
        blosc     blosc zstd 2     0.62     410 MB/s  1,300 MB/s
                  h5py needs hdf5plugin for it; netCDF4-python has it"""


def kind(command: Command) -> Command:
    """--format, --codec, --linked: what the store is to be."""
    for option in (
        click.option(
            "--linked",
            is_flag=True,
            help="hdf5: keep a file per unit in STORE.units and make STORE a small file of links.",
        ),
        click.option(
            "--codec",
            metavar="NAME",
            help="fast, balanced or small for zarr; gzip or blosc for hdf5 (s2ct convert -h).",
        ),
        click.option(
            "-f",
            "--format",
            type=click.Choice(["zarr", "hdf5"]),
            help="Format of the store.  [default: by its suffix]",
        ),
    ):
        command = option(command)
    return command


def planned(command: Command) -> Command:
    """SOURCE... STORE, which of the sources, and what the store is to be."""
    for option in (
        options.as_unit,
        options.splits,
        click.option(
            "--tile", "tiles", multiple=True, metavar="TILE", help="Only this tile, e.g. 50SMG; may be repeated."
        ),
        options.demands,
        kind,
        click.argument("paths", nargs=-1, type=options.DATA_PATH, metavar="SOURCE... STORE"),
    ):
        command = option(command)
    return command


def plan_of(paths: tuple[Path, ...], plan_file: Path | None, choices: dict[str, Any]) -> Plan:
    """The plan that a command line asks for: what was found at the sources, or a plan file."""
    from ..conversion.plan_file import read_plan
    from ..units.options import PlanOptions, take
    from ..units.plan import make_plan

    given = ["--as"] if (unit := choices.pop("unit")) else []
    given += [_flag(name) for name in PlanOptions.__annotations__ if choices.get(name)]
    wanted = take(PlanOptions, choices)
    if plan_file is not None:
        if paths or given:
            raise click.UsageError(f"--plan says all that {', '.join(given) or 'SOURCE... STORE'} would: give one.")
        return read_plan(plan_file)
    if len(paths) < 2:
        missing = "SOURCE... STORE" if not paths else "STORE"
        raise click.UsageError(f"Missing argument '{missing}'.")
    *sources, store = paths
    return make_plan(sources, store, wanted, unit=unit)


def _flag(name: str) -> str:
    """The flag that sets an option, as on the command line."""
    return f"--{name.removesuffix('s').replace('_', '-')}"
