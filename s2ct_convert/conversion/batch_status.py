"""The state of each unit of a store. Works in every state of the store, and while other processes use it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import NotAStore
from ..lease import Owner
from ..names import UnitName
from ..store.container import Container
from ..units.entries import Failure, UnitEntry
from ..units.finalise import finished
from ..units.ledger import Ledger
from ..units.unit import done_entry, open_container
from ..words import without
from .plan_file import read_files
from .ranges import to_ranges


class UnitState(StrEnum):
    """State of a unit."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class UnitStatus:
    """The state of a unit. ``number`` is None if there is no batch."""

    number: int | None
    unit: str
    state: UnitState
    owner: Owner | str | None
    entry: UnitEntry | None
    failure: Failure | None


@dataclass(frozen=True)
class BatchStatus:
    """The state of all units of a store, whether the store is finished, and what a partial store lacks, in words.

    ``refused``: names of sources that were refused and are not in the store, although their units are.
    """

    store: Path
    finished: bool
    run: Owner | str | None
    units: tuple[UnitStatus, ...]
    lacks: str = ""
    refused: tuple[str, ...] = ()

    def count(self, state: UnitState) -> int:
        return sum(one.state is state for one in self.units)

    @property
    def missing(self) -> str:
        """Numbers of the units that are neither done nor running, in the syntax of ``--array``."""
        todo = (UnitState.PLANNED, UnitState.FAILED)
        return to_ranges([one.number for one in self.units if one.number and one.state in todo])


def batch_status(store: Path) -> BatchStatus:
    """The units that are done, running, failed and planned.

    Works in every state of the store, and while other processes use it.

    Raises
    ------
    NotAStore
        If no conversion was started here.
    """
    ledger = Ledger(store)
    options = ledger.options()
    if options is None:
        raise NotAStore(
            "no conversion was started here", where=str(store), todo="check the path, or start with s2ct batch init"
        )
    container = open_container(store, options)
    files = read_files(ledger.plan_path) if ledger.plan_path.exists() else ()
    numbers = {file.source.unit: number for number, file in enumerate(files, start=1)}
    order = sorted(ledger.planned(), key=lambda unit: (numbers.get(unit, len(numbers) + 1), unit))
    units = tuple(_unit_status(container, ledger, unit, numbers.get(unit)) for unit in order)
    root = finished(store) or {}
    lacks = without(*(str(root.get(name, "")) for name in ("missing_units", "refused_sources", "salvaged_units")))
    done = bool(root) and not container.has_unmerged(order)
    refused = ledger.refused.names(unit for unit, one in zip(order, units, strict=True) if one.state is UnitState.DONE)
    return BatchStatus(store, done, ledger.run_lease().owner(), units, lacks if done else "", refused)


def _unit_status(container: Container, ledger: Ledger, unit: UnitName, number: int | None) -> UnitStatus:
    entry = done_entry(container, ledger, unit)
    if entry and not ledger.is_to_be_replaced(unit):
        return UnitStatus(number, str(unit), UnitState.DONE, None, entry, None)
    if owner := ledger.unit_lease(unit).owner():
        return UnitStatus(number, str(unit), UnitState.RUNNING, owner, None, None)
    failure = ledger.failure(unit)
    return UnitStatus(number, str(unit), UnitState.FAILED if failure else UnitState.PLANNED, None, None, failure)
