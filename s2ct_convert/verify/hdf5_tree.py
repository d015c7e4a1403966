"""Checks the groups of an HDF5 store: no dataset missing, none extra, every dimension as netCDF tools need it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import h5py

from ..store.hdf5_file import PURE_DIMENSION
from ..store.layout import ArraySpec
from .findings import Finding
from .hdf5_dims import read_dims


def check_hdf5_tree(root: h5py.File, groups: Mapping[str, Sequence[ArraySpec]]) -> Iterator[Finding]:
    """Check the members of every group and the dimensions.

    Parameters
    ----------
    root : h5py.File
    groups : mapping
        Required arrays of each group, by name of the group.

    Raises
    ------
    RuntimeError
        If HDF5 cannot read its own metadata of an object.
    """
    splits = sorted({name.split("/")[0] for name in groups if "/" in name})
    yield from _members(root, "", {*splits, "index"})
    for split in splits:
        yield from _members(root[split], split, _inside(split, groups))
    wanted: list[tuple[h5py.Dataset, ArraySpec, str]] = []
    for name, specs in groups.items():
        group = root[name]
        arrays = {spec.name for spec in specs}
        dims = {dim for spec in specs for dim in spec.dims}
        yield from _members(group, name, arrays | dims | _inside(name, groups))
        for node in (group, *group.values()):
            h5py.h5o.get_info(node.id)  # reads the whole object header; opening the object may not
        for spec in specs:
            if spec.name in group and not _is_dataset(group, spec.name):
                yield Finding(f"{spec.name} is not a dataset", name)
            elif spec.name in group and not group[spec.name].is_scale:
                wanted.append((group[spec.name], spec, name))
        for dim in sorted(dims - arrays):
            if dim in group:
                yield from _dimension(group[dim], dim, name)
    yield from _dimension_lists(wanted)


def _inside(name: str, groups: Iterable[str]) -> set[str]:
    """Direct subgroups of a group."""
    return {other[len(name) + 1 :].split("/")[0] for other in groups if other.startswith(f"{name}/")}


def _members(group: Any, name: str, expected: set[str]) -> Iterator[Finding]:
    there = set(group)
    place = f"{name}/" if name else ""
    for member in sorted(expected - there):
        yield Finding(f"{place}{member} is missing")
    for member in sorted(there - expected):
        yield Finding(f"{place}{member} is not in the layout")


def _is_dataset(group: h5py.Group, name: str) -> bool:
    return isinstance(group[name], h5py.Dataset)


def _dimension_lists(arrays: Sequence[tuple[h5py.Dataset, ArraySpec, str]]) -> Iterator[Finding]:
    """Check the dimensions as netCDF tools read them, from the array. s2ct reads them from the scales."""
    found = read_dims([(str(array.file.filename), str(array.name)) for array, _, _ in arrays])
    if found is None:
        yield Finding("the dimensions of the arrays cannot be read: HDF5 hangs or crashes on them")
        return
    for (_, spec, unit), dims in zip(arrays, found, strict=True):
        if isinstance(dims, str):
            yield Finding(f"dimensions of {spec.name} cannot be read: {dims}", unit)
        elif dims != spec.dims:
            yield Finding(f"dimensions of {spec.name} are {dims}, expected {spec.dims}", unit)


def _dimension(scale: Any, dim: str, unit: str) -> Iterator[Finding]:
    """Check a dimension without coordinates, as netCDF-4 stores it."""
    if not isinstance(scale, h5py.Dataset) or not scale.is_scale:
        yield Finding(f"the dimension {dim} is not a dimension scale", unit)
    elif scale.attrs.get("NAME") != (PURE_DIMENSION % len(scale)).encode():
        yield Finding(f"the dimension {dim} is not marked as a dimension without coordinates", unit)
