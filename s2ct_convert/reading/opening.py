"""Opens a store, Zarr or HDF5 alike, and tells what is none, damaged, locked, unfinished, or of a newer version."""

from __future__ import annotations

import copyreg
import os
import stat
import warnings
from pathlib import Path
from typing import Any

from ..durable import beside
from ..errors import Incomplete, NotAStore, PartialStoreWarning, StoreDamaged, from_os_error
from ..paths import check_readable
from ..store.layout import LAYOUT_VERSION, READABLE_LAYOUTS
from .hdf5_groups import Hdf5Tree
from .store import Store
from .zarr_groups import ZarrTree


def open_store(path: str | os.PathLike[str], *, allow_incomplete: bool = False) -> Store:
    """Open a store for reading. Of one that was finished without some of its units a warning tells which.

    Parameters
    ----------
    path : path-like
        A Zarr directory or an HDF5 file made by ``s2ct convert``.
    allow_incomplete : bool
        Also open a Zarr store whose conversion has not finished, with the units that are there; no warning.

    Warns
    -----
    PartialStoreWarning
        If units or sources that were asked for are not in the store.

    Raises
    ------
    NotAStore
        If there is no store of a layout this version knows.
    StoreDamaged
        If there is one, and what is needed to open it is missing or broken.
    Incomplete
        If its conversion has not finished.
    MachineError
        If it cannot be looked into: no permission, too many open files, a file that another program has locked.

    Examples
    --------
    >>> store = open_store("sample.zarr")  # doctest: +SKIP
    >>> image, label, time, weight = store["train/50SMG"].sample(7)  # doctest: +SKIP
    """
    store = _open_known(check_readable(path), allow_incomplete=allow_incomplete)
    if store.lacks and not allow_incomplete:
        warnings.warn(f"{path} is partial: {store.lacks}", PartialStoreWarning, stacklevel=2)
    return store


def _open_known(path: Path, *, allow_incomplete: bool) -> Store:
    try:
        store = _open(path)
    except NotAStore:
        if not path.exists() and beside(path, ".s2ct").exists():  # an HDF5 file is there only in the end
            raise _unfinished(path) from None
        raise
    try:
        _check_known(store)
        if not (store.finished or allow_incomplete):
            raise _unfinished(path)
        if store.format == "hdf5":
            _ = store.units  # their files and filters
    except BaseException:
        store.close()
        raise
    return store


def _unfinished(path: Path) -> Incomplete:
    return Incomplete(
        "the conversion of this store has not finished",
        where=str(path),
        todo="run the command that made it again; it goes on where it stopped",
    )


def open_to_verify(path: Path) -> Store:
    """Open a store, finished or not, without comparing what is read with the digests: verification says what differs.

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


def open_same(path: Path, digest: str, *, allow_incomplete: bool = False) -> Store:
    """Open a store again that had this content digest.

    Raises
    ------
    StoreDamaged
        If its content is another by now: what was read of it before would not fit.
    """
    store = _open_known(path, allow_incomplete=allow_incomplete)  # without a warning in every process
    if store.digest != digest:
        store.close()
        raise StoreDamaged(
            "the store has been replaced by another since it was first opened",
            where=str(path),
            expected=digest,
            found=store.digest,
            todo="open the new one from the beginning",
        )
    return store


def is_ours(path: Path) -> bool:
    """Whether something is a store of this program, in whatever state and of whatever version.

    Raises
    ------
    StoreDamaged, MachineError
        If that cannot be told, since it is damaged, locked or cannot be read.
    """
    try:
        store = _open(path)
    except NotAStore:
        return False
    with store:
        return "s2ct_layout_version" in store.attributes


def _open(path: Path) -> Store:
    try:
        there = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotAStore("there is no such store", where=str(path), todo="check the path") from None
    except OSError as error:
        raise from_os_error(error, str(path)) from error
    if stat.S_ISDIR(there.st_mode):
        return Store(path, ZarrTree(path))
    if not stat.S_ISREG(there.st_mode):  # opening a pipe would wait for who writes into it
        raise NotAStore("this is neither a folder nor a file", where=str(path))
    return Store(path, Hdf5Tree(path))


def _check_known(store: Store) -> None:
    version = store.attributes.get("s2ct_layout_version")
    if version is None or "state" not in store.attributes:
        raise NotAStore("this was not made by s2ct convert", where=str(store.path))
    if version not in READABLE_LAYOUTS:
        raise NotAStore(
            f"this store has layout version {version}",
            where=str(store.path),
            expected=f"layout version {' or '.join(map(str, READABLE_LAYOUTS))}, which this version of s2ct reads",
            todo="a newer s2ct wrote it: pip install --upgrade s2ct-convert" if _newer(version) else "",
        )
    _ = store.dataset  # or say at once that it is damaged


def _newer(version: Any) -> bool:
    return str(version).isdigit() and int(version) > LAYOUT_VERSION


def _open_again(path: str, allow_incomplete: bool, digest: str) -> Store:
    return open_same(Path(path), digest, allow_incomplete=allow_incomplete)


def _reduce(store: Store) -> tuple[Any, ...]:
    return _open_again, (str(store.path.absolute()), not store.finished, store.digest)


copyreg.pickle(Store, _reduce)  # the other process opens it anew
