"""``s2ct export``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from . import options
from .results import print_json
from .stopping import keeps


@click.command(short_help="Write a store back as TFRecords.")
@click.argument("store", type=options.STORE_PATH)
@click.argument("folder", type=options.ANY_PATH)
@click.option(
    "--to", type=click.Choice(["tfrecord"]), default="tfrecord", show_default=True, help="Format of the files."
)
@options.tiles
@options.splits
@click.option("--overwrite", is_flag=True, help="Replace files in FOLDER that differ.")
@options.as_json
@options.progress
def export(
    store: Path,
    folder: Path,
    to: str,
    tiles: tuple[str, ...],
    splits: tuple[str, ...],
    overwrite: bool,
    json_: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write the units of STORE to FOLDER as TFRecords, with every feature of every example as published.

    There is one file per unit, named SPLIT_TILE_EXAMPLES, with the examples in the order of the source. A file gets its
    name when it is whole. Run the same command again to resume: equal files stay, the others are written.

    \b
    s2ct export clouds.zarr back/
    s2ct export clouds.h5 back/ --to tfrecord --tile 50SMG --split val
    """
    from ..export.tfrecord import Exported, choose_units, export_tfrecord
    from ..reading.opening import open_store
    from ..show.progress import byte_progress
    from ..show.tables import print_named
    from ..words import plural, size

    keeps(f"whole TFRecords stay in {folder}")
    with open_store(store) as opened:
        pixels = sum(unit.observations for unit in choose_units(opened, tiles, splits)) * opened.dataset.obs_bytes
        with byte_progress("exporting", pixels, quiet=quiet) as progress:

            def report(one: Exported) -> None:
                there = ", already there" if one.was_there else ""
                progress.named(
                    str(one.path), f": {one.unit}, {plural(one.examples, 'example')}, {size(one.bytes)}{there}"
                )

            done = export_tfrecord(
                opened,
                folder,
                tiles=tiles,
                splits=splits,
                overwrite=overwrite,
                on_bytes=progress.advance,
                on_file=report,
            )
    if json_:
        print_json([{**dataclasses.asdict(one), "path": str(one.path)} for one in done])
    else:
        examples = plural(sum(one.examples for one in done), "example")
        rest = f": {plural(len(done), 'TFRecord')}, {examples}, {size(sum(one.bytes for one in done))}"
        print_named(str(folder), rest)
