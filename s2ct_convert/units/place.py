"""How a unit gets its place in a store, also where another stands, and whatever else is at work on the store.

A unit that is replaced stays in its place and in the ledger until the new one is whole. Then, in this order: a finished
store says that it is incomplete, the old entry goes, the new unit takes the place, its entry is written. Whoever dies
in between leaves a unit without an entry, which is made anew, in a store that does not say it is complete.
"""

from __future__ import annotations

from ..lease import Lease
from ..names import UnitName
from ..store.container import Container
from .entries import UnitEntry
from .finalise import reopen
from .ledger import Ledger


def put_in_place(
    container: Container, ledger: Ledger, unit: UnitName, key: str, *, before: UnitEntry | None, lease: Lease
) -> None:
    """Give a finished unit its place. Its entry is to be written next.

    A process may be stopped here and go on after another has taken its lease for that of a dead one. So the lease is
    looked at last. Between that look and the rename is a moment in which it may still be stopped. Nothing is lost then:
    both processes have written the same bytes, an entry is deleted only if it is the one that was there before this
    unit was begun, and a unit that stands there with the same bytes stays (``publish``).

    Parameters
    ----------
    key : str
        Of the finished unit under work.
    before : UnitEntry or None
        The entry that was there when the lease was taken.
    lease : Lease
        Of the unit.

    Raises
    ------
    Incomplete
        If the lease is no longer ours.
    """
    lease.check()
    reopen(container, ledger)
    if before is not None and ledger.entry(unit) == before:
        ledger.forget(unit)
    container.publish(unit, key)
