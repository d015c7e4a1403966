"""``s2ct plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..words import shell_path
from . import options
from .cloud_options import cloud
from .planned import Converting, plan_of, planned
from .results import print_json


@click.command(cls=Converting, short_help="Estimate what a conversion needs; writes nothing.")
@planned
@cloud
@options.jobs
@options.memory
@options.bounds
@click.option(
    "-o", "--output", type=options.ANY_PATH, metavar="FILE", help="Write the plan, for s2ct convert --plan FILE."
)
@options.as_json
@options.verbose
@options.debugging
def plan(
    paths: tuple[Path | str, ...],
    jobs: int | None,
    memory: int | None,
    output: Path | None,
    json_: bool,
    verbose: bool,
    max_unpacked: int | None,
    max_decoding: int,
    **choices: Any,
) -> None:
    """Show the units of SOURCE..., and estimate the files, bytes, memory and time that STORE needs. Report problems.

    A short trial on the first source measures the speed of this machine. Nothing is written, except FILE with -o.

    \b
    s2ct plan archives/ clouds.zarr
    s2ct plan archives/ clouds.zarr -o plan.json
    s2ct convert --plan plan.json
    """
    from ..archives.bounds import Bounds
    from ..conversion.estimate import estimate
    from ..conversion.plan_file import write_plan
    from ..show.plan import plan_report, print_plan

    made = plan_of(paths, None, choices)
    bounds = Bounds(max_unpacked, max_decoding)
    found = estimate(made, jobs or options.available_cores(), memory=memory, bounds=bounds)
    if output is not None:
        write_plan(made, output)
    if json_:
        print_json(plan_report(made, found))
    else:
        print_plan(made, found, verbose=verbose)
        if output is not None:
            print(f"\n{output} has this plan: s2ct convert --plan {shell_path(output)}")
