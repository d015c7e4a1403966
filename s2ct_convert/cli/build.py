"""``s2ct build``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options, record_options
from .cloud_options import StoreOrAddress, cloud, max_requests, scratch
from .overwrite import may_overwrite, overwrite_store
from .planned import Converting, give_summary, kind
from .stopping import keeps_units


@click.command(cls=Converting, short_help="Download and convert in one go, with little disk space.")
@click.argument("store", type=StoreOrAddress())
@record_options.which_files
@click.option(
    "--archives",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="K",
    help="Archives on the disk at the same time, whole or partial.",
)
@click.option("--keep-archives", is_flag=True, help="Keep all archives; --archives has no effect.")
@click.option(
    "--keep-failed",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Archives of failed units to keep in addition; older ones are deleted.",
)
@kind
@options.unpacker
@options.bounds
@options.salvage
@options.demands
@options.jobs
@options.memory
@options.nice
@scratch
@max_requests
@cloud
@overwrite_store
@options.overwrite_units
@record_options.which_record
@options.as_json
@options.progress
def build(
    store: Path | str, jobs: int | None, yes: bool, json_: bool, quiet: bool, verbose: bool, **choices: Any
) -> None:
    """Download the archives of the record, convert each one, and delete it.

    The next archive is downloaded while the last one is converted. Archives are in STORE.archives; each is deleted once
    its unit is in STORE and was read back. A unit that fails does not stop the others: STORE then opens as partial. Run
    the same command again to resume.

    \b
    s2ct build clouds.zarr
    s2ct build clouds.zarr --tile 50SMG --archives 2
    s2ct build clouds.h5 --split val --keep-archives
    s2ct build s3://bucket/clouds.zarr
    """
    from ..conversion.build import build as run
    from ..show.progress import show_progress
    from ..show.summary import check_complete
    from ..units.summary import UnitsFailed

    place = f"{store}.archives" if isinstance(store, Path) else "the scratch folder"
    if choices["overwrite"]:
        may_overwrite(store, yes=yes)
    try:
        with show_progress(quiet=quiet, verbose=verbose, debug=options.debug()) as on_event:
            summary = run(
                store,
                jobs=jobs or options.available_cores(),
                on_event=keeps_units(store, on_event, f"; downloads stay in {place}"),
                command=options.command_line(),
                **choices,
            )
    except UnitsFailed as failed:
        give_summary(failed.summary, json_)
        raise
    give_summary(summary, json_)
    check_complete(summary)
