"""``s2ct convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .cloud_options import cloud, max_requests, scratch
from .overwrite import may_overwrite, overwrite_store
from .planned import Converting, give_summary, plan_of, planned, store_of
from .stopping import keeps_units


@click.command(cls=Converting, short_help="Convert archives or TFRecords to a store.")
@planned
@options.plan_file
@options.unpacker
@options.bounds
@options.jobs
@options.memory
@options.nice
@click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    help="Convert on this machine, or on the workers of a Dask scheduler (docs/dask.md).  [default: local]",
)
@click.option("--scheduler", metavar="ADDRESS", help="dask: address of the scheduler, e.g. tcp://host:8786.")
@click.option(
    "--scheduler-file", type=options.ANY_PATH, metavar="FILE", help="dask: the file that the scheduler writes."
)
@click.option(
    "--workers-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    metavar="SECONDS",
    help="dask: time to wait for the scheduler and workers.  [default: 60]",
)
@scratch
@max_requests
@cloud
@overwrite_store
@options.overwrite_units
@options.as_json
@options.progress
def convert(
    paths: tuple[Path | str, ...],
    plan_file: Path | None,
    jobs: int | None,
    yes: bool,
    json_: bool,
    quiet: bool,
    verbose: bool,
    **choices: Any,
) -> None:
    """Convert archives (.7z), TFRecord files or folders of them to one store.

    Run the same command again to resume: finished units stay in STORE and are recorded in STORE.s2ct beside it. A
    source that fails does not stop the others: STORE then opens as partial. Another source replaces a unit in STORE
    only with --overwrite-unit.

    \b
    s2ct convert archives/ clouds.zarr
    s2ct convert train_50SMG_462.7z val_50SMG_35.7z 50SMG.h5
    s2ct convert archives/ clouds.zarr --split train --codec small -j 8
    s2ct convert --plan plan.json
    s2ct convert archives/ s3://bucket/clouds.zarr
    s2ct convert s3://bucket/archives/ clouds.zarr

    A SOURCE in a bucket or at an https address is read in place, with Python's unpacker (docs/cloud.md).
    """
    local, cores = choices["engine"] == "local", jobs or options.available_cores()
    if local and cores > 1 and (plan_file or len(paths) > 2 or any(map(_may_be_several, paths[:-1]))):
        from ..engines.server import start_server
        from ..paths import format_of_name

        # For several units: the server imports modules while this process does the same.
        start_server(choices["format"] or (format_of_name(Path(paths[-1])) if paths else None))

    from ..conversion.convert import convert_plan
    from ..errors import WrongUsage
    from ..keywords import take
    from ..show.progress import show_progress
    from ..show.summary import check_complete
    from ..units.options import EngineOptions, RunOptions
    from ..units.summary import UnitsFailed

    if jobs and not local:
        raise WrongUsage("-j does not apply to --engine dask", todo="leave out -j; start more Dask workers instead")
    if choices["overwrite"] and (store := store_of(paths, plan_file)):
        may_overwrite(store, yes=yes)
    run, engine = take(RunOptions, {"jobs": cores, **choices}), take(EngineOptions, choices)
    try:
        with show_progress(quiet=quiet, verbose=verbose, debug=options.debug()) as on_event:
            plan = plan_of(paths, plan_file, choices, bucket=True)
            on_event = keeps_units(plan.target, on_event)
            summary = convert_plan(plan, run, engine, on_event=on_event, command=options.command_line())
    except UnitsFailed as failed:
        give_summary(failed.summary, json_)
        raise
    give_summary(summary, json_)
    check_complete(summary)


def _may_be_several(source: Path | str) -> bool:
    return options.is_address(source) or Path(source).is_dir()
