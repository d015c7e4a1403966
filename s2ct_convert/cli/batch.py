"""``s2ct batch``: a conversion as jobs of a batch system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..words import shell_path
from . import options
from .cloud_options import cloud, scratch
from .group import Group
from .overwrite import delete_store, may_overwrite
from .planned import plan_of, planned, store_of
from .results import print_json
from .stopping import keeps, keeps_units

if TYPE_CHECKING:
    from ..conversion.batch_status import BatchStatus


@click.group(cls=Group, short_help="Convert as jobs of SLURM, PBS or a shell.")
def batch() -> None:
    """Convert as jobs of a batch system: init once, run units by number on any host, finalise once.

    \b
    s2ct batch init archives/ clouds.zarr
    s2ct batch script clouds.zarr --scheduler slurm > job.sh
    bash job.sh                      submits an array of units, then finalise
    s2ct batch status clouds.zarr    lists planned, running, done and failed units
    s2ct verify store clouds.zarr

    All hosts must see the same files. A job that was killed can be run again: finished units stay and are not
    converted again.
    """


@batch.command()
@planned
@options.plan_file
@scratch
@cloud
@delete_store
@options.overwrite_units
@options.progress
def init(
    paths: tuple[Path | str, ...],
    plan_file: Path | None,
    overwrite: bool,
    yes: bool,
    overwrite_units: tuple[str, ...],
    quiet: bool,
    verbose: bool,
    **choices: Any,
) -> None:
    """Create an empty STORE and number its units.

    Numbers start at 1, with the largest unit. Nothing is converted yet. For a STORE in a bucket, --scratch must be on a
    disk that all hosts share; the other commands take the STORE in it.

    \b
    s2ct batch init archives/ clouds.zarr
    s2ct batch init --plan plan.json
    """
    from ..conversion.batch import init_batch
    from ..show.progress import show_progress

    if overwrite and (store := store_of(paths, plan_file)):
        may_overwrite(store, yes=yes, at_once=True)
    plan = plan_of(paths, plan_file, choices, bucket=True)
    with show_progress(quiet=quiet, verbose=verbose, debug=options.debug()) as on_event:
        init_batch(
            plan,
            overwrite=overwrite,
            overwrite_units=overwrite_units,
            command=options.command_line(),
            on_event=on_event,
        )
    print(f"{plan.target} is initialised: units 1 to {len(plan.files)}")
    print(f"next: s2ct batch script {shell_path(plan.store)} --scheduler slurm > job.sh")


@batch.command()
@click.argument("store", type=options.STORE_PATH)
@click.argument("numbers", required=False, metavar="[UNITS]")
@options.bounds
@options.jobs
@options.nice
@options.as_json
@options.progress
def run(
    store: Path,
    numbers: str | None,
    jobs: int | None,
    json_: bool,
    quiet: bool,
    verbose: bool,
    **bounds: Any,
) -> None:
    """Convert units by their numbers, such as 3 or 1,4-7.

    The default is the number of the array task, from SLURM_ARRAY_TASK_ID, PBS_ARRAY_INDEX, SGE_TASK_ID or LSB_JOBINDEX.
    A finished unit is skipped (exit code 0). A unit that another process is converting is refused (exit code 3).
    """
    from ..archives.bounds import Bounds
    from ..conversion.batch import run_units
    from ..conversion.ranges import ARRAY_VARIABLES, array_number, from_ranges
    from ..errors import WrongUsage
    from ..show.progress import show_progress
    from ..units.summary import salvaged_error

    number = array_number()
    if numbers is None and number is None:
        raise WrongUsage(
            "no unit number given",
            where=str(store),
            expected=f"a number, or one of the variables {', '.join(ARRAY_VARIABLES)}",
            todo=f"s2ct batch run {shell_path(store)} 1",
        )
    wanted = from_ranges(numbers) if numbers is not None else [number or 0]
    allowed = Bounds(**bounds)
    with show_progress(quiet=quiet, verbose=verbose, debug=options.debug()) as on_event:
        on_event = keeps_units(store, on_event)
        cores = jobs or options.available_cores()
        entries = run_units(store, wanted, threads=cores, bounds=allowed, on_event=on_event)
    if json_:
        import dataclasses

        print_json({"store": str(store), "units": [dataclasses.asdict(entry) for entry in entries]})
    elif numbers is None:  # a task of an array: other tasks run, and the job script finalises
        print(f"next: s2ct batch status {shell_path(store)}")
    else:
        from ..conversion.batch_status import batch_status
        from ..show.batch import next_step

        print(f"next: {next_step(batch_status(store), allowed.flags())}")
    if salvaged := [entry.unit for entry in entries if entry.salvaged]:
        raise salvaged_error(store, salvaged)


@batch.command()
@click.argument("store", type=options.STORE_PATH)
@options.as_json
@options.debugging
def status(store: Path, json_: bool) -> None:
    """Show which units are planned, running, done or failed. Works at any time."""
    from ..conversion.batch_status import batch_status
    from ..show.batch import print_status, status_document

    found: BatchStatus = batch_status(store)
    if json_:
        print_json(status_document(found))
    else:
        print_status(found)


@batch.command()
@click.argument("store", type=options.STORE_PATH)
@click.option(
    "--partial", is_flag=True, help="Finalise even if units or sources are missing or salvaged; the store lists them."
)
@options.progress
def finalise(store: Path, partial: bool, quiet: bool, verbose: bool) -> None:
    """Write the index and mark STORE as complete. Refused while units are missing; can be run again at any time."""
    from ..conversion.batch_finalise import finalise_batch
    from ..show.progress import show_progress
    from ..units.finalise import finished
    from ..words import without

    keeps(f"the units of {store} stay")
    with show_progress(quiet=quiet, verbose=verbose, debug=options.debug()) as on_event:
        digest, _ = finalise_batch(store, partial=partial, command=options.command_line(), on_event=on_event)
    attributes = finished(store) or {}
    lacks = without(*(attributes.get(name, "") for name in ("missing_units", "refused_sources", "salvaged_units")))
    print(f"{store} is {f'partial: {lacks}' if lacks else 'complete'}\ndigest  {digest}")


@batch.command()
@click.argument("store", type=options.STORE_PATH)
@click.option(
    "--scheduler",
    type=click.Choice(["slurm", "pbs", "shell"]),
    default="slurm",
    show_default=True,
    help="Batch system of the job script.",
)
@click.option("--throttle", type=click.IntRange(min=1), metavar="N", help="Tasks at the same time.  [default: 8]")
@click.option("-j", "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processor cores of a task.")
@options.debugging
def script(store: Path, scheduler: str, throttle: int | None, jobs: int) -> None:
    """Print a job script: an array job over the units, then finalise.

    STORE must exist: s2ct batch init creates it. Memory and time come from the plan, with a margin. A preempted task
    requeues itself. Read the script, add what your cluster needs (account, partition), then run it with bash: it
    submits itself.
    """
    from ..conversion.job_script import job_script

    print(job_script(store, scheduler, throttle=throttle or 8, threads=jobs), end="")
