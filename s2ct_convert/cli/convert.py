"""``s2ct convert``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..conversion.summary import Summary

_CODECS = """\b
Codecs, with size against the raw pixels and speed of one core (packing, unpacking; docs/codecs.md):
  zarr  fast      blosc lz4        0.68   1,400 MB/s  2,400 MB/s
        balanced  blosc zstd 2     0.62     450 MB/s  1,600 MB/s   [default]
        small     blosc zstd 9     0.59       7 MB/s  1,100 MB/s
        all three: core codecs of Zarr v3 (zarr-python, xarray, tensorstore, zarrs, zarrita.js, GDAL)
  hdf5  gzip      shuffle deflate  0.65     440 MB/s    250 MB/s   [default]
                  every HDF5 and netCDF-4 build
        blosc     blosc zstd 2     0.62     410 MB/s  1,300 MB/s
                  needs the Blosc filter: hdf5plugin for h5py; netCDF4-python brings it"""


@click.command(short_help="Convert archives or TFRecords to a store.", epilog=_CODECS)
@click.argument("sources", nargs=-1, required=True, type=options.ANY_PATH, metavar="SOURCE...")
@click.argument("store", type=options.ANY_PATH)
@click.option(
    "-f",
    "--format",
    "format_",
    type=click.Choice(["zarr", "hdf5"]),
    help="Format of the store.  [default: by its suffix]",
)
@click.option("--codec", metavar="NAME", help="fast, balanced or small for zarr; gzip or blosc for hdf5 (see below).")
@click.option("--tile", "tiles", multiple=True, metavar="TILE", help="Only this tile, e.g. 50SMG; may be repeated.")
@click.option("--split", "splits", multiple=True, type=click.Choice(["train", "val"]), help="Only this split.")
@click.option(
    "--linked", is_flag=True, help="hdf5: keep a file per unit in STORE.units and make STORE a small file of links."
)
@click.option(
    "--unpacker",
    type=click.Choice(["auto", "python", "7zz"]),
    default="auto",
    help="What unpacks archives; auto: 7zz or 7z where it is on the PATH (7-Zip 21.01 or later), else python. "
    "The store is the same.  [default: auto]",
)
@options.jobs
@options.overwrite
@options.as_json
@options.progress
def convert(
    sources: tuple[Path, ...],
    store: Path,
    format_: str | None,
    codec: str | None,
    tiles: tuple[str, ...],
    splits: tuple[str, ...],
    linked: bool,
    unpacker: str,
    jobs: int | None,
    overwrite: bool,
    json_: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Convert archives (.7z), TFRecord files or folders of them to one store.

    The same command, run again, goes on where it was stopped: finished units are kept in STORE and noted in
    STORE.s2ct beside it. A source that fails does not stop the others.

    \b
    s2ct convert archives/ clouds.zarr
    s2ct convert train_50SMG_462.7z val_50SMG_35.7z 50SMG.h5
    s2ct convert archives/ clouds.zarr --split train --codec small -j 8
    """
    from ..conversion.run import convert as run
    from ..conversion.summary import UnitsFailed
    from ..errors import Incomplete
    from ..show.progress import show_progress

    try:
        with show_progress(quiet=quiet, verbose=verbose, debug=options.debug()) as on_event:
            summary = run(
                sources,
                store,
                format=format_,
                codec=codec,
                tiles=tiles,
                splits=splits,
                jobs=jobs or options.available_cores(),
                overwrite=overwrite,
                linked=linked,
                unpacker=unpacker,
                on_event=on_event,
                command=shlex.join(["s2ct", *sys.argv[1:]]),
            )
    except UnitsFailed as failed:
        _print(failed.summary, json_)
        raise
    _print(summary, json_)
    if summary.missing:
        raise Incomplete(
            "the store is not complete: units of an earlier run are missing",
            where=str(store),
            found=", ".join(summary.missing),
            todo="convert their sources too, or give --overwrite to make a store of these alone",
        )


def _print(summary: Summary, json_: bool) -> None:
    from ..show.tables import print_facts, print_json
    from ..show.words import plural, seconds, size

    if json_:
        print_json(_document(summary))
        return
    done = summary.converted + summary.skipped
    counts = [f"{len(summary.converted)} converted"]
    counts += [f"{len(summary.skipped)} done before"] if summary.skipped else []
    counts += [f"{len(summary.failures)} failed"] if summary.failures else []
    facts = [
        ("store", f"{summary.store} ({summary.format}, {summary.codec})"),
        ("units", ", ".join(counts)),
        ("samples", f"{sum(record.samples for record in done):,}"),
        ("observations", f"{sum(record.observations for record in done):,}"),
    ]
    if summary.converted:
        rate = summary.bytes_raw / summary.seconds
        facts += [
            ("read", size(summary.bytes_in)),
            ("written", f"{size(summary.bytes_out)}, {_ratio(summary.bytes_out, summary.bytes_raw)} of the pixels"),
            ("time", f"{seconds(summary.seconds)}, {size(rate)}/s of pixels"),
        ]
        facts += [("unpacked by", "; ".join(summary.unpackers))] if summary.unpackers else []
    notes = [
        f"{record.unit}: {plural(count, what)}"
        for record in done
        for count, what in (
            (record.labels_outside, "label outside the six classes, kept as published"),
            (record.dates_with_time, "date with a time of day, of which the day is kept"),
        )
        if count
    ]
    facts += [("note", note) for note in notes]
    facts += [("digest", summary.digest)] if summary.digest else []
    print_facts(facts)


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def _document(summary: Summary) -> dict[str, Any]:
    import dataclasses

    done = summary.converted + summary.skipped
    return {
        "store": str(summary.store),
        "format": summary.format,
        "codec": summary.codec,
        "unpackers": list(summary.unpackers),
        "complete": summary.digest is not None,
        "missing": list(summary.missing),
        "digest": summary.digest,
        "converted": [dataclasses.asdict(record) for record in summary.converted],
        "skipped": [dataclasses.asdict(record) for record in summary.skipped],
        "failed": [
            {"unit": f.unit, "source": f.source, "exit_code": f.exit_code, "message": f.message}
            for f in summary.failures
        ],
        "units": len(done),
        "samples": sum(record.samples for record in done),
        "observations": sum(record.observations for record in done),
        "bytes_in": summary.bytes_in,
        "bytes_out": summary.bytes_out,
        "bytes_pixels": summary.bytes_raw,
        "ratio": summary.bytes_out / summary.bytes_raw if summary.bytes_raw else None,
        "seconds": round(summary.seconds, 3),
        "mb_per_second": round(summary.bytes_raw / 1e6 / summary.seconds, 1) if summary.seconds else None,
    }
