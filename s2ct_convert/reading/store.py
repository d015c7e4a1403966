"""Opens a store, Zarr or HDF5 alike: units by name, samples by localid, plain numpy out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import Incomplete, NotAStore
from ..names import UnitName, is_split, is_tile
from ..paths import check_readable
from ..store.codecs import BLOSC_FILTER
from ..store.hdf5_file import get_attributes, need_blosc
from ..store.layout import IMAGE, LAYOUT_VERSION, STATE_COMPLETE, STATE_PARTIAL
from .select import Selection
from .table import Dates, Labels, Names, Numbers, Samples, make_samples
from .unit import Unit

if TYPE_CHECKING:
    import xarray


class Store:
    """An open store. Use as a context manager, or ``close`` it.

    It can be pickled: the other process opens it anew. Reading in several threads, and in forked processes, is safe.
    """

    def __init__(self, path: Path, format: str, root: Any, attributes: dict[str, Any]) -> None:
        self.path, self.format, self.attributes = path, format, attributes
        self.root = root

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, (str(self.path.absolute()), not self.finished)

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
        """Units by name (``train/50SMG``), sorted."""
        names = [UnitName(split, tile) for split in self._split_groups() for tile in self.root[split] if is_tile(tile)]
        return {str(name): self._unit(name) for name in sorted(names)}

    def _split_groups(self) -> list[str]:
        """Groups of the root that are splits; those of a Zarr store without consolidated metadata are on disk."""
        if isinstance(self.root, h5py.Group):
            return [name for name in self.root if is_split(name) and isinstance(self.root[name], h5py.Group)]
        if self.root.metadata.consolidated_metadata is not None:
            return [name for name in self.root.group_keys() if is_split(name)]
        return [path.name for path in self.path.iterdir() if is_split(path.name) and path.name in self.root]

    def _unit(self, name: UnitName) -> Unit:
        try:
            group = self.root[str(name)]
        except KeyError as error:  # a linked store whose folder of units is not beside it
            raise NotAStore(
                f"the file of unit {name} is missing",
                where=str(self.path),
                found=str(error).strip("'\""),
                todo=f"keep {self.path.name}.units beside {self.path.name}",
            ) from error
        # The root attributes of a linked unit's own file are the unit's.
        attributes = get_attributes(group) if isinstance(group, h5py.Group) else dict(group.attrs)
        return Unit(name, group, attributes, self.path / str(name))

    def __getitem__(self, name: str) -> Unit:
        try:
            return self.units[name]
        except KeyError:
            raise KeyError(f"{self.path} has no unit {name!r}; it has {', '.join(self.units)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.units)

    def __len__(self) -> int:
        return len(self.units)

    def __contains__(self, name: object) -> bool:
        return name in self.units

    @property
    def index(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of the index, one row per sample of the whole store."""
        group = self.root["index"]
        return {name: np.asarray(group[name][...]) for name in _array_names(group)}

    @property
    def tiles(self) -> tuple[str, ...]:
        """Names of the tiles that ``index["tile"]`` numbers."""
        return self._flags("tile")

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that ``index["split"]`` numbers."""
        return self._flags("split")

    def _flags(self, array: str) -> tuple[str, ...]:
        meanings = self.root["index"][array].attrs["flag_meanings"]
        return tuple((meanings.decode() if isinstance(meanings, bytes) else str(meanings)).split())

    @cached_property
    def samples(self) -> Samples:
        """The index as a table, one row a sample of the whole store.

        Raises
        ------
        Incomplete
            If the store has no index yet.
        """
        if not self.finished:
            raise Incomplete("a store has no index before its conversion has finished", where=str(self.path))
        return make_samples(self.index, self.splits, self.tiles)

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

        Raises
        ------
        KeyError
            If there is no such unit.
        MissingPackage
            If xarray is not installed.
        """
        from .datasets import open_dataset

        return open_dataset(self.path, self.format, self[unit])

    def to_datatree(self) -> xarray.DataTree:
        """The whole store as xarray opens it.

        Raises
        ------
        MissingPackage
            If xarray is not installed.
        """
        from .datasets import open_datatree

        return open_datatree(self.path, self.format, self.units)

    def close(self) -> None:
        """Close the file behind the store."""
        if isinstance(self.root, h5py.File):
            self.root.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _array_names(group: Any) -> list[str]:
    if isinstance(group, h5py.Group):
        # Dimensions without coordinates are datasets too in netCDF-4; they have the name of an axis.
        return [name for name in group if not group[name].is_scale]
    return sorted(name for name, _ in group.arrays())


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
        If there is no store of this layout.
    Incomplete
        If its conversion has not finished.

    Examples
    --------
    >>> store = open_store("sample.zarr")  # doctest: +SKIP
    >>> image, label, time, weight = store["train/50SMG"].sample(7)  # doctest: +SKIP
    """
    path = check_readable(path)
    if not path.exists():
        raise NotAStore("there is no such store", where=str(path), todo="check the path")
    if path.is_dir():
        store = _open_zarr(path)
    elif h5py.is_hdf5(path):
        store = _open_hdf5(path)
    else:
        raise NotAStore("this is neither a Zarr directory nor an HDF5 file", where=str(path))
    version = store.attributes.get("s2ct_layout_version")
    if version is None or "state" not in store.attributes:
        store.close()
        raise NotAStore("this was not made by s2ct convert", where=str(path))
    if version != LAYOUT_VERSION:
        store.close()
        raise NotAStore(
            f"this store has layout version {version}",
            where=str(path),
            expected=f"layout version {LAYOUT_VERSION}, which this version of s2ct reads",
            todo="a newer s2ct wrote it: pip install --upgrade s2ct-convert" if _newer(version) else "",
        )
    if not (store.finished or allow_incomplete):
        store.close()
        raise Incomplete(
            "the conversion of this store has not finished",
            where=str(path),
            todo="run the command that made it again; it goes on where it stopped",
        )
    if store.format == "hdf5" and any(
        _has_filter(store.root.get(f"{name}/{IMAGE.name}"), BLOSC_FILTER) for name in store.units
    ):
        need_blosc()
    return store


def _newer(version: Any) -> bool:
    return str(version).isdigit() and int(version) > LAYOUT_VERSION


def _open_again(path: str, allow_incomplete: bool) -> Store:
    return open_store(path, allow_incomplete=allow_incomplete)


def is_ours(path: Path) -> bool:
    """Whether something is a store of this program, in whatever state and of whatever version."""
    try:
        store = _open_zarr(path) if path.is_dir() else _open_hdf5(path)
    except (NotAStore, OSError):
        return False
    with store:
        return "s2ct_layout_version" in store.attributes


def _open_zarr(path: Path) -> Store:
    if not (path / "zarr.json").exists():
        raise NotAStore("this folder is no Zarr v3 group", where=str(path), found="no zarr.json in it")
    import zarr  # slow to import, and HDF5 does without it

    try:
        root = zarr.open_group(path, mode="r", zarr_format=3)
    except ValueError as error:  # an array, or metadata that is broken
        raise NotAStore("this folder is no Zarr v3 group", where=str(path), found=str(error)) from error
    return Store(path, "zarr", root, dict(root.attrs))


def _open_hdf5(path: Path) -> Store:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if error.errno:  # the machine's word, not HDF5's
            raise
        raise NotAStore("HDF5 cannot open this file", where=str(path), found=str(error)) from error
    return Store(path, "hdf5", file, get_attributes(file))


def _has_filter(dataset: h5py.Dataset | None, number: int) -> bool:
    if dataset is None:  # a damaged store: told where it is read
        return False
    plist = dataset.id.get_create_plist()
    return any(plist.get_filter(i)[0] == number for i in range(plist.get_nfilters()))
