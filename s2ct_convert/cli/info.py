"""``s2ct info``."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .results import print_json


@click.command(short_help="Show what is in a store, archive or TFRecord.")
@click.argument("path", type=options.DATA_PATH)
@options.as_unit
@options.as_json
@options.verbose
@options.debugging
def info(path: Path, unit: str | None, json_: bool, verbose: bool) -> None:
    """Show what is in a store, an archive, a TFRecord or a folder of sources.

    Works on a store in every state of its conversion. An archive is not unpacked. A TFRecord is read to the end, with
    all checksums. On a terminal, digests and md5 sums of units are shown with -v.
    """
    from ..conversion.describe import describe
    from ..show.info import print_info

    document = describe(path, unit=unit)
    if json_:
        print_json(document)
    else:
        print_info(document, verbose=verbose)
