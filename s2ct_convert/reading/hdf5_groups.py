"""Groups of an HDF5 store. Every error of HDF5 becomes ``StoreDamaged`` with the file and the object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import StoreDamaged, WrongUsage
from ..names import UnitName, is_split, is_tile
from ..store.codecs import recognise_hdf5
from ..store.digest import Table
from ..store.hdf5_file import PURE_DIMENSION, get_attributes, open_file, reading
from ..store.layout import IMAGE
from .hdf5_chunks import Hdf5Chunks

# Attributes in which HDF5 and netCDF-4 store dimension scales; a reader sees them as dimensions.
_SCALES = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}
_NO_VARIABLE = PURE_DIMENSION[: PURE_DIMENSION.index("%")].encode()


class Hdf5Group:
    """A unit, or the index."""

    waits = False

    def __init__(self, group: h5py.Group, name: str) -> None:
        self.node, self._name = group, name
        self.file = str(group.file.filename)
        self.where = f"{self.file}: {name}"
        with reading(self.file, f"{name} or its attributes"):
            self.attributes = get_attributes(group)

    def names(self) -> list[str]:
        with reading(self.file, f"the group {self._name}", self.node):
            return sorted(name for name, node in _datasets(self.node, "") if not _is_pure_dimension(node))

    def table(self, name: str, *, values: bool = True) -> Table:
        with reading(self.file, f"{self._name}/{name}", self.node):
            array = self.node[name]
            if not isinstance(array, h5py.Dataset):
                raise TypeError("not a dataset")
            dims = tuple(self._dim(array, axis) for axis in range(array.ndim))
            attributes = get_attributes(array, but=_SCALES)
            data: Any = None
            if values:
                data = _LongArray(self.file, name, array) if _is_long(array) else np.asarray(array[...])
            return Table(name, np.dtype(array.dtype).name, dims, tuple(array.shape), attributes, data)

    def _dim(self, array: h5py.Dataset, axis: int) -> str:
        if array.is_scale:
            return str(array.name).rsplit("/", 1)[-1]
        return " ".join(self._scales.get((_address(array.id), axis), ()))

    @cached_property
    def _scales(self) -> dict[tuple[int, int], list[str]]:
        """Names of the dimensions, by the address of an array and its axis, as recorded in the scales.

        The arrays record them too (DIMENSION_LIST), but in a heap without checksums: HDF5 2.0 hangs on a zeroed heap.
        """
        out: dict[tuple[int, int], list[str]] = {}
        for scale in (node for _, node in _datasets(self.node, "") if node.is_scale):
            if "REFERENCE_LIST" not in scale.attrs:
                continue
            for reference, axis in scale.attrs["REFERENCE_LIST"]:
                try:
                    address = _address(h5py.h5r.dereference(reference, self.node.id))
                except (RuntimeError, ValueError, OSError, KeyError):
                    continue  # the array is missing; reading it raises an error
                out.setdefault((address, int(axis)), []).append(str(scale.name).rsplit("/", 1)[-1])
        return out

    def chunks(self, name: str) -> Hdf5Chunks:
        with reading(self.file, f"{self._name}/{name}", self.node):
            return Hdf5Chunks(self.node[name])

    def unchanged(self) -> None:
        """Nothing to check: the file stays open."""


def _is_long(array: h5py.Dataset) -> bool:
    """Whether a one-dimensional array has several chunks, because it may not fit in memory."""
    return bool(array.ndim == 1 and array.chunks and array.shape[0] > array.chunks[0])


class _LongArray:
    """A long array that is read when sliced."""

    ndim = 1

    def __init__(self, file: str, name: str, array: h5py.Dataset) -> None:
        self._file, self._name, self._array = file, name, array
        self.shape, self.dtype, self.size = array.shape, array.dtype, array.size

    def __getitem__(self, key: Any) -> Any:
        with reading(self._file, self._name, self._array):
            return self._array[key]


def _datasets(group: h5py.Group, prefix: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """Datasets at any depth."""
    for name in group:
        node = group[name]
        if isinstance(node, h5py.Group):
            yield from _datasets(node, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", node


def _is_pure_dimension(node: h5py.Dataset) -> bool:
    """Whether it is a dimension without coordinates, which netCDF-4 stores as a dataset too."""
    if not node.is_scale:
        return False
    name = node.attrs.get("NAME", b"")
    return (name if isinstance(name, bytes) else str(name).encode()).startswith(_NO_VARIABLE)


def _address(node: h5py.h5g.GroupID | h5py.h5d.DatasetID) -> int:
    return int(h5py.h5o.get_info(node).addr)


class Hdf5Tree:
    """An HDF5 store, with the files of its units if it is linked.

    Raises
    ------
    NotAStore, StoreDamaged, MachineError
        As ``open_file``.
    """

    format = "hdf5"

    def __init__(self, path: Path) -> None:
        self._path, self.file = path, open_file(path)
        self._linked: list[h5py.File] = []
        try:
            with reading(path, "the root or its attributes"):
                self.attributes = get_attributes(self.file)
        except BaseException:
            self.close()
            raise

    def units(self) -> list[UnitName]:
        with reading(self._path, "the list of the units", self.file):
            splits = [name for name in self.file if is_split(name) and isinstance(self.file[name], h5py.Group)]
            return sorted(UnitName(split, tile) for split in splits for tile in self.file[split] if is_tile(tile))

    def group(self, name: str) -> Hdf5Group:
        with reading(self._path, f"the group {name}", self.file):
            link = self.file.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return self._linked_group(name, link)
            node = self.file[name]
            if not isinstance(node, h5py.Group):
                raise TypeError(f"{name} is not a group")
            group = Hdf5Group(node, name)
            _need_filters(group)
            return group

    def _linked_group(self, name: str, link: h5py.ExternalLink) -> Hdf5Group:
        path = self._path.parent / link.filename
        if not path.exists():  # the path of the store may be a symbolic link
            path = self._path.resolve().parent / link.filename
        try:
            file = open_file(path)
        except WrongUsage as error:  # missing, or not an HDF5 file
            wrong = "is not an HDF5 file" if path.exists() else "is missing"
            raise StoreDamaged(
                f"the file of unit {name} {wrong}",
                where=str(path),
                todo=f"keep {self._path.name}.units beside {self._path.name}",
            ) from error
        self._linked.append(file)
        group = Hdf5Group(file[link.path], name)
        _need_filters(group)
        return group

    def close(self) -> None:
        for file in (*self._linked, self.file):
            with suppress(RuntimeError):  # the file is damaged; nothing was written to it
                file.close()


def _need_filters(group: Hdf5Group) -> None:
    """Check when opening, not at the first image, that the filter of the images is installed."""
    images = group.node.get(IMAGE.name)
    if isinstance(images, h5py.Dataset):  # else the store is damaged; reading it raises an error
        plist = images.id.get_create_plist()
        if codec := recognise_hdf5([plist.get_filter(i)[0] for i in range(plist.get_nfilters())]):
            codec.prepare()
