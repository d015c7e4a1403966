"""Opens a store with xarray."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingPackage
from ..version import install_advice
from .hdf5_groups import Hdf5Group
from .unit import Unit

if TYPE_CHECKING:
    import xarray


def open_dataset(path: Path, format: str, unit: Unit) -> xarray.Dataset:
    """Open one unit. Values are read lazily."""
    _check(unit)
    dataset: xarray.Dataset
    if isinstance(unit.group, Hdf5Group):
        group = unit.group.node.name
        dataset = _xarray().open_dataset(unit.group.file, group=group, engine="h5netcdf")
    else:
        dataset = _xarray().open_zarr(path, group=str(unit.name), consolidated=True, chunks=None)
    return dataset


def open_datatree(path: Path, format: str, units: Mapping[str, Unit]) -> xarray.DataTree:
    """Open all units and the index. Values are read lazily."""
    for unit in units.values():
        _check(unit)
    tree: xarray.DataTree
    if format == "zarr":
        tree = _xarray().open_datatree(path, engine="zarr", consolidated=True)
    elif all(_hdf5_file(unit) == str(path) for unit in units.values()):
        tree = _xarray().open_datatree(path, engine="h5netcdf")
    else:  # h5netcdf does not follow external links
        groups = {name: open_dataset(path, format, unit) for name, unit in units.items()}
        for name in ("index", "/"):
            groups[name] = _xarray().open_dataset(path, group=name, engine="h5netcdf")
        tree = _xarray().DataTree.from_dict(groups)
    return tree


def _check(unit: Unit) -> None:
    """Check that all chunks exist and small arrays match their digest: zarr-python returns zeros for missing chunks."""
    _ = unit.localid
    unit.chunks.check_all()


def _hdf5_file(unit: Unit) -> str:
    """The file of a unit: its own file in a linked store."""
    assert isinstance(unit.group, Hdf5Group)
    return unit.group.file


def _xarray() -> Any:
    try:
        import xarray
    except ImportError as error:
        raise MissingPackage("this needs xarray", todo=install_advice("xarray")) from error
    return xarray
