"""Options of the commands that talk to the service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..words import shell_path
from . import options

Command = TypeVar("Command", bound=Callable[..., Any])


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


def same_files(paths: tuple[Path, ...]) -> str:
    """The arguments of a download to the folder that was checked: empty if it was this one, or not one folder."""
    from ..record.manifest import DEFAULT_RECORD, BadManifest, find_lock

    folder = paths[0] if len(paths) == 1 else Path()
    if not folder.is_dir():
        return ""
    try:
        lock = find_lock(folder)
    except BadManifest:  # several locks: --manifest was given instead
        lock = None
    record = f" --record {lock.record}" if lock and lock.record not in ("", DEFAULT_RECORD) else ""
    return f" {shell_path(folder)}{record}" if folder != Path() else record
