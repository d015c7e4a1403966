"""A store as xarray opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingPackage
from ..store.layout import IMAGE
from .unit import Unit

if TYPE_CHECKING:
    import xarray


def open_dataset(path: Path, format: str, unit: Unit) -> xarray.Dataset:
    """One unit; read lazily."""
    dataset: xarray.Dataset
    if format == "zarr":
        dataset = _xarray().open_zarr(path, group=str(unit.name), consolidated=True, chunks=None)
    else:
        file, group = _hdf5_place(unit)
        dataset = _xarray().open_dataset(file, group=group, engine="h5netcdf")
    return dataset


def open_datatree(path: Path, format: str, units: Mapping[str, Unit]) -> xarray.DataTree:
    """All units and the index; read lazily."""
    tree: xarray.DataTree
    if format == "zarr":
        tree = _xarray().open_datatree(path, engine="zarr", consolidated=True)
    elif all(_hdf5_place(unit)[0] == str(path) for unit in units.values()):
        tree = _xarray().open_datatree(path, engine="h5netcdf")
    else:  # h5netcdf does not follow external links
        groups = {name: open_dataset(path, format, unit) for name, unit in units.items()}
        for name in ("index", "/"):
            groups[name] = _xarray().open_dataset(path, group=name, engine="h5netcdf")
        tree = _xarray().DataTree.from_dict(groups)
    return tree


def _hdf5_place(unit: Unit) -> tuple[str, str]:
    """The file and the group a unit is in: its own file if the store is a linked one."""
    image = unit[IMAGE.name]
    return image.file.filename, image.parent.name


def _xarray() -> Any:
    try:
        import xarray
    except ImportError as error:
        raise MissingPackage("this needs xarray", todo="pip install 's2ct-convert[xarray]'") from error
    return xarray
