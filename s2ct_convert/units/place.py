"""Moves a finished unit into its place in a store, also if it replaces a unit or other processes use the store.

A unit that is replaced stays in its place and in the ledger until the new one is whole. Then the steps are: mark a
finished store as incomplete, delete the old entry, move the new unit into its place, write its entry. A process that
dies in between leaves a unit without an entry, which is made again, in a store that is not marked as complete.
"""

from __future__ import annotations

from ..lease import Lease
from ..names import UnitName
from ..store.container import Container
from .entries import UnitEntry
from .finalise import reopen
from .ledger import Ledger


def put_in_place(
    container: Container,
    ledger: Ledger,
    unit: UnitName,
    key: str,
    *,
    before: UnitEntry | None,
    lease: Lease,
    overwrite: bool = False,
) -> None:
    """Move a finished unit into its place. The caller writes its entry next.

    The process may be suspended here and resume after another process has broken its lease. So the lease is checked
    last. The process may still be suspended between this check and the rename. Nothing is lost then: both processes
    have written the same bytes, an entry is deleted only if it is ``before``, and a unit that is in its place with the
    same bytes stays (``publish``).

    Parameters
    ----------
    key : str
        Key of the finished unit in the work folder.
    before : UnitEntry or None
        The entry of the unit when the lease was taken.
    lease : Lease
        The lease of the unit.
    overwrite : bool
        The user asked for this unit: in a bucket, it also replaces objects without a record.

    Raises
    ------
    Incomplete
        If this process has lost the lease.
    """
    lease.check()
    reopen(container, ledger)
    replaces = before is not None and ledger.entry(unit) == before
    if replaces or overwrite:
        container.withdraw(unit)
    if replaces:
        ledger.forget(unit)
    container.publish(unit, key)
