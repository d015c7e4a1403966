"""The last job of a batch: finalise the store of the finished units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import Incomplete, WrongUsage, from_os_error
from ..events import OnEvent, ignore
from ..names import UnitName, printable
from ..objects.remote import is_there
from ..units.claim import alone
from ..units.entries import UnitEntry
from ..units.finalise import complete, salvaged_units
from ..units.ledger import Ledger
from ..units.plan import SourceFile
from ..units.resume import Candidate, Kin, kin
from ..units.summary import salvaged_error
from ..units.tally import done_units
from ..units.unit import open_container
from ..words import plural, shell_path
from .batch_status import batch_status
from .plan_file import read_files


def finalise_batch(
    store: Path, *, partial: bool = False, command: str, on_event: OnEvent = ignore
) -> tuple[str, tuple[UnitName, ...]]:
    """Write the index and the root of a store whose units are done. Safe to run again at any time.

    Parameters
    ----------
    partial : bool
        Finalise even if units are missing or salvaged, or sources were refused; the store then names them.

    Returns
    -------
    digest : str
        Content digest of the store.
    missing : tuple of UnitName

    Raises
    ------
    Incomplete
        If units or sources are missing, units were salvaged, or another process uses the store.
    """
    ledger = Ledger(store)
    options = ledger.options()
    if options is None:
        raise WrongUsage("no conversion was started here", where=str(store), todo="check the path")
    container = open_container(store, options)
    with alone(ledger, on_event):
        done, missing = done_units(container, ledger)
        refused = _refused_sources(ledger, done)
        waiting = [unit for unit in done if ledger.is_to_be_replaced(unit)]
        if waiting and not partial:
            raise _not_replaced(store, waiting)
        if not done or ((missing or refused) and not partial):
            raise _not_all(store, ledger, done, missing, refused)
        if (salvaged := salvaged_units(ledger, done)) and not partial:
            raise salvaged_error(store, salvaged, "; or finalise with what they have: --partial")
        try:
            ledger.clean(everything=True)
        except OSError as error:
            raise from_os_error(error, str(store)) from error
        return complete(container, ledger, printable(command), done, on_event, refused), tuple(missing)


def _not_replaced(store: Path, units: Sequence[UnitName]) -> Incomplete:
    """The error of a store with units that tasks were to make again."""
    return Incomplete(
        f"{plural(len(units), 'unit')} not replaced yet",
        where=str(store),
        found=", ".join(map(str, units)),
        todo=_make_them(store) + "; or keep the old ones: --partial",
    )


def _refused_sources(ledger: Ledger, done: Sequence[UnitName]) -> tuple[str, ...]:
    """Sources that are not in the store: refused by a run, or planned for a unit that has another source."""
    refused = set(ledger.refused.names(done))
    for file in read_files(ledger.plan_path) if ledger.plan_path.exists() else ():
        unit = file.source.unit
        entry = ledger.entry(unit)
        other = entry and not ledger.is_chosen(unit) and _is_other(entry, file)
        if entry and (other or ledger.is_to_be_replaced(unit)):
            refused.add(file.source.path.name)
    return tuple(sorted(refused))


def _is_other(entry: UnitEntry, file: SourceFile) -> bool:
    """Whether a unit was made from another source than the planned one, by name and by content."""
    source = file.source
    if (entry.source_file, entry.source_member) == (source.path.name, source.member):
        return False
    return not is_there(source.path) or kin(entry, Candidate.of(source)) is not Kin.EQUAL


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
            todo="run the conversion again, without them or with --overwrite-unit SPLIT/TILE" + anyway,
        )
    return Incomplete(
        f"{len(missing)} of {len(done) + len(missing)} units {'is' if len(missing) == 1 else 'are'} missing",
        where=str(store),
        found=", ".join(map(str, missing[:8])) + (" ..." if len(missing) > 8 else ""),
        todo=_make_them(store) + anyway,
    )


def _make_them(store: Path) -> str:
    """What to do about units that are missing; those that are running have no numbers here."""
    numbers, name = batch_status(store).missing, shell_path(str(store))
    make = f"s2ct batch run {name} {numbers} (or jobs with --array={numbers})" if numbers else "wait for their tasks"
    return f"{make}, then s2ct batch finalise {name}"
