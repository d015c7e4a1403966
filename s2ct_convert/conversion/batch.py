"""A conversion as jobs of a batch system: start it once, make units by number in any job, finalise it once.

All jobs need the same file system and nothing else. The ledger records what is done. A job that runs again, twice at
the same time, or never costs time but no data.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..archives.bounds import BOUNDS, Bounds
from ..archives.unpackers import find_unpacker
from ..engines.worker import make_unit
from ..errors import DuplicateUnit, Incomplete, S2ctError, SourceError, WrongUsage
from ..events import Message, OnEvent, ignore
from ..names import UnitName, printable
from ..objects.remote import is_there
from ..objects.scratch import begin_scratch
from ..source.read import open_source
from ..units.bucket import look_at_bucket
from ..units.claim import alone, claim
from ..units.entries import UnitEntry
from ..units.events import UnitDone, UnitFailed, UnitsPlanned
from ..units.ledger import Ledger
from ..units.options import ONE_JOB
from ..units.plan import Plan, SourceFile
from ..units.resume import Candidate, Kin, check_overwrites, kin
from ..units.summary import UnitsFailed
from ..units.swap import is_swapping
from ..units.tally import End, Tally
from ..units.unit import UnitTask, done_entry, open_container
from ..words import shell_path
from .convert import begin, sort_out
from .plan_file import check_source, read_files, read_plan, write_plan
from .ranges import to_ranges


def init_batch(
    plan: Plan,
    *,
    overwrite: bool = False,
    overwrite_units: Iterable[str] = (),
    command: str,
    on_event: OnEvent = ignore,
) -> None:
    """Start a conversion: write the plan, which numbers the units, and an empty store.

    A second call with the same plan keeps what is done.

    Parameters
    ----------
    overwrite_units : iterable of str
        Units such as ``train/50SMG`` that the store has from another source and that tasks may replace.

    Raises
    ------
    DestinationExists
        If the destination holds something else.
    WrongUsage
        If a batch with another plan was started here and has units to make.
    SourceError
        If a source cannot be used, or the store has its unit from another source. Nothing is written then.
    """
    overwrites = check_overwrites(overwrite_units, plan.units)
    if plan.unusable:
        raise SourceError(
            f"{len(plan.unusable)} of the sources cannot be used",
            where=str(plan.store),
            found="\n            ".join(str(one.error).splitlines()[0] for one in plan.unusable),
            todo="repair or download them again, or leave them out",
        )
    if plan.address:
        begin_scratch(plan.address, plan.store)
    container, ledger = open_container(plan.store, plan.options), Ledger(plan.store)
    if overwrite and container.exists():
        _read_first_examples(plan)
    with alone(ledger, on_event):
        look_at_bucket(container, ledger, plan.units, on_event, several=True, overwrite=overwrite)
        claim(container, ledger, plan.options, overwrite=overwrite)
        if _is_another_underway(plan, ledger):
            raise WrongUsage(
                "a batch with another plan was started here, and is not finished",
                where=str(plan.store),
                todo="finish that one, give --overwrite to start again, or choose another destination",
            )
        tally = Tally(lambda event: on_event(event) if isinstance(event, Message) else None)
        todo = sort_out(plan, container, ledger, overwrites, ONE_JOB, tally)
        if tally.failures:
            raise _refused(plan.store, tally.failures)
        if todo:
            begin(container, ledger, plan.options, plan.units, printable(command))
        for unit in plan.units:
            replace = str(unit) in overwrites and ledger.entry(unit) is not None
            if replace or ledger.is_to_be_replaced(unit):
                ledger.mark_to_replace(unit, replace=replace)
            ledger.mark_chosen(unit, chosen=False)
        write_plan(plan, ledger.plan_path)
        on_event(Message(f"{len(todo)} unit{'' if len(todo) == 1 else 's'} to make, {len(tally.skipped)} done before"))


def _read_first_examples(plan: Plan) -> None:
    """Read an example of every source, before a store is deleted for them.

    Raises
    ------
    SourceError
    """
    for source in plan.sources:
        with open_source(source, dataset=plan.options.dataset, unpacker=find_unpacker("auto")) as examples:
            next(iter(examples), None)


def _is_another_underway(plan: Plan, ledger: Ledger) -> bool:
    """Whether tasks of another plan have units to make."""
    if not ledger.plan_path.exists() or read_plan(ledger.plan_path).hash == plan.hash:
        return False
    units = [file.source.unit for file in read_files(ledger.plan_path)]
    return any(ledger.entry(unit) is None or ledger.is_to_be_replaced(unit) for unit in units)


def _refused(store: Path, failures: Sequence[UnitFailed]) -> DuplicateUnit:
    """The error of a plan whose sources differ from the sources of units in the store."""
    sources = "\n            ".join(f"{failure.source}: another source of {failure.unit}" for failure in failures)
    flags = " ".join(f"--overwrite-unit {failure.unit}" for failure in failures)
    return DuplicateUnit(
        "the store has these units from other sources",
        where=str(store),
        found=sources,
        todo=f"leave these sources out, or replace the units: {flags}",
    )


def run_units(
    store: Path, numbers: Sequence[int], *, threads: int = 1, bounds: Bounds = BOUNDS, on_event: OnEvent = ignore
) -> list[UnitEntry]:
    """Make units by their numbers, one after another in this process. Finished units are kept.

    Returns
    -------
    list of UnitEntry
        The entries of all these units.

    Raises
    ------
    WrongUsage
        If no batch was started here, or there is no unit with such a number.
    Incomplete
        If a run on the whole store is active, or was stopped while a new store took its place.
    UnitsFailed
        If units failed, or another process is making them. The others are done.
    """
    plan, files, ledger = _started_batch(store)
    if wrong := [number for number in numbers if not 1 <= number <= len(files)]:
        raise WrongUsage(f"there is no unit {wrong[0]}", where=str(store), expected=f"numbers from 1 to {len(files)}")
    if owner := ledger.run_lease().living(on_event):
        raise ledger.run_lease().refusal(owner)
    if is_swapping(store):
        raise Incomplete(
            "a new store was about to take the place of this one, and the run was stopped",
            where=str(store),
            todo=f"s2ct batch finalise {shell_path(store)}: it finishes this",
        )
    began, tally = time.monotonic(), Tally(on_event)
    container, todo = open_container(store, plan.options), list[tuple[UnitTask, SourceFile]]()
    for number in dict.fromkeys(numbers):
        file = files[number - 1]
        unit = file.source.unit
        entry, replace = done_entry(container, ledger, unit), ledger.is_to_be_replaced(unit)
        if entry and not replace and _is_of_plan(entry, file):
            on_event(Message(f"{entry.unit} is done"))
            ledger.refused.settle(unit)
            tally.skipped.append(entry)
            continue
        replaces = entry if replace else None
        task = UnitTask(
            store,
            plan.options,
            file.source,
            threads,
            plan.hash,
            bounds=bounds,
            demands=plan.demands,
            replaces=replaces,
            in_batch=True,
            overwrite=replace,
        )
        todo.append((task, file))
    if todo:
        tally(UnitsPlanned(sum(file.bytes for _, file in todo), len(todo), len(tally.skipped)))
    for task, file in todo:
        tally(_make(task, file, tally))
    for failure in tally.failures:
        if failure.refused:  # the plan's source was asked for again
            ledger.mark_chosen(UnitName.from_path(failure.unit), chosen=False)
    if tally.failures:
        failed = {failure.unit for failure in tally.failures}
        again = to_ranges([n for n, one in enumerate(files, start=1) if str(one.source.unit) in failed])
        end = End(tuple(failure.unit for failure in tally.failures if not failure.refused), (), None)
        summary = tally.summary(store, plan.options, end, time.monotonic() - began)
        raise UnitsFailed(summary, again=f"s2ct batch run {shell_path(store)} {again}{bounds.flags()}")
    return tally.skipped + tally.converted


def _make(task: UnitTask, file: SourceFile, on_event: OnEvent) -> UnitDone | UnitFailed:
    try:
        check_source(file)
    except S2ctError as error:
        return UnitFailed(str(file.source.unit), str(file.source.path), error.exit_code, str(error))
    return make_unit(task, on_event)


def _is_of_plan(entry: UnitEntry, file: SourceFile) -> bool:
    """Whether a unit was made from the planned source. If the source was deleted, name and size decide."""
    if is_there(file.source.path):
        return kin(entry, Candidate.of(file.source)) in (Kin.SAME, Kin.EQUAL)
    return (entry.source_file, entry.source_bytes) == (file.source.path.name, file.bytes)


def _started_batch(store: Path) -> tuple[Plan, tuple[SourceFile, ...], Ledger]:
    ledger = Ledger(store)
    if not ledger.plan_path.exists():
        raise WrongUsage(
            "no batch was started here", where=str(store), todo="start with s2ct batch init SOURCE... STORE"
        )
    plan = read_plan(ledger.plan_path)
    return plan, read_files(ledger.plan_path), ledger
