"""Whose is the destination? Nothing that was not made by a conversion is ever deleted or written into."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..durable import sweep
from ..errors import DestinationExists, StoreDamaged
from ..events import Message, OnEvent
from ..reading.opening import is_ours
from ..store.container import Container
from .entries import StoreOptions
from .ledger import Ledger

ORPHAN_SECONDS = 10.0  # a worker whose parent is gone has ended by then


def claim(container: Container, ledger: Ledger, options: StoreOptions, *, overwrite: bool) -> None:
    """See that the destination is free, ours to go on with, or ours to delete; with ``overwrite`` delete it.

    Raises
    ------
    DestinationExists
    MachineError
        If what is there cannot be looked into: nothing is deleted then, whatever was asked for.
    """
    store = ledger.store
    container.sweep()
    sweep(ledger.path.parent, ledger.path.name)
    if overwrite:
        ours = _may_be_deleted(store)
        if container.exists() and not (ledger.exists() or ours):
            raise DestinationExists(
                "what is there is not known to be a store of ours, and is not deleted",
                where=str(store),
                todo="choose another destination, or move it away",
            )
        container.destroy()
        ledger.destroy()
    elif ledger.exists():
        ledger.check_options(options, store)
        ledger.clean()
    elif container.exists() and not _is_empty_folder(store):
        raise DestinationExists(
            "the destination exists and was not made by this command",
            where=str(store),
            todo="choose another destination"
            + (", or give --overwrite to delete it first" if _may_be_deleted(store) else ", or move it away"),
        )


@contextmanager
def alone(ledger: Ledger, on_event: OnEvent) -> Iterator[None]:
    """Be the only run on a store.

    Raises
    ------
    Incomplete
        If another run is at work on it, or a process that makes one of its units.
    """
    ledger.make_leases()
    try:
        with ledger.run_lease().held(on_event):
            _wait_for_makers(ledger, on_event)
            yield
    finally:
        ledger.drop_leases()


def _wait_for_makers(ledger: Ledger, on_event: OnEvent) -> None:
    """Workers of a run that was killed end by themselves; those of a batch job do not."""
    until = time.monotonic() + ORPHAN_SECONDS
    reported = False
    while held := ledger.held_units():
        lease, owner = held[0]
        if time.monotonic() > until:
            if alive := lease.living(on_event):
                raise lease.refusal(alive)
            continue
        if not reported:
            on_event(Message(f"{owner} is at work on a unit of this store: waiting for it to end"))
            reported = True
        time.sleep(0.1)


def _may_be_deleted(store: Path) -> bool:
    """Whether what is there is known to be ours; what is too damaged to tell is not."""
    try:
        return _is_empty_folder(store) or is_ours(store)
    except StoreDamaged:
        return False


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
