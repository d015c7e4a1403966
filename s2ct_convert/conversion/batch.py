"""A conversion cut into jobs of a batch system: begin it once, make units by number anywhere, finish it once.

Every job needs the same file system and nothing else. The ledger says what is done; a job that is run again, twice at
once, or never, costs work at most.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..engines.worker import make_unit
from ..errors import DuplicateUnit, Incomplete, NotAStore, S2ctError, SourceError, WrongUsage, from_os_error
from ..events import Message, OnEvent, ignore
from ..lease import Owner
from ..names import UnitName, printable
from ..units.claim import alone, claim
from ..units.entries import Failure, UnitEntry
from ..units.events import UnitDone, UnitFailed
from ..units.finalise import complete, finished
from ..units.ledger import Ledger
from ..units.plan import Plan, SourceFile
from ..units.resume import Candidate, Kin, check_overwrites, kin
from ..units.summary import UnitsFailed
from ..units.tally import End, Tally, done_units
from ..units.unit import UnitTask, done_entry, open_container
from .convert import begin, sort_out
from .plan_file import check_source, read_files, read_overwrites, read_plan, write_plan
from .ranges import to_ranges


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
    entry: UnitEntry | None
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


def init_batch(
    plan: Plan,
    *,
    overwrite: bool = False,
    overwrite_units: Iterable[str] = (),
    command: str,
    on_event: OnEvent = ignore,
) -> None:
    """Begin a conversion: the plan with the numbers of units, and an empty store. Again with the same plan: nothing.

    Parameters
    ----------
    overwrite_units : iterable of str
        Units such as ``train/50SMG`` that are there of another source, and that tasks may replace.

    Raises
    ------
    DestinationExists
        If something else is there.
    WrongUsage
        If a batch with another plan was begun here.
    SourceError
        If a source cannot be used, or is another one of a unit that is there. Nothing is begun then.
    """
    overwrites = check_overwrites(overwrite_units, plan.units)
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
        tally = Tally(lambda event: on_event(event) if isinstance(event, Message) else None)
        todo = sort_out(plan, container, ledger, overwrites, "auto", tally)
        if tally.failures:
            raise _refused(plan.store, tally.failures)
        if todo:
            begin(container, ledger, plan.options, plan.units, printable(command))
        write_plan(plan, ledger.plan_path, overwrites)
        on_event(Message(f"{len(todo)} unit{'' if len(todo) == 1 else 's'} to make, {len(tally.skipped)} done before"))


def _refused(store: Path, failures: Sequence[UnitFailed]) -> DuplicateUnit:
    """The error of a plan with other sources of units that are there."""
    told = "\n            ".join(f"{failure.source}: another source of {failure.unit}" for failure in failures)
    flags = " ".join(f"--overwrite-unit {failure.unit}" for failure in failures)
    return DuplicateUnit(
        "the store has units of other sources than these",
        where=str(store),
        found=told,
        todo=f"leave these sources out; or replace the units by them: {flags}",
    )


def run_units(store: Path, numbers: Sequence[int], *, threads: int = 1, on_event: OnEvent = ignore) -> list[UnitEntry]:
    """Make units by their numbers, one after another in this process. One that is done is left as it is.

    Returns
    -------
    list of UnitEntry
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
    if owner := ledger.run_lease().living(on_event):
        raise ledger.run_lease().refusal(owner)
    began, tally, overwrites = time.monotonic(), Tally(on_event), read_overwrites(ledger.plan_path)
    container = open_container(store, plan.options)
    for number in numbers:
        file = files[number - 1]
        unit = file.source.unit
        entry = done_entry(container, ledger, unit)
        if entry and _is_of_plan(entry, file):
            on_event(Message(f"{entry.unit} is done"))
            tally.skipped.append(entry)
            continue
        replaces = entry if str(unit) in overwrites else None
        task = UnitTask(
            store, plan.options, file.source, threads, plan.hash, replaces=replaces, in_batch=True, demands=plan.demands
        )
        tally(_make(task, file, tally))
    if tally.failures:
        failed = {failure.unit for failure in tally.failures}
        again = to_ranges([n for n, one in enumerate(files, start=1) if str(one.source.unit) in failed])
        end = End(tuple(failure.unit for failure in tally.failures if not failure.refused), (), None)
        summary = tally.summary(store, plan.options, end, time.monotonic() - began)
        raise UnitsFailed(summary, again=shlex.join(["s2ct", "batch", "run", str(store), again]))
    return tally.skipped + tally.converted


