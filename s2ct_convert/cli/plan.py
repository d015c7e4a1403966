"""``s2ct plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .planned import Converting, plan_of, planned


@click.command(cls=Converting, short_help="Say what a conversion will take; nothing is written.")
@planned
@options.jobs
@options.memory
@click.option("-o", "--output", type=options.ANY_PATH, metavar="FILE", help="Write the plan, for convert --plan FILE.")
@options.as_json
@options.debugging
def plan(
    paths: tuple[Path, ...],
    jobs: int | None,
    memory: int | None,
    output: Path | None,
    json_: bool,
    **choices: Any,
) -> None:
    """Say what converting SOURCE... to STORE will take: units, files, bytes, memory, time, and what is in the way.

    A short try on the first source tells how fast this machine is. Nothing is written but FILE, if one is given.

    \b
    s2ct plan archives/ clouds.zarr
    s2ct plan archives/ clouds.zarr -o plan.json
    s2ct convert --plan plan.json
    """
    from ..conversion.estimate import estimate
    from ..conversion.plan_file import write_plan
    from ..show.plan import plan_report, print_plan
    from ..show.tables import print_json

    made = plan_of(paths, None, choices)
    found = estimate(made, jobs or options.available_cores(), memory=memory)
    if output is not None:
        write_plan(made, output)
    if json_:
        print_json(plan_report(made, found))
    else:
        print_plan(made, found)
