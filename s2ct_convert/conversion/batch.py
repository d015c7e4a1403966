"""A conversion cut into jobs of a batch system: begin it once, make units by number anywhere, finish it once.

Every job needs the same file system and nothing else. The ledger says what is done; a job that is run again, twice at
once, or never, costs work at most.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import Incomplete, NotAStore, S2ctError, SourceError, WrongUsage, from_os_error
from ..lease import Owner
from ..names import UnitName, printable
from ..store.layout import STATE_INCOMPLETE, root_attributes
from ..version import __version__
from .claim import alone, claim
from .events import Note, OnEvent, UnitDone, UnitFailed
from .finalise import complete, finished_digest
from .ledger import Ledger
from .plan import Plan, SourceFile
from .plan_file import check_source, read_files, read_plan, write_plan
from .records import Failure, UnitRecord
from .run import begin, is_of, sort_out
from .summary import Summary, UnitsFailed
from .unit import UnitTask, done_record, open_container
from .worker import make_unit

ARRAY_VARIABLES = ("SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "SGE_TASK_ID", "LSB_JOBINDEX")


class UnitState(StrEnum):
    """How far a unit is."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class UnitStatus:
    """A unit of a store that is being made. ``number`` is None where no batch was begun."""

    number: int | None
    unit: str
    state: UnitState
    owner: Owner | str | None
    record: UnitRecord | None
    failure: Failure | None


@dataclass(frozen=True)
class BatchStatus:
    """All units of a store, and whether it is finished."""

    store: Path
    finished: bool
    run: Owner | str | None
    units: tuple[UnitStatus, ...]

    def count(self, state: UnitState) -> int:
        return sum(one.state is state for one in self.units)

    @property
    def missing(self) -> str:
        """Numbers of the units that nobody has made or is making, as ``--array`` takes them."""
        todo = (UnitState.PLANNED, UnitState.FAILED)
        return to_ranges([one.number for one in self.units if one.number and one.state in todo])


def init_batch(plan: Plan, *, overwrite: bool = False, command: str, on_event: OnEvent = lambda event: None) -> None:
    """Begin a conversion: the plan with the numbers of units, and an empty store. Again with the same plan: nothing.

    Raises
    ------
    DestinationExists
        If something else is there.
    WrongUsage
        If a batch with another plan was begun here.
    SourceError
        If a source cannot be used.
    """
    if plan.unusable:
        raise SourceError(
            f"{len(plan.unusable)} of the sources cannot be used",
            where=str(plan.store),
            found="\n            ".join(str(one.error).splitlines()[0] for one in plan.unusable),
            todo="mend them, or leave them out",
        )
    container, ledger = open_container(plan.store, plan.options), Ledger(plan.store)
    with alone(ledger, on_event):
        claim(container, ledger, plan.options, overwrite=overwrite)
        if ledger.plan_path.exists() and read_plan(ledger.plan_path).hash != plan.hash:
            raise WrongUsage(
                "a batch with another plan was begun here",
                where=str(plan.store),
                todo="finish that one, give --overwrite to start anew, or choose another destination",
            )
        done, todo = sort_out(plan, container, ledger)
        if todo:
            begin(container, ledger, plan.options, plan.units, printable(command))
        write_plan(plan, ledger.plan_path)
        on_event(Note(f"{len(todo)} units to make, {len(done)} done before"))


def run_units(
    store: Path, numbers: Sequence[int], *, threads: int = 1, on_event: OnEvent = lambda event: None
) -> list[UnitRecord]:
    """Make units by their numbers, one after another in this process. One that is done is left as it is.

    Returns
    -------
    list of UnitRecord
        Of all these units.

    Raises
    ------
    WrongUsage
        If no batch was begun here, or there is no such number.
    Incomplete
        If a run on the whole store is at work.
    UnitsFailed
        If units could not be made, or somebody else is making them. The others are done.
    """
    plan, files, ledger = _begun(store)
    if wrong := [number for number in numbers if not 1 <= number <= len(files)]:
        raise WrongUsage(f"there is no unit {wrong[0]}", where=str(store), expected=f"a number from 1 to {len(files)}")
    container = open_container(store, plan.options)
    if owner := ledger.run_lease().owner():
        raise ledger.run_lease().refusal(owner)
    skipped, failures, converted = [], [], []
    for number in numbers:
        file = files[number - 1]
        record = done_record(container, ledger, file.source.unit)
        if record and _is_of_plan(record, file):
            on_event(Note(f"{record.unit} is done"))
            skipped.append(record)
            continue
        if finished_digest(store) is not None:  # finalised without it, or its source has changed since
            attributes = root_attributes(state=STATE_INCOMPLETE, version=__version__, command="", units=0, digest="")
            container.begin(ledger.planned(), attributes)
        outcome = _make(UnitTask(store, plan.options, file.source, threads, plan.hash), file, on_event)
        on_event(outcome)
        if isinstance(outcome, UnitDone):
            converted.append(outcome.record)
        else:
            failures.append(outcome)
    if failures:
        failed = {failure.unit for failure in failures}
        again = to_ranges([n for n, one in enumerate(files, start=1) if str(one.source.unit) in failed])
        summary = Summary(
            store=store,
            format=plan.options.format,
            codec=plan.options.codec,
            converted=tuple(converted),
            skipped=tuple(skipped),
            failures=tuple(failures),
            missing=tuple(failed),
            digest=None,
            seconds=0.0,
        )
        raise UnitsFailed(summary, again=shlex.join(["s2ct", "batch", "run", str(store), again]))
    return skipped + converted