def _make(task: UnitTask, file: SourceFile, on_event: OnEvent) -> UnitDone | UnitFailed:
    try:
        check_source(file)
    except S2ctError as error:
        return UnitFailed(str(file.source.unit), str(file.source.path), error.exit_code, str(error))
    return make_unit(task, on_event)


def _is_of_plan(entry: UnitEntry, file: SourceFile) -> bool:
    """Whether a unit is of the planned source; one that was deleted since, to save space, is taken at its word."""
    if file.source.path.exists():
        return kin(entry, Candidate.of(file.source)) in (Kin.SAME, Kin.EQUAL)
    return (entry.source_file, entry.source_bytes) == (file.source.path.name, file.bytes)


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
        entry = done_entry(container, ledger, unit)
        owner = None if entry else ledger.unit_lease(unit).owner()
        failure = None if entry or owner else ledger.failure(unit)
        state = (
            UnitState.DONE
            if entry
            else UnitState.RUNNING
            if owner
            else UnitState.FAILED
            if failure
            else UnitState.PLANNED
        )
        units.append(UnitStatus(numbers.get(unit), str(unit), state, owner, entry, failure))
    finished_ = finished(store) is not None and not container.has_unmerged(order)
    return BatchStatus(store, finished_, ledger.run_lease().owner(), tuple(units))


def finalise_batch(
    store: Path, *, partial: bool = False, command: str, on_event: OnEvent = ignore
) -> tuple[str, tuple[UnitName, ...]]:
    """Write index and root of a store whose units are done. Can be run again at any time.

    Parameters
    ----------
    partial : bool
        Also if units are missing or sources were refused: the store then says so, and which.

    Returns
    -------
    digest : str
        Content digest of the store.
    missing : tuple of UnitName

    Raises
    ------
    Incomplete
        If units or sources are missing, or others are at work.
    """
    ledger = Ledger(store)
    options = ledger.options()
    if options is None:
        raise WrongUsage("no conversion was begun here", where=str(store), todo="check the path")
    container = open_container(store, options)
    with alone(ledger, on_event):
        done, missing = done_units(container, ledger)
        refused = _refused_sources(ledger)
        if not done or ((missing or refused) and not partial):
            raise _not_all(store, ledger, done, missing, refused)
        try:
            ledger.clean(everything=True)
        except OSError as error:
            raise from_os_error(error, str(store)) from error
        return complete(container, ledger, printable(command), done, on_event, refused), tuple(missing)


def _refused_sources(ledger: Ledger) -> tuple[str, ...]:
    """Sources that are not in the store: refused by the last run on it, or planned and not what their unit is of."""
    refused = set(ledger.refused())
    for file in read_files(ledger.plan_path) if ledger.plan_path.exists() else ():
        entry = ledger.entry(file.source.unit)
        if entry and _is_other(entry, file):
            refused.add(file.source.path.name)
    return tuple(sorted(refused))


def _is_other(entry: UnitEntry, file: SourceFile) -> bool:
    """Whether a unit is of another source than the planned one, by name and by content."""
    source = file.source
    if (entry.source_file, entry.source_member) == (source.path.name, source.member):
        return False
    return not source.path.exists() or kin(entry, Candidate.of(source)) is not Kin.EQUAL


def _not_all(
    store: Path, ledger: Ledger, done: Sequence[UnitName], missing: Sequence[UnitName], refused: Sequence[str]
) -> Incomplete:
    """The error of a store that would not be complete."""
    anyway = "; or finalise without them: --partial" if done else ""
    if not missing and done:
        return Incomplete(
            "sources that were given are not in the store",
            where=str(store),
            found=", ".join(refused),
            todo="run the command that gave them again, without them or with --overwrite-unit SPLIT/TILE" + anyway,
        )
    again = batch_status(store).missing or " ".join(map(str, missing))
    return Incomplete(
        f"{len(missing)} of {len(done) + len(missing)} units are missing",
        where=str(store),
        found=", ".join(map(str, missing[:8])) + (" ..." if len(missing) > 8 else ""),
        todo=f"make them (--array={again}), then finalise again" + anyway,
    )
