"""A store as xarray opens it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingPackage
from .unit import Unit

if TYPE_CHECKING:
    import xarray


def open_dataset(path: Path, format: str, unit: Unit) -> xarray.Dataset:
    """One unit; read lazily, closed with the dataset."""
    dataset: xarray.Dataset = _xarray().open_dataset(path, group=str(unit.name), **_how(format))
    return dataset


def open_datatree(path: Path, format: str) -> xarray.DataTree:
    """All units and the index."""
    tree: xarray.DataTree = _xarray().open_datatree(path, **_how(format))
    return tree


def _how(format: str) -> dict[str, Any]:
    return {"engine": "zarr", "consolidated": True} if format == "zarr" else {"engine": "h5netcdf"}


def _xarray() -> Any:
    try:
        import xarray
    except ImportError as error:
        raise MissingPackage("this needs xarray", todo="pip install 's2ct-convert[xarray]'") from error
    return xarray