def _make(task: UnitTask, file: SourceFile, on_event: OnEvent) -> UnitDone | UnitFailed:
    try:
        check_source(file)
    except S2ctError as error:
        return UnitFailed(str(file.source.unit), str(file.source.path), error.exit_code, str(error))
    return make_unit(task, on_event)


def _is_of_plan(record: UnitRecord, file: SourceFile) -> bool:
    """Whether a unit is of the planned source; one that was deleted since, to save space, is taken at its word."""
    if file.source.path.exists():
        return is_of(record, file.source)
    return (record.source_file, record.source_bytes) == (file.source.path.name, file.bytes)


def _begun(store: Path) -> tuple[Plan, tuple[SourceFile, ...], Ledger]:
    ledger = Ledger(store)
    if not ledger.plan_path.exists():
        raise WrongUsage("no batch was begun here", where=str(store), todo="begin with s2ct batch init SOURCE... STORE")
    plan = read_plan(ledger.plan_path)
    return plan, read_files(ledger.plan_path), ledger


def batch_status(store: Path) -> BatchStatus:
    """What is done, under way, failed and still to do. Works in every state, and while others are at work.

    Raises
    ------
    NotAStore
        If no conversion was begun here.
    """
    ledger = Ledger(store)
    options = ledger.options()
    if options is None:
        raise NotAStore(
            "no conversion was begun here", where=str(store), todo="check the path, or begin with s2ct batch init"
        )
    container = open_container(store, options)
    files = read_files(ledger.plan_path) if ledger.plan_path.exists() else ()
    numbers = {file.source.unit: number for number, file in enumerate(files, start=1)}
    order = sorted(ledger.planned(), key=lambda unit: (numbers.get(unit, len(numbers) + 1), unit))
    units = []
    for unit in order:
        record = done_record(container, ledger, unit)
        owner = None if record else ledger.unit_lease(unit).owner()
        failure = None if record or owner else ledger.failure(unit)
        state = (
            UnitState.DONE
            if record
            else UnitState.RUNNING
            if owner
            else UnitState.FAILED
            if failure
            else UnitState.PLANNED
        )
        units.append(UnitStatus(numbers.get(unit), str(unit), state, owner, record, failure))
    finished = finished_digest(store) is not None and not container.has_unmerged(order)
    return BatchStatus(store, finished, ledger.run_lease().owner(), tuple(units))


def finalise_batch(
    store: Path, *, partial: bool = False, command: str, on_event: OnEvent = lambda event: None
) -> tuple[str, tuple[UnitName, ...]]:
    """Write index and root of a store whose units are done. Can be run again at any time.

    Parameters
    ----------
    partial : bool
        Also if units are missing: the store then says so, and of which.

    Returns
    -------
    digest : str
        Content digest of the store.
    missing : tuple of UnitName

    Raises
    ------
    Incomplete
        If units are missing, or others are at work.
    """
    ledger = Ledger(store)
    options = ledger.options()
    if options is None:
        raise WrongUsage("no conversion was begun here", where=str(store), todo="check the path")
    container = open_container(store, options)
    with alone(ledger, on_event):
        planned = ledger.planned()
        done = [unit for unit in planned if done_record(container, ledger, unit)]
        made = set(done)
        missing = tuple(unit for unit in planned if unit not in made)
        if not done or (missing and not partial):
            status = batch_status(store)
            again = status.missing or " ".join(map(str, missing))
            raise Incomplete(
                f"{len(missing)} of {len(planned)} units are missing",
                where=str(store),
                found=", ".join(map(str, missing[:8])) + (" ..." if len(missing) > 8 else ""),
                todo=f"make them (--array={again}), then finalise again"
                + ("; or finalise without them: --partial" if done else ""),
            )
        try:
            ledger.clean(everything=True)
        except OSError as error:
            raise from_os_error(error, str(store)) from error
        return complete(container, ledger, printable(command), done, on_event), missing


def array_number() -> int | None:
    """Number of this task of an array job; None outside one."""
    for name in ARRAY_VARIABLES:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:  # LSF has 0 and SGE "undefined" outside of arrays
            return int(value)
    return None


def to_ranges(numbers: Sequence[int]) -> str:
    """``1,3-5`` of 1, 3, 4, 5."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def from_ranges(text: str) -> list[int]:
    """Inverse of :func:`to_ranges`.

    Raises
    ------
    WrongUsage
    """
    numbers: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        if not low.isdigit() or (high and not high.isdigit()) or part.endswith("-") or int(high or low) < int(low):
            raise WrongUsage("these are no numbers of units", where=text, expected="such as 3 or 1,4-7")
        numbers += range(int(low), int(high or low) + 1)
    return list(dict.fromkeys(numbers))
