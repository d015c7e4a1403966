"""Opens a Zarr or HDF5 store. Errors distinguish no store, a damaged, locked or unfinished one, and a newer layout."""

from __future__ import annotations

import copyreg
import os
import stat
import warnings
from pathlib import Path
from typing import Any

from ..durable import beside
from ..errors import Incomplete, NotAStore, PartialStoreWarning, StoreDamaged, from_os_error
from ..kinds import fits, kind_of
from ..objects.address import AnyPath, ObjectPath, place_of
from ..paths import check_spelling
from ..store.layout import LAYOUT_VERSION, READABLE_LAYOUTS
from .object_groups import ObjectTree
from .store import Store
from .zarr_groups import ZarrTree


def open_store(path: str | os.PathLike[str], *, allow_incomplete: bool = False) -> Store:
    """Open a store for reading. A partial store gives a warning with its missing units.

    Parameters
    ----------
    path : path-like or str
        A Zarr directory or an HDF5 file made by ``s2ct convert``, or the address of a Zarr store: ``s3://...``,
        ``gs://...``, ``az://...`` or ``https://...`` (docs/cloud.md).
    allow_incomplete : bool
        Also open a Zarr store whose conversion has not finished, with its finished units and without a warning.

    Returns
    -------
    Store

    Warns
    -----
    PartialStoreWarning
        If requested units or sources are not in the store, or units were salvaged from damaged sources.

    Raises
    ------
    NotAStore
        If there is no store, or its layout is unknown to this version.
    StoreDamaged
        If a part that is needed to open the store is missing or broken.
    Incomplete
        If its conversion has not finished.
    MachineError
        If this machine cannot read it: no permission, too many open files, a file locked by another program.
    NetworkError
        If the service of an address fails or refuses.

    Examples
    --------
    >>> store = open_store("sample.zarr")  # doctest: +SKIP
    >>> image, label, time, weight = store["train/50SMG"].sample(7)  # doctest: +SKIP
    """
    store = _open_known(place_of(path), allow_incomplete=allow_incomplete)
    if store.lacks and not allow_incomplete:
        warnings.warn(f"{path} is partial: {store.lacks}", PartialStoreWarning, stacklevel=2)
    return store


def _open_known(path: AnyPath, *, allow_incomplete: bool) -> Store:
    try:
        store = _open(path)
    except NotAStore:
        if (
            isinstance(path, Path) and not path.exists() and beside(path, ".s2ct").exists()
        ):  # an HDF5 file appears only when complete
            raise _unfinished(path) from None
        raise
    try:
        _check_known(store)
        if not (store.finished or allow_incomplete):
            raise _unfinished(path)
        if store.format == "hdf5":
            _ = store.units  # raises now if a unit file or a filter is missing
    except BaseException:
        store.close()
        raise
    return store


def _unfinished(path: AnyPath) -> Incomplete:
    return Incomplete(
        "the conversion of this store has not finished",
        where=str(path),
        todo="run the command that made the store again; it resumes",
    )


def open_to_verify(path: AnyPath) -> Store:
    """Open a store, finished or not, without comparing with digests: verification reports the differences itself.

    Raises
    ------
    NotAStore, StoreDamaged, MachineError
        As ``open_store``.
    """
    store = _open(path)
    try:
        _check_known(store)
    except BaseException:
        store.close()
        raise
    return store.to_verify()


def open_same(path: AnyPath, digest: str, *, allow_incomplete: bool = False) -> Store:
    """Open a store again and check that it still has this content digest.

    Raises
    ------
    StoreDamaged
        If its content has changed: it would not fit what was read before.
    """
    store = _open_known(path, allow_incomplete=allow_incomplete)  # without a warning in each process
    if store.digest != digest:
        store.close()
        raise StoreDamaged(
            "the store has been replaced since it was first opened",
            where=str(path),
            expected=digest,
            found=store.digest,
            todo="open the new store and read it from the beginning",
        )
    return store


def is_ours(path: Path) -> bool:
    """Whether a path is an s2ct store, in any state and of any version.

    Raises
    ------
    StoreDamaged, MachineError
        If this is unknown, because the path is damaged, locked or cannot be read.
    """
    try:
        store = _open(path)
    except NotAStore:
        return False
    with store:
        return "s2ct_layout_version" in store.attributes


def _open(path: AnyPath) -> Store:
    if isinstance(path, ObjectPath):
        return Store(path, ObjectTree(path))
    try:
        there = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotAStore("this store does not exist", where=str(path), todo=check_spelling(path)) from None
    except OSError as error:
        raise from_os_error(error, str(path)) from error
    if not (stat.S_ISDIR(there.st_mode) or stat.S_ISREG(there.st_mode)):  # opening a pipe would wait for a writer
        raise NotAStore("neither a folder nor a regular file", where=str(path))
    try:
        if stat.S_ISDIR(there.st_mode):
            return Store(path, ZarrTree(path))
        from .hdf5_groups import Hdf5Tree  # imports h5py, which Zarr does not need

        return Store(path, Hdf5Tree(path))
    except NotAStore as error:
        if (kind := kind_of(path)) and not kind.is_store:
            raise NotAStore(f"this is {kind}, not a store", where=str(path), todo=fits(path, kind)) from error
        raise


def _check_known(store: Store) -> None:
    version = store.attributes.get("s2ct_layout_version")
    if version is None or "state" not in store.attributes:
        raise NotAStore("not an s2ct store", where=str(store.path))
    if version not in READABLE_LAYOUTS:
        raise NotAStore(
            f"this store has layout version {version}",
            where=str(store.path),
            expected=f"layout version {' or '.join(map(str, READABLE_LAYOUTS))}, which this version of s2ct reads",
            todo="a newer s2ct wrote it: update s2ct" if _newer(version) else "",
        )
    _ = store.dataset  # raises now if the attribute is damaged


def _newer(version: Any) -> bool:
    return str(version).isdigit() and int(version) > LAYOUT_VERSION


def _open_again(path: str, allow_incomplete: bool, digest: str) -> Store:
    return open_same(place_of(path), digest, allow_incomplete=allow_incomplete)


def _reduce(store: Store) -> tuple[Any, ...]:
    return _open_again, (str(store.path.absolute()), not store.finished, store.digest)


copyreg.pickle(Store, _reduce)  # the other process opens the store again
