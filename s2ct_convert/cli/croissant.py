"""``s2ct croissant``."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .results import print_json


@click.command(short_help="Describe a store for reuse (Croissant 1.1).")
@click.argument("store", type=options.STORE_PATH)
@click.argument("folder", type=options.ANY_PATH, required=False, metavar="[FOLDER]")
@options.overwrite
@options.as_json
@options.progress
def croissant(store: Path, folder: Path | None, overwrite: bool, json_: bool, quiet: bool, verbose: bool) -> None:
    """Write a description of STORE to FOLDER (default: STORE.croissant beside STORE).

    \b
    croissant.json   Croissant 1.1, for mlcroissant and search engines
    samples.csv      the index, one line per sample
    files.sha256     checksums of all files of the store, for sha256sum -c
    CITATION.cff     how to cite the dataset
    """
    from ..croissant.write import write_croissant
    from ..durable import size_of
    from ..show.progress import byte_progress
    from ..show.tables import print_named
    from ..words import plural, size

    with byte_progress("reading", size_of(store) if store.exists() else 0, quiet=quiet) as progress:
        done = write_croissant(store, folder, overwrite=overwrite, on_bytes=progress.advance)
    if json_:
        facts = {"files": done.files, "bytes": done.bytes, "samples": done.samples}
        print_json({"folder": str(done.folder), "document": str(done.folder / "croissant.json"), **facts})
    else:
        rest = f": {plural(done.samples, 'sample')} in {plural(done.files, 'file')}, {size(done.bytes)}"
        print_named(str(done.folder / "croissant.json"), rest)
