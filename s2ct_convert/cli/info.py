"""``s2ct info``."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .cloud_options import cloud, is_store
from .peek import finish_peek
from .results import print_json


@click.command(short_help="Show what is in a store, archive or TFRecord.")
@click.argument("path", type=options.PathOrUrl(), metavar="PATH|URL")
@options.as_unit
@cloud
@options.as_json
@options.verbose
@options.debugging
def info(path: Path | str, unit: str | None, json_: bool, verbose: bool) -> None:
    """Show what is in a store, an archive, a TFRecord or a folder of sources.

    Works on a store in every state of its conversion. An archive is not unpacked. A TFRecord is read to the end, with
    all checksums. On a terminal, a store is summed up; -v shows counts of labels, places, sources and digests too.

    A URL that ends in .zarr, and an s3://, gs:// or az:// address, is a store. Any other URL is an archive. It is not
    downloaded: s2ct requests only parts of it, as s2ct peek does.
    """
    if isinstance(path, str) and not is_store(path):
        if unit is not None:
            raise click.UsageError("--as cannot be combined with a URL")
        from ..peeking.peek import peek_url

        finish_peek(peek_url(path), json_=json_, verbose=verbose, alone=True)
        return
    from ..conversion.describe import describe
    from ..objects.address import place_of
    from ..show.info import print_info

    document = describe(place_of(path), unit=unit)
    if json_:
        print_json(document)
    else:
        print_info(document, verbose=verbose)
