"""Makes a store that replaces another one: beside it, so that the old store stays until the new one is finished.

A wrong path, a damaged archive, a full disk, a kill or Ctrl-C leave the old store as it was. The same command goes on
with the new store. The steps at the end are in ``units/swap.py``.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

from ..durable import beside, remove, size_of, sweep
from ..errors import S2ctError
from ..events import Message, OnEvent
from ..store.container import Container
from ..units.claim import alone, check_ours
from ..units.events import Replacing
from ..units.ledger import Ledger
from ..units.plan import Plan
from ..units.resume import Candidate, Kin, kin
from ..units.summary import Summary, UnitsFailed
from ..units.swap import (
    STORE_PARTS,
    has_new,
    is_swapping,
    made_for,
    new_folder,
    new_store,
    parts_of,
    start_new,
    swap,
    unfinished_note,
)
from ..words import shell_join, size


def is_worth_keeping(container: Container, ledger: Ledger) -> bool:
    """Whether a store may have data to lose, and a new one can take its place by renames; or a new one waits for it."""
    if is_swapping(ledger.store):
        return True
    if ledger.bucket:
        return False
    if not container.exists():
        return unfinished_note(ledger.store) is not None
    home = ledger.store.absolute().parent
    return all(path.stat().st_dev == home.stat().st_dev for path in parts_of(ledger.store))


def is_part_of(plan: Plan, ledger: Ledger) -> bool:
    """Whether each unit of an unfinished new store is made from its source in the plan, or is still to be made."""
    sources = {source.unit: source for source in plan.sources}
    entries = [(unit, ledger.entry(unit)) for unit in ledger.planned()]
    known = set(plan.units).issuperset(ledger.planned()) and ledger.options() == plan.options
    return known and all(
        entry is None or (unit in sources and kin(entry, Candidate.of(sources[unit])) is not Kin.OTHER)
        for unit, entry in entries
    )


def replace_store(
    store: Path,
    goes_on: Callable[[Ledger], bool],
    make: Callable[[Path], Summary],
    on_event: OnEvent,
    *,
    purpose: str = "",
) -> Summary:
    """Replace a store by a new one.

    Parameters
    ----------
    store : Path
        The store to replace, which must be of s2ct.
    goes_on : callable
        Whether the unfinished new store with this ledger is of the same conversion; if not, it is made from the start.
    make : callable
        Makes the store at a path.
    purpose : str
        What the new store is made of, if its ledger does not say so. An unfinished one of another purpose is dropped.

    Returns
    -------
    Summary
        If units are missing in the new store, the old one is still in its place.

    Raises
    ------
    DestinationExists
        If the store is not of s2ct.
    UnitsFailed
        If units failed. The old store stays.
    """
    ledger = Ledger(store)
    if is_swapping(store):
        with alone(ledger, on_event):
            pass  # it has finished the swap
        if _goes_on(ledger, goes_on):
            return make(store)
    with alone(ledger, on_event):
        going = has_new(store) and made_for(store) == purpose and _goes_on(Ledger(new_store(store)), goes_on)
        if any(beside(store, suffix).exists() for suffix in STORE_PARTS):
            check_ours(ledger)
            sweep(ledger.path.parent, beside(store, "").name)
            if not going:
                start_new(store, purpose)
                _check_room(store, on_event)
            return _make_beside(store, make, on_event)
        _move_in(store, going, on_event)
    return make(store)


def _make_beside(store: Path, make: Callable[[Path], Summary], on_event: OnEvent) -> Summary:
    on_event(Replacing(f"making the new store in {store}.new; {store} stays until it is finished"))
    try:
        summary = make(new_store(store))
    except UnitsFailed as failed:
        raise UnitsFailed(
            failed.summary,
            again=f"solve this, then run the same command again: {store} is unchanged, and the new store goes on",
        ) from None
    if summary.digest is None or summary.missing:
        on_event(Message(f"{store} is unchanged: the new store is not finished"))
        return summary
    swap(store)
    return dataclasses.replace(summary, store=store)


def _goes_on(ledger: Ledger, goes_on: Callable[[Ledger], bool]) -> bool:
    try:
        return ledger.exists() and goes_on(ledger)
    except S2ctError:
        return False


def _move_in(store: Path, going: bool, on_event: OnEvent) -> None:
    """Move the unfinished new store to the place of the old one, which was deleted to make room; or drop it."""
    if not going:
        remove(new_folder(store))
        return
    with alone(Ledger(new_store(store)), on_event):
        pass  # processes of a killed run have ended
    swap(store)
    on_event(Message(f"{store} is gone: the unfinished new store goes on in its place"))


def _check_room(store: Path, on_event: OnEvent) -> None:
    """Say so if the disk has less room than the old store takes: the new one may not fit beside it."""
    there = parts_of(store)
    old, free = sum(map(size_of, there)), shutil.disk_usage(store.absolute().parent).free
    if free < old:
        first = shell_join(["rm", "-r", *map(str, there)])
        on_event(
            Message(
                f"{store} takes {size(old)}, and the disk has room for {size(free)}: if the new store does not fit, "
                f"the old one stays; to make room, delete the old one first: {first}"
            )
        )
