"""NetCDF-4: one file per unit, a CF contiguous ragged array of the selected samples.

xarray writes all arrays but the pixels. They follow block by block, so that a unit need not fit in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MachineError, MissingPackage
from ..reading.arrays import Array
from ..reading.rows import UnitRows
from ..reading.select import Selection
from ..store.layout import CHUNK_OBS, GAPS, SALVAGED
from ..store.root import lacks
from ..version import __version__, install_advice
from .folder import ExportedFolder, write_folder
from .items import ABOUT, Data, Item, items, unit_columns


def export_netcdf(
    data: Data,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    on_bytes: Callable[[int], None] = lambda n: None,
) -> ExportedFolder:
    """Write a store or a selection as netCDF-4: a file per unit, such as ``train_50SMG.nc``.

    A file has the arrays of a unit (docs/store.md) with the selected samples and observations, ``row``
    (of the unit) for each observation, and ``band_name``. It is a CF contiguous ragged array.

    Parameters
    ----------
    data : path-like, Store or Selection
    folder : path-like
        Absent or empty. It appears when all its files are whole.
    overwrite : bool
        Replace an earlier export in the folder.
    on_bytes : callable
        Called with the number of bytes of pixels written since the last call.

    Returns
    -------
    ExportedFolder

    Raises
    ------
    WrongUsage
        If nothing is selected.
    DestinationExists
        If the folder is not empty; with ``overwrite``, if it is not an earlier export.
    StoreDamaged
        If the store cannot be read. Nothing is left of the export.
    MissingPackage
        If xarray or netCDF4 is not installed.

    Examples
    --------
    >>> store = s2ct_convert.open_store("clouds.zarr")  # doctest: +SKIP
    >>> s2ct_convert.export_netcdf(store.select(months=[6, 7, 8]), "summer/")  # doctest: +SKIP
    """
    xarray, netcdf4 = _packages()

    def write(selection: Selection, work: Path) -> Iterator[tuple[str, int, int]]:
        given = items(selection)
        for unit in selection.unit_rows():
            name = f"{unit.unit.name.key}.nc"
            own = islice(given, len(unit.rows))
            try:
                _small(xarray, selection, unit).to_netcdf(work / name, engine="netcdf4", format="NETCDF4")
                _pixels(netcdf4, work / name, unit, own, on_bytes)
            except RuntimeError as error:  # netCDF-C does not say which error of the system it was
                raise MachineError(
                    "netCDF4 cannot write this file",
                    where=str(Path(folder, name)),
                    found=str(error),
                    todo="check that the disk has room and run it again; nothing of this export is kept",
                ) from error
            yield name, len(unit.rows), sum(map(len, unit.rows))

    return write_folder(data, folder, "netcdf", write, overwrite=overwrite)


def _small(xarray: Any, selection: Selection, given: UnitRows) -> Any:
    """Everything but the pixels."""
    unit, store = given.unit, selection.store
    rows = np.concatenate(given.rows)
    along_obs = {
        name: (unit[name].dims, _native(values[rows]), _attributes(unit[name]))
        for name, values in unit_columns(unit).items()
    }
    sizes = np.array([len(own) for own in given.rows], np.int32)
    along_sample = {
        "localid": ("sample", np.array(given.localids, np.int64), _attributes(unit["localid"])),
        "row_size": ("sample", sizes, _attributes(unit["row_size"])),
        "row": ("obs", rows, {"long_name": "row of the observation in its unit"}),
    }
    bands = np.array([band.name for band in store.dataset.bands], object)
    along_band = {
        "band": ("band", _native(unit["band"][...]), _attributes(unit["band"])),  # CF: coordinates are numbers
        "band_name": ("band", bands, {"long_name": f"{store.dataset.mission} band"}),
        "wavelength": ("band", _native(unit["wavelength"][...]), _attributes(unit["wavelength"])),
    }
    about: dict[str, Any] = {name: str(store.attributes[name]) for name in ABOUT if name in store.attributes}
    about |= {
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "split": unit.name.split,
        "tile": unit.name.tile,
        "source_file": str(unit.attributes.get("source_file", "")),
        "store_digest": str(store.attributes.get("content_digest", "")),
        "history": f"s2ct {__version__}: s2ct export --to netcdf, a selection of unit {unit.name}",
    }
    if missing := lacks(store.attributes):
        about["store_lacks"] = missing
    if unit.salvaged:  # the store has what is missing, in this form
        about |= {SALVAGED: 1, GAPS: str(unit.attributes[GAPS])}
    # Not as coordinates: xarray would name those in an attribute of the file.
    dataset = xarray.Dataset({**along_obs, **along_sample, **along_band}, attrs=about)
    for variable in dataset.variables.values():
        if variable.dtype.kind == "f" and "_FillValue" not in variable.attrs:
            variable.encoding["_FillValue"] = None  # xarray would add one
    return dataset


def _pixels(netcdf4: Any, path: Path, given: UnitRows, own: Iterator[Item], on_bytes: Callable[[int], None]) -> None:
    unit = given.unit
    dims, (bands, height, width) = unit["image"].dims, unit.dataset.obs_shape
    with netcdf4.Dataset(path, "a") as file:
        file.createDimension("y", height)
        file.createDimension("x", width)
        n_obs = len(file.dimensions["obs"])
        image = file.createVariable(
            "image", "u2", dims, zlib=True, complevel=1, shuffle=True, fletcher32=True, fill_value=False,
            chunksizes=(min(CHUNK_OBS, n_obs), bands, height, width),
        )  # fmt: skip
        image.setncatts({**_attributes(unit["image"]), "coordinates": "time wavelength band_name"})
        image.set_auto_maskandscale(False)
        row = 0
        for item in own:
            image[row : row + len(item.rows)] = item.image
            row += len(item.rows)
            on_bytes(item.image.nbytes)


def _attributes(array: Array) -> dict[str, Any]:
    """The attributes of an array with the types that CF wants; Zarr has plain numbers."""
    out: dict[str, Any] = {}
    for name, value in array.attributes.items():
        if name in ("flag_values", "_FillValue"):
            out[name] = np.asarray(value, array.dtype.newbyteorder("="))
        else:
            out[name] = np.int32(value) if isinstance(value, int) else value
    return out


def _native(values: Any) -> Any:
    return np.asarray(values, values.dtype.newbyteorder("="))


def _packages() -> tuple[Any, Any]:
    try:
        import netCDF4
        import xarray
    except ImportError as error:
        raise MissingPackage("this needs xarray and netCDF4", todo=install_advice("export")) from error
    return xarray, netCDF4
