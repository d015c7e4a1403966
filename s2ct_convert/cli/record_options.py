"""Options of the commands that talk to the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from glob import escape
from pathlib import Path
from typing import Any, TypeVar

import click

from ..words import shell_join, shell_path
from . import options

Command = TypeVar("Command", bound=Callable[..., Any])
_MOST_NAMED = 8  # files that a printed command names


def which_record(command: Command) -> Command:
    """Add --record, --base-url and --user-agent."""
    for option in (
        click.option("--user-agent", metavar="TEXT", help="User-Agent header sent to the service."),
        click.option(
            "--base-url",
            metavar="URL",
            help="Root URL of the service.  [default: S2CT_ZENODO_URL, else https://zenodo.org]",
        ),
        click.option("--record", default="10613705", show_default=True, help="ID, DOI or URL of the record."),
    ):
        command = option(command)
    return command


def which_files(command: Command) -> Command:
    """Add --tile, --split and --file."""
    for option in (
        click.option(
            "--file", "files", multiple=True, metavar="GLOB", help="Only files whose names match; may be repeated."
        ),
        options.splits,
        options.tiles,
    ):
        command = option(command)
    return command


def fetch_again(files: Iterable[Path], *, repair: bool = False, named: bool = True) -> str:
    """The command that downloads files again to where they are, or one for each of their folders.

    It names the files, so that it fetches nothing else; with many of them, or ``named=False``, it names their folder.
    """
    folders: dict[Path, list[str]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file.name)
    return "; ".join(_fetch(folder, names if named else [], repair) for folder, names in folders.items())


def _fetch(folder: Path, names: list[str], repair: bool) -> str:
    from ..record.manifest import DEFAULT_RECORD, BadManifest, find_lock

    try:
        lock = find_lock(folder)
    except BadManifest:  # several locks: --manifest was given instead
        lock = None
    words = ["s2ct download"] + ([shell_path(folder)] if folder != Path() else [])
    words += ["--record", lock.record] if lock and lock.record not in ("", DEFAULT_RECORD) else []
    if len(names) <= _MOST_NAMED and all(name.lower().endswith(".7z") for name in names):
        words += [f"--file {shell_join([escape(name)])}" for name in names]
    return " ".join(words + (["--repair"] if repair else []))
