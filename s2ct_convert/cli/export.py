"""``s2ct export``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .cloud_options import StoreOrAddress, cloud
from .results import print_json
from .selecting import given, select, selecting
from .stopping import keeps

if TYPE_CHECKING:
    from ..export.folder import ExportedFolder
    from ..export.tfrecord import Exported
    from ..reading.store import Store
    from ..show.progress import ByteProgress

FORMATS = ("tfrecord", "parquet", "webdataset", "netcdf")
_NOUNS = {"parquet": "Parquet file", "webdataset": "tar file", "netcdf": "netCDF file"}


@click.command(short_help="Write a store, or a selection, in another format.")
@click.argument("store", type=StoreOrAddress())
@click.argument("folder", type=options.ANY_PATH)
@click.option("--to", type=click.Choice(FORMATS), default="tfrecord", show_default=True, help="Format of the files.")
@click.option("--index", is_flag=True, help="parquet: the index alone, a row per sample, without pixels.")
@selecting
@click.option(
    "--shard-size",
    metavar="SIZE",
    callback=options.read_bytes,
    help="parquet, webdataset: most bytes of pixels in a file.  [default: 256M]",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in FOLDER; of TFRecords, files that differ.")
@cloud
@options.as_json
@options.progress
def export(
    store: Path | str, folder: Path, to: str, index: bool, shard_size: int | None, overwrite: bool, json_: bool,
    quiet: bool, verbose: bool, **choices: Any,
) -> None:  # fmt: skip
    """Write STORE, or a selection of it, to files in FOLDER.

    \b
    tfrecord    whole units, every feature of every example as published
    parquet     a row per observation: DuckDB, pandas, Hugging Face
    webdataset  tar files with an item per sample, for training
    netcdf      a file per unit: xarray, netCDF tools

    A TFRecord gets its name, SPLIT_TILE_EXAMPLES, when it is whole. Run the same command again to resume: equal files
    stay, the others are written. In the other formats, FOLDER appears when all its files are whole. It must be absent
    or empty; export.json in it says what was selected. They need the extra [export].

    \b
    s2ct export clouds.zarr back/
    s2ct export clouds.h5 back/ --to tfrecord --tile 50SMG --split val
    s2ct export clouds.zarr index/ --to parquet --index
    s2ct export clouds.zarr snow/ --to parquet --label snow --time 2018-11:2019-03
    s2ct export clouds.zarr shards/ --to webdataset --split train
    s2ct export clouds.zarr summer/ --to netcdf --tile 50SMG --month 6,7,8
    """
    _check_options(to, index, shard_size, choices)
    from ..reading.opening import open_store
    from ..show.progress import byte_progress

    keeps(f"whole TFRecords stay in {folder}" if to == "tfrecord" else f"nothing of {folder} has changed")
    with open_store(store) as opened:
        if to == "tfrecord":
            _tfrecords(opened, folder, choices, overwrite=overwrite, json_=json_, quiet=quiet)
            return
        selection = select(opened, choices)
        pixels = 0 if index else selection.count() * opened.dataset.obs_bytes
        with byte_progress("exporting", pixels, quiet=quiet) as progress:
            chosen: dict[str, Any] = {"index": index} if index else {}
            chosen |= {"shard_size": shard_size} if shard_size else {}
            done = _function(to)(selection, folder, overwrite=overwrite, on_bytes=progress.advance, **chosen)
            _show(done, progress, every=verbose)
    _print(done, json_)


def _check_options(to: str, index: bool, shard_size: int | None, choices: dict[str, Any]) -> None:
    """Refuse options that the format does not have."""
    wrong = given(choices) if to == "tfrecord" else []
    if wrong:
        raise click.UsageError(f"--to tfrecord writes whole units, without {', '.join(wrong)}. Choose another format.")
    if index and to != "parquet":
        raise click.UsageError("--index is for --to parquet.")
    if shard_size is not None and (index or to not in ("parquet", "webdataset")):
        raise click.UsageError("--shard-size is for the pixels of --to parquet and --to webdataset.")


def _function(to: str) -> Any:
    if to == "parquet":
        from ..export.parquet import export_parquet

        return export_parquet
    if to == "webdataset":
        from ..export.webdataset import export_webdataset

        return export_webdataset
    from ..export.netcdf import export_netcdf

    return export_netcdf


def _show(done: ExportedFolder, progress: ByteProgress, *, every: bool) -> None:
    from ..words import plural, size

    for one in done.files if every else ():
        numbers = f": {plural(one.samples, 'sample')}, {plural(one.observations, 'observation')}, {size(one.bytes)}"
        progress.named(str(one.path), numbers)


def _print(done: ExportedFolder, json_: bool) -> None:
    from ..show.tables import print_named
    from ..words import plural, size

    numbers = {"samples": done.samples, "observations": done.observations, "bytes": done.bytes}
    if json_:
        files = [{**dataclasses.asdict(one), "path": str(one.path)} for one in done.files]
        print_json({"folder": str(done.folder), "format": done.format, **numbers, "files": files})
    else:
        counts = f"{plural(done.samples, 'sample')}, {plural(done.observations, 'observation')}"
        rest = f": {plural(len(done.files), _NOUNS[done.format])}, {counts}, {size(done.bytes)}"
        print_named(str(done.folder), rest)


def _tfrecords(
    opened: Store, folder: Path, choices: dict[str, Any], *, overwrite: bool, json_: bool, quiet: bool
) -> None:
    from ..export.tfrecord import choose_units, export_tfrecord
    from ..show.progress import byte_progress
    from ..show.tables import print_named
    from ..words import plural, size

    units = {name: choices[name] for name in ("tiles", "splits")}
    pixels = sum(unit.observations for unit in choose_units(opened, **units)) * opened.dataset.obs_bytes
    with byte_progress("exporting", pixels, quiet=quiet) as progress:

        def report(one: Exported) -> None:
            there = ", already there" if one.was_there else ""
            progress.named(str(one.path), f": {one.unit}, {plural(one.examples, 'example')}, {size(one.bytes)}{there}")

        done = export_tfrecord(opened, folder, **units, overwrite=overwrite, on_bytes=progress.advance, on_file=report)
    if json_:
        numbers = {name: sum(getattr(one, name) for one in done) for name in ("examples", "bytes")}
        files = [{**dataclasses.asdict(one), "path": str(one.path)} for one in done]
        print_json({"folder": str(folder), "format": "tfrecord", **numbers, "files": files})
    else:
        examples = plural(sum(one.examples for one in done), "example")
        rest = f": {plural(len(done), 'TFRecord')}, {examples}, {size(sum(one.bytes for one in done))}"
        print_named(str(folder), rest)
