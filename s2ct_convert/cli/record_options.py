"""Options of the commands that talk to the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from . import options

Command = TypeVar("Command", bound=Callable[..., Any])


def which_record(command: Command) -> Command:
    """--record, --base-url, --user-agent."""
    for option in (
        click.option("--user-agent", metavar="TEXT", help="How to introduce ourselves to the service."),
        click.option(
            "--base-url",
            metavar="URL",
            help="Root of the service.  [default: S2CT_ZENODO_URL, else https://zenodo.org]",
        ),
        click.option("--record", default="10613705", show_default=True, help="Id, DOI or URL of the record."),
    ):
        command = option(command)
    return command


def which_files(command: Command) -> Command:
    """--tile, --split, --file."""
    for option in (
        click.option("--file", "files", multiple=True, metavar="GLOB", help="Only files so named; may be repeated."),
        options.splits,
        click.option("--tile", "tiles", multiple=True, metavar="TILE", help="Only this tile; may be repeated."),
    ):
        command = option(command)
    return command
