"""Checks who owns the destination. s2ct deletes and writes into nothing that a conversion did not make."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..durable import sweep
from ..errors import DestinationExists, StoreDamaged
from ..events import Message, OnEvent
from ..processes import end_if_script_runs_again
from ..reading.opening import is_ours
from ..store.container import Container
from ..words import shell_path
from .entries import StoreOptions
from .ledger import Ledger
from .swap import finish_swap

ORPHAN_SECONDS = 10.0  # a worker whose parent is gone has ended by then


def claim(container: Container, ledger: Ledger, options: StoreOptions, *, overwrite: bool) -> None:
    """Check that the destination is free or holds a conversion to resume; with ``overwrite``, delete an s2ct store.

    Raises
    ------
    DestinationExists
    MachineError
        If the destination cannot be read. Nothing is deleted then, even with ``overwrite``.
    """
    store = ledger.store
    container.sweep()
    sweep(ledger.path.parent, ledger.path.name)
    if overwrite:
        if container.exists():
            check_ours(ledger)
        container.destroy()
        ledger.destroy()
    elif ledger.exists():
        ledger.check_options(options, store)
        ledger.clean()
    elif container.exists() and not _is_empty_folder(store):
        raise DestinationExists(
            "the destination exists, and there is no conversion to resume",
            where=str(store),
            todo="choose another destination"
            + (", or give --overwrite to replace this one" if _may_be_deleted(store) else ", or move this one away"),
        )


def check_ours(ledger: Ledger) -> None:
    """Refuse to replace what no conversion made, and a link: the store would stay where the link leads.

    Raises
    ------
    DestinationExists
    """
    if ledger.store.is_symlink():
        raise DestinationExists(
            "a symbolic link; --overwrite replaces no links",
            where=str(ledger.store),
            todo=f"give the path of the store itself: {shell_path(str(ledger.store.resolve()))}",
        )
    ours = _may_be_deleted(ledger.store)
    if not (ledger.exists() or ours):
        raise DestinationExists(
            "not an s2ct store; refusing to delete it",
            where=str(ledger.store),
            todo="choose another destination, or move this one away",
        )


@contextmanager
def alone(ledger: Ledger, on_event: OnEvent) -> Iterator[None]:
    """Hold the run lease of a store, so that no other run uses it.

    Raises
    ------
    Incomplete
        If another run uses the store, or another process makes one of its units.
    """
    end_if_script_runs_again()
    ledger.make_leases()
    try:
        with ledger.run_lease().held(on_event):
            _wait_for_makers(ledger, on_event)
            if finish_swap(ledger.store):
                on_event(Message(f"a new store was about to take the place of {ledger.store}; it is there now"))
            yield
    finally:
        ledger.drop_leases()


def _wait_for_makers(ledger: Ledger, on_event: OnEvent) -> None:
    """Wait for the workers of a killed run, which end by themselves; raise if a unit is still held after that."""
    until = time.monotonic() + ORPHAN_SECONDS
    reported = False
    while held := ledger.held_units():
        lease, owner = held[0]
        if time.monotonic() > until:
            if alive := lease.living(on_event):
                raise lease.refusal(alive)
            continue
        if not reported:
            on_event(Message(f"{owner} is making a unit of this store; waiting for it to end"))
            reported = True
        time.sleep(0.1)


def _may_be_deleted(store: Path) -> bool:
    """Whether the destination is an s2ct store or an empty folder; False if it is too damaged to identify."""
    try:
        return _is_empty_folder(store) or is_ours(store)
    except StoreDamaged:
        return False


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
