"""Whose is the destination? Nothing that was not made by a conversion is ever deleted or written into."""

from __future__ import annotations

from pathlib import Path

from ..durable import sweep
from ..errors import DestinationExists
from ..reading.store import is_ours
from ..store.container import Container
from .ledger import Ledger, Options


def claim(container: Container, ledger: Ledger, options: Options, *, overwrite: bool) -> None:
    """See that the destination is free, ours to go on with, or ours to delete; with ``overwrite`` delete it.

    Raises
    ------
    DestinationExists
    """
    store = container.path
    for path in (store, ledger.path):
        sweep(path.parent, path.name)
    if overwrite:
        if container.exists() and not (ledger.exists() or _may_be_deleted(store)):
            raise DestinationExists(
                "what is there is no store of ours, and is not deleted",
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


def _may_be_deleted(store: Path) -> bool:
    return _is_empty_folder(store) or is_ours(store)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
