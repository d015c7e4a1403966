"""Values that a shell completes: codecs, stores, and the tiles and splits of the stores and folders on the line.

A key press must not print an error, so an unreadable path has no values. The command itself reports the error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..names import UnitName

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

_FORMATS = {".zarr": "zarr", ".h5": "hdf5", ".hdf5": "hdf5"}


def codecs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The codecs of the format, or of both formats if it is not known yet, each with its figures."""
    from ..store.codecs import CODECS

    named = [_FORMATS.get(path.suffix) for path in _paths(ctx)]
    format = ctx.params.get("format") or next((one for one in reversed(named) if one), None)
    found = []
    for each, those in CODECS.items():
        if format in (None, each):
            for name, codec in those.items():
                ratio, packing, unpacking = codec.figures
                speeds = f", packs {packing:,} MB/s, unpacks {unpacking:,} MB/s" if packing and unpacking else ""
                found.append((name, f"{each}: {ratio:.2f} of the pixels{speeds}"))
    return _items(found, incomplete)


def tiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tiles of the store, the folder or the lock named on the line."""
    return _listed({unit.tile for unit in _units(ctx)}, incomplete)


def splits(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Splits of the same."""
    return _listed({unit.split for unit in _units(ctx)}, incomplete)


def labels(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Classes of the record."""
    from ..dataset import DATASET

    return _listed(DATASET.classes, incomplete)


def units(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Units of the same."""
    return _items([(str(unit), "") for unit in sorted(_units(ctx))], incomplete)


def stores(incomplete: str) -> list[CompletionItem]:
    """Stores in the folder of the word, and folders to look into; any file if there is no store."""
    from click.shell_completion import CompletionItem

    from ..kinds import stores_in

    head = incomplete[: len(incomplete) - len(os.path.basename(incomplete))]  # noqa: PTH119  # the text, as typed
    try:
        found = stores_in(Path(head or ".").expanduser())
    except OSError:
        found = []
    items = _items([(f"{head}{path.name}", "") for path in found], incomplete)
    return [*items, CompletionItem(incomplete, type="dir")] if items else [CompletionItem(incomplete, type="file")]


def _items(found: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(value, help=text or None) for value, text in found if value.startswith(incomplete)]


def _listed(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Words after the last comma of a list, in any case."""
    head, comma, last = incomplete.rpartition(",")
    found = [word for word in sorted(words) if word.lower().startswith(last.lower())]
    return _items([(f"{head}{comma}{word}", "") for word in found], f"{head}{comma}")


def _paths(ctx: click.Context) -> list[Path]:
    """The words on the line that may be paths, in order.

    Not from ``ctx.params``: click leaves the arguments out while the value of an option is being typed.
    """
    from click.shell_completion import split_arg_string

    words = split_arg_string(os.environ.get("COMP_WORDS", ""))
    words = [word for word in words if word not in ctx.command_path.split() and not word.startswith("-")]
    return [Path(word).expanduser() for word in words]


def _units(ctx: click.Context) -> set[UnitName]:
    from ..errors import S2ctError

    found: set[UnitName] = set()
    places = [place for path in _paths(ctx) for place in (path, Path(f"{path}.archives"))]  # the second: s2ct build
    for place in [place for place in places if place.exists()] or [Path()]:
        try:
            found |= _units_of(place)
        except (S2ctError, OSError):
            continue
    return found


def _units_of(path: Path) -> set[UnitName]:
    """The units of a store, or in the names of sources in a folder and in its lock."""
    from ..kinds import Kind, kind_of
    from ..names import UnitName, is_split, is_tile, try_name
    from ..record.manifest import find_lock

    kind = kind_of(path)
    if kind is Kind.ZARR:  # by its folders: opening it would import zarr at each key press
        groups = [(one.parent.parent.name, one.parent.name) for one in path.glob("*/*/zarr.json")]
        return {UnitName(split, tile) for split, tile in groups if is_split(split) and is_tile(tile)}
    if kind is Kind.HDF5:
        from ..reading.opening import open_store

        with open_store(path, allow_incomplete=True) as opened:
            return {UnitName.from_path(name) for name in opened.units}
    names = [path.name]
    if path.is_dir():
        names = [one.name for one in path.iterdir()]
        names += [file.key for file in lock.files] if (lock := find_lock(path)) else []
    return {parsed.unit for name in names if (parsed := try_name(name)) and parsed.sure}
