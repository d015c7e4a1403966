"""Opens a store, Zarr or HDF5 alike: units by name, samples by localid, plain numpy out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ..errors import Incomplete, NotAStore, StoreDamaged, from_os_error
from ..store.digest import Table
from ..store.layout import LAYOUT_VERSION, STATE_COMPLETE, STATE_PARTIAL
from .groups import Tree, check_digest, check_units, read_all
from .hdf5_groups import Hdf5Tree
from .select import Selection
from .table import Dates, Labels, Names, Numbers, Samples, flag_meanings, make_samples
from .unit import Unit
from .zarr_groups import ZarrTree

if TYPE_CHECKING:
    import xarray


class Store:
    """An open store. Use as a context manager, or ``close`` it.

    It can be pickled: the other process opens it anew. Reading in several threads, and in forked processes, is safe.
    """

    def __init__(self, path: Path, tree: Tree, *, checked: bool = True) -> None:
        self.path, self.format, self.attributes = path, tree.format, tree.attributes
        self.tree, self._checked = tree, checked

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, (str(self.path.absolute()), not self.finished, self.digest)

    def __repr__(self) -> str:
        return f"<Store {self.path} ({self.format}): {', '.join(self.units)}>"

    @property
    def complete(self) -> bool:
        """Whether every unit that was asked for is there."""
        return self.attributes.get("state") == STATE_COMPLETE

    @property
    def finished(self) -> bool:
        """Whether it has its index: complete, or finalised without some of its units (``missing_units``)."""
        return self.complete or self.attributes.get("state") == STATE_PARTIAL

    @property
    def digest(self) -> str:
        """Content digest of the store; empty while it is incomplete."""
        return str(self.attributes.get("content_digest", ""))

    @cached_property
    def units(self) -> Mapping[str, Unit]:
        """Units by name (``train/50SMG``), sorted.

        Raises
        ------
        StoreDamaged
            If some are missing, or are not those the store was made of.
        """
        found = {str(name): Unit(name, self.tree.group(str(name)), checked=self._checked) for name in self.tree.units()}
        if self.finished and self._checked:
            check_units(str(self.path), self.attributes, found)
        return found

    def __getitem__(self, name: str) -> Unit:
        units = self.units
        try:
            return units[name]
        except KeyError:
            raise KeyError(f"{self.path} has no unit {name!r}; it has {', '.join(units)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.units)

    def __len__(self) -> int:
        return len(self.units)

    def __contains__(self, name: object) -> bool:
        return name in self.units

    def _index(self) -> dict[str, Table]:
        """The arrays of the index; Incomplete if there is none yet, StoreDamaged if they are not what was written."""
        if not self.finished:
            raise Incomplete("a store has no index before its conversion has finished", where=str(self.path))
        group = self.tree.group("index")
        tables = read_all(group)
        if self._checked:
            check_digest(group.where, self.attributes, tables)
        return {table.name: table for table in tables}

    @property
    def index(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of the index, one row per sample of the whole store.

        Raises
        ------
        Incomplete
            If the store has no index yet.
        StoreDamaged
            If it is not the one that was written with the store.
        """
        return {name: table.data for name, table in self._index().items() if table.data is not None}

    @cached_property
    def tiles(self) -> tuple[str, ...]:
        """Names of the tiles that ``index["tile"]`` numbers."""
        return flag_meanings(self._index()["tile"])

    @cached_property
    def samples(self) -> Samples:
        """The index as a table, one row a sample of the whole store.

        Raises
        ------
        Incomplete
            If the store has no index yet.
        StoreDamaged
            If it is not the one that was written with the store.
        """
        return make_samples(self._index())

    def select(
        self,
        *,
        tile: Names = None,
        split: Names = None,
        localid: Numbers = None,
        time: Dates = None,
        label: Labels = None,
    ) -> Selection:
        """Observations that fit all that is asked for, read lazily.

        Parameters
        ----------
        tile, split, localid : one or several, optional
        time : slice of dates, or one date, optional
            Both ends count; ``"2018-06"`` is the whole month.
        label : name or number, or several, optional
            Observations of these classes; where a label is 6 x 6, those with at least one such pixel.

        Returns
        -------
        Selection
            Iterate over it, or over its ``observations()``.

        Raises
        ------
        KeyError
            If there is no such tile, split or class.

        Examples
        --------
        >>> selection = store.select(tile="50SMG", time=slice("2018-03", "2018-05"), label="clear")  # doctest: +SKIP
        >>> for sample in selection:  # doctest: +SKIP
        ...     print(sample.localid, sample.image.shape)
        """
        table = self.samples.where(tile=tile, split=split, localid=localid, time=time, label=label)
        return Selection(self, table, time, label)

    def to_xarray(self, unit: str) -> xarray.Dataset:
        """A unit as xarray opens it: arrays are read when they are used.

        Whether all of it is there is looked at now; what is lost later reads as zeros.

        Raises
        ------
        KeyError
            If there is no such unit.
        StoreDamaged
            If a part of it is missing.
        MissingPackage
            If xarray is not installed.
        """
        from .datasets import open_dataset

        return open_dataset(self.path, self.format, self[unit])

    def to_datatree(self) -> xarray.DataTree:
        """The whole store as xarray opens it, looked at as by ``to_xarray``.

        Raises
        ------
        StoreDamaged
            If a part of it is missing.
        MissingPackage
            If xarray is not installed.
        """
        from .datasets import open_datatree

        return open_datatree(self.path, self.format, self.units)

    def to_verify(self) -> Store:
        """The same without comparing what is read with the digests: verification says what differs."""
        return Store(self.path, self.tree, checked=False)

    def close(self) -> None:
        """Close the files behind the store."""
        self.tree.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(path: str | os.PathLike[str], *, allow_incomplete: bool = False) -> Store:
    """Open a store for reading.

    Parameters
    ----------
    path : path-like
        A Zarr directory or an HDF5 file made by ``s2ct convert``.
    allow_incomplete : bool
        Also open a Zarr store whose conversion has not finished, with the units that are there.

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
    store = _open(Path(path))
    try:
        _check_known(store)
        if not (store.finished or allow_incomplete):
            raise Incomplete(
                "the conversion of this store has not finished",
                where=str(path),
                todo="run the command that made it again; it goes on where it stopped",
            )
        if store.format == "hdf5":
            _ = store.units  # their files and filters
    except BaseException:
        store.close()
        raise
    return store


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
    store = open_store(path, allow_incomplete=allow_incomplete)
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
    if version != LAYOUT_VERSION:
        raise NotAStore(
            f"this store has layout version {version}",
            where=str(store.path),
            expected=f"layout version {LAYOUT_VERSION}, which this version of s2ct reads",
            todo="a newer s2ct wrote it: pip install --upgrade s2ct-convert" if _newer(version) else "",
        )


def _newer(version: Any) -> bool:
    return str(version).isdigit() and int(version) > LAYOUT_VERSION


def _open_again(path: str, allow_incomplete: bool, digest: str) -> Store:
    return open_same(Path(path), digest, allow_incomplete=allow_incomplete)
