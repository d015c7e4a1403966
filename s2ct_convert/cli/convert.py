"""``s2ct convert``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .planned import CODECS, plan_of, planned

if TYPE_CHECKING:
    from ..conversion.summary import Summary


@click.command(short_help="Convert archives or TFRecords to a store.", epilog=CODECS)
@planned
@options.plan_file
@click.option(
    "--unpacker",
    type=click.Choice(["auto", "python", "7zz"]),
    default="auto",
    help="What unpacks archives; auto: 7zz or 7z where it is on the PATH (7-Zip 21.01 or later), else python. "
    "The store is the same.  [default: auto]",
)
@options.jobs
@options.memory
@options.nice
@click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    help="Make units here, or on the workers of a Dask scheduler (docs/dask.md).  [default: local]",
)
@click.option("--scheduler", metavar="ADDRESS", help="dask: where the scheduler is, e.g. tcp://host:8786.")
@click.option("--scheduler-file", type=options.ANY_PATH, metavar="FILE", help="dask: the file that it writes.")
@click.option(
    "--workers-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    metavar="SECONDS",
    help="dask: how long to wait for scheduler and workers.  [default: 60]",
)
@options.overwrite
@options.as_json
@options.progress
def convert(
    paths: tuple[Path, ...],
    plan_file: Path | None,
    unpacker: str,
    jobs: int | None,
    memory: int | None,
    engine: str,
    scheduler: str | None,
    scheduler_file: Path | None,
    workers_timeout: float,
    overwrite: bool,
    json_: bool,
    quiet: bool,
    verbose: bool,
    **choices: Any,
) -> None:
    """Convert archives (.7z), TFRecord files or folders of them to one store.

    The same command, run again, goes on where it was stopped: finished units are kept in STORE and noted in
    STORE.s2ct beside it. A source that fails does not stop the others.

    \b
    s2ct convert archives/ clouds.zarr
    s2ct convert train_50SMG_462.7z val_50SMG_35.7z 50SMG.h5
    s2ct convert archives/ clouds.zarr --split train --codec small -j 8
    s2ct convert --plan plan.json
    """
    from ..conversion.run import convert_plan
    from ..conversion.summary import UnitsFailed
    from ..errors import Incomplete, WrongUsage
    from ..show.progress import show_progress

    if jobs and engine == "dask":
        raise WrongUsage("-j is for this machine", todo="start as many Dask workers as units are to be made at a time")
    try:
        with show_progress(quiet=quiet, verbose=verbose, debug=options.debug()) as on_event:
            plan = plan_of(paths, plan_file, **choices)
            summary = convert_plan(
                plan,
                jobs=jobs or options.available_cores(),
                memory=memory,
                overwrite=overwrite,
                engine=engine,
                scheduler=scheduler,
                scheduler_file=scheduler_file,
                workers_timeout=workers_timeout,
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
            where=str(summary.store),
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
