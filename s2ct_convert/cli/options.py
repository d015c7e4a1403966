"""Options that several commands share, each defined once. A short letter has one meaning in the whole tool."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import values

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])

_debug = False


def debug() -> bool:
    """Whether ``--debug`` was given."""
    return _debug


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    global _debug
    _debug = value


def available_cores() -> int:
    """Number of cores this process may use."""
    from ..limits import cores

    return cores()


def command_line() -> str:
    """The command as typed, for the history of a store."""
    return shlex.join(["s2ct", *sys.argv[1:]])


class LocalPath(click.Path):
    """A path on this machine: not a URL and, with ``data``, not a pipe, socket or device.

    With ``store``, a shell completes stores.
    """

    def __init__(self, *, data: bool = False, store: bool = False) -> None:
        super().__init__(path_type=Path)
        self._data, self._store = data, store

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from ..paths import check_path, check_readable

        check = check_readable if self._data else check_path
        return super().convert(check(value), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return values.stores(incomplete) if self._store else super().shell_complete(ctx, param, incomplete)


class PathOrUrl(LocalPath):
    """A path of sources or a store on this machine, the URL of an archive, or the address of a store."""

    def __init__(self) -> None:
        super().__init__(data=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if is_address(value) else super().convert(value, param, ctx)


def is_url(value: object) -> bool:
    """Whether a word on the line is an http or https URL."""
    return isinstance(value, str) and re.match("https?://", value, re.IGNORECASE) is not None


def is_address(value: object) -> bool:
    """Whether a word on the line is a URL, or the address of a store in a bucket."""
    return is_url(value) or (isinstance(value, str) and re.match("(s3|gs|az)://", value, re.IGNORECASE) is not None)


ANY_PATH = LocalPath()
DATA_PATH = LocalPath(data=True)  # sources and stores
STORE_PATH = LocalPath(data=True, store=True)  # an existing store


debugging = click.option("--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show tracebacks.")
verbose = click.option("-v", "--verbose", is_flag=True, help="Show more details.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Show only notes, failures and the result.")


def progress(command: Command) -> Command:
    """Add -q, -v and --debug, for commands that show progress."""
    for option in (debugging, verbose, quiet):
        command = option(command)
    return command


as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON on stdout.")
jobs = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Cores to use.  [default: all that this process may use]",
)


def read_bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Parse a size in bytes as batch systems write it: 4G is 4 x 1024^3."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", value, re.IGNORECASE)
    if not found or not float(found[1]):
        raise click.BadParameter(f"{value!r} is not a size, such as 4G or 800M")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


memory = click.option(
    "--memory",
    callback=read_bytes,
    metavar="SIZE",
    help="Memory limit, such as 4G; fewer units run at a time if necessary. Default: the limit of the process.",
)


def _set_nice(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    if value:
        os.nice(value)


nice = click.option(
    "--nice",
    type=click.IntRange(0, 19),
    metavar="N",
    expose_value=False,
    callback=_set_nice,
    help="Lower the priority of the process: 0 (not at all) to 19.",
)


def _words(fold: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[str, ...]]:
    """Read an option that takes several words, as ``A,B`` or repeated, in any case."""

    def read(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        from .. import names

        words = [getattr(names, fold)(word) for value in values for word in value.split(",")]
        if "" in words:
            raise click.BadParameter(f"{','.join(values)!r} has an empty part")
        return tuple(dict.fromkeys(words))

    return read


tiles = click.option(
    "--tile",
    "tiles",
    multiple=True,
    metavar="TILE[,TILE]",
    callback=_words("fold_tile"),
    shell_complete=values.tiles,
    help="Only these tiles, e.g. 50SMG; may be repeated.",
)
splits = click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="SPLIT[,SPLIT]",
    callback=_words("fold_split"),
    shell_complete=values.splits,
    help="Only these splits, e.g. train or val; may be repeated.",
)
as_unit = click.option(
    "--as",
    "unit",
    metavar="SPLIT/TILE",
    help="Unit of the one source whose name does not give it, e.g. train/50SMG.",
)
plan_file = click.option(
    "--plan",
    "plan_file",
    type=ANY_PATH,
    metavar="FILE",
    help="Use the plan that s2ct plan -o FILE wrote, instead of SOURCE... STORE.",
)
unpacker = click.option(
    "--unpacker",
    type=click.Choice(["auto", "python", "7zz"]),
    default="auto",
    help="Program that unpacks archives; auto: 7zz or 7z if available (7-Zip 21.01 or later), else python. "
    "The result is the same.  [default: auto]",
)


def bounds(command: Command) -> Command:
    """Add --max-unpacked and --max-decoding: what a source may take."""
    for option in (
        click.option(
            "--max-decoding",
            callback=read_bytes,
            default="1G",
            metavar="SIZE",
            help="Memory that decoding may take: the dictionary of an archive, or one example.  [default: 1G]",
        ),
        click.option(
            "--max-unpacked",
            callback=read_bytes,
            metavar="SIZE",
            help="Size that one source may unpack to, such as 200G.  [default: 100 times its own size, at least 4G]",
        ),
    ):
        command = option(command)
    return command


def demands(command: Command) -> Command:
    """Add --strict and --accept-count: requirements on a source."""
    for option in (
        click.option(
            "--accept-count",
            is_flag=True,
            help="Accept a bare TFRecord that holds less than the number in its name.",
        ),
        click.option(
            "--strict",
            is_flag=True,
            help="Refuse a source that differs from the description of the record, instead of noting it.",
        ),
    ):
        command = option(command)
    return command


salvage = click.option(
    "--salvage",
    is_flag=True,
    help="From a damaged source, take every example whose checksums are right, and note what is missing (exit code 3). "
    "For sources that cannot be fetched again.",
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace existing files.")
overwrite_units = click.option(
    "--overwrite-unit",
    "overwrite_units",
    multiple=True,
    shell_complete=values.units,
    metavar="SPLIT/TILE",
    help="Replace this unit if the store has it from another source; may be repeated.",
)
