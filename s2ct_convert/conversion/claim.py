"""Whose is the destination? Nothing that was not made by a conversion is ever deleted or written into."""

from __future__ import annotations

from pathlib import Path

import h5py

from ..durable import sweep
from ..errors import DestinationExists
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
        if container.exists() and not (ledger.exists() or _is_a_store(store)):
            raise DestinationExists("what is there is no store, and is not deleted", where=str(store))
        container.destroy()
        ledger.destroy()
    elif ledger.exists():
        ledger.check_options(options, store)
        ledger.clean()
    elif container.exists() and not _is_empty_folder(store):
        raise DestinationExists(
            "the destination exists and was not made by this command",
            where=str(store),
            todo="choose another destination, or give --overwrite to delete it first",
        )


def _is_a_store(path: Path) -> bool:
    return _is_empty_folder(path) or (path / "zarr.json").exists() or (path.is_file() and h5py.is_hdf5(path))


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
