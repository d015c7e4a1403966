"""Stores as xarray datasets, built from what this room reads: every value is checked, and both containers agree.

Small arrays are in memory, images are read when they are used. A dataset has an open store of its own, so it outlives
the store it came from. It has no storage encoding, so xarray can write it, or a part, in any format.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingPackage, WrongUsage
from ..store.digest import TABLES_DIGEST
from ..store.layout import IMAGE, PUBLISHED, STATISTICS
from ..store.statistics import without_statistics
from ..version import install_advice
from .filters import numbers
from .lazy import StoredArray, StoredImages, lazy_array
from .rows import UnitRows, Units

if TYPE_CHECKING:
    import xarray

    from .store import Store

ABOUT = ("title", "doi", "citation", "license")  # attributes of the root that are true of every part
TIME_ENCODING = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian", "dtype": "int64"}
DIGESTS = ("content_digest", TABLES_DIGEST)  # of what is stored: untrue of a part
OF_THE_WHOLE_UNIT = "of the whole unit: wrong after obs or sample has been cut"


def unit_dataset(store: Store, name: str) -> xarray.Dataset:
    """All arrays of a unit, except published features."""
    _ = _xarray(), store[name]
    own = copy.copy(store)  # opens it again
    dataset = _of_unit(own, name)
    dataset.set_close(own.close)
    return dataset


def store_datatree(store: Store) -> xarray.DataTree:
    """All units with their published features and statistics, and the index."""
    package = _xarray()
    own = copy.copy(store)
    groups = {"/": package.Dataset(attrs=own.attributes)}
    if own.finished:
        tables = own.index_tables().values()
        index = _decoded({table.name: (table.dims, _native(table.data), table.attributes) for table in tables}, {})
        groups["index"] = index.assign_coords(sample=_localids(index["localid"].values))
    for name, unit in own.items():
        groups[name] = _of_unit(own, name)
        for key in unit.published:
            groups[f"{name}/{PUBLISHED}/{key}"] = _inner_group(own, name, f"{PUBLISHED}/{key}/")
        if f"{STATISTICS}/all" in unit:
            groups[f"{name}/{STATISTICS}"] = _inner_group(own, name, f"{STATISTICS}/")
    tree: xarray.DataTree = package.DataTree.from_dict(groups)
    tree.set_close(own.close)
    return tree


def _of_unit(store: Store, name: str) -> xarray.Dataset:
    unit = store[name]
    localids = unit.localid  # compares the small arrays with their digest
    unit.chunks.check_all()
    images = StoredImages(store, [(name, np.arange(unit.observations))], store.dataset.obs_shape)
    variables = {
        key: (array.dims, lazy_array(images) if key == IMAGE.name else _native(array[...]), array.attributes)
        for key, array in unit.items()
        if "/" not in key and key != "band"
    }
    about = {key: value for key, value in without_statistics(unit.attributes).items() if key not in DIGESTS}
    dataset = _decoded(variables, about).set_coords("wavelength")
    for key in ("row_start", "row_size", "sample_index"):
        dataset[key].attrs["comment"] = OF_THE_WHOLE_UNIT
    owners = np.repeat(_native(localids), np.diff(unit.row_start))
    return dataset.assign_coords(
        sample=_localids(localids),
        obs_localid=("obs", owners, {"long_name": "localid of the sample of the observation"}),
        band=_bands(store),
    )


def _inner_group(store: Store, unit: str, prefix: str) -> xarray.Dataset:
    arrays = {key: array for key, array in store[unit].items() if key.startswith(prefix)}
    variables = {
        key.removeprefix(prefix): (
            array.dims,
            lazy_array(StoredArray(store, unit, key, array.shape, array.dtype)),
            array.attributes,
        )
        for key, array in arrays.items()
    }
    return _decoded(variables, {})


def samples_dataset(store: Store, name: str, localid: int | Iterable[int]) -> xarray.Dataset:
    """Samples of a unit as ``rows_dataset``. For one sample, split, tile and localid are single values."""
    unit, localids = store[name], numbers(localid)
    places = [unit.rows(one) for one in localids]
    rows = UnitRows(unit, localids, [np.arange(one.start, one.stop) for one in places])
    dataset = rows_dataset(store, [rows] if localids else [])
    if isinstance(localid, Iterable):
        return dataset
    words = {key: ((), np.array(getattr(unit.name, key), object)) for key in ("split", "tile")}
    return dataset.drop_vars(["split", "tile", "localid"]).assign_coords(words | {"localid": localids[0]})


def rows_dataset(store: Units, units: Sequence[UnitRows]) -> xarray.Dataset:
    """Observations of samples, one after the other along ``time``."""
    package = _xarray()
    if len({one.unit.label.shape[1:] for one in units}) > 1:
        shapes = ", ".join(f"{one.unit.name} {one.unit.label.shape[1:]}" for one in units)
        raise WrongUsage("units have labels of different shapes", found=shapes, todo="select these units separately")
    own = copy.copy(store)
    rows = [(str(one.unit.name), np.concatenate(one.rows)) for one in units]
    images = StoredImages(own, rows, store.dataset.obs_shape)
    label, weight, time = (
        _native(np.concatenate([getattr(own.units[name], key)[part] for name, part in rows] or [np.zeros(0, dtype)]))
        for key, dtype in (("label", "i1"), ("weight", "f4"), ("dates", "M8[D]"))
    )
    about = {key: dict(own.units[rows[0][0]][key].attributes) if rows else {} for key in ("image", "label", "weight")}
    about["image"] = {**about["image"], "ancillary_variables": "label weight"}
    about["image"].pop("coordinates", None)
    dataset: xarray.Dataset = package.Dataset(
        {
            "image": (("time", *IMAGE.dims[1:]), lazy_array(images), about["image"]),
            "label": (("time", "label_y", "label_x")[: label.ndim], label, about["label"]),
            "weight": ("time", weight, about["weight"]),
        },
        {"time": ("time", time.astype("M8[ns]"), {"standard_name": "time"}, TIME_ENCODING), "band": _bands(store)},
        {key: store.attributes[key] for key in ABOUT if key in store.attributes},
    )
    wavelengths = np.array([band.wavelength_nm for band in store.dataset.bands], np.float32)
    return dataset.assign_coords(_places(units) | {"wavelength": ("band", wavelengths, {"units": "nm"})})


def _places(units: Sequence[UnitRows]) -> dict[str, Any]:
    """Where each observation comes from: coordinates along time."""
    places: dict[str, list[Any]] = {"split": [], "tile": [], "localid": [], "row": []}
    for unit, localids, rows in units:
        sizes = [len(own) for own in rows]
        places["split"].append(np.full(sum(sizes), unit.name.split, object))
        places["tile"].append(np.full(sum(sizes), unit.name.tile, object))
        places["localid"].append(np.repeat(np.array(localids, np.int64), sizes))
        places["row"].append(np.concatenate(rows))
    dtypes: dict[str, Any] = {"split": object, "tile": object, "localid": np.int64, "row": np.int64}
    return {key: ("time", np.concatenate(parts or [np.zeros(0, dtypes[key])])) for key, parts in places.items()}


def _decoded(variables: Mapping[str, Any], attributes: Mapping[str, Any]) -> xarray.Dataset:
    """A dataset with dates in place of numbers of days, and without any other encoding."""
    dataset: xarray.Dataset = _xarray().decode_cf(_xarray().Dataset(dict(variables), attrs=dict(attributes)))
    for variable in dataset.variables.values():
        variable.encoding = dict(TIME_ENCODING) if "calendar" in variable.encoding else {}
    return dataset


def _native(values: Any) -> Any:
    """The same values; netCDF4 warns of an explicit byte order, even if it is that of this machine."""
    return np.asarray(values, values.dtype.newbyteorder("="))


def _localids(localids: Any) -> Any:
    return "sample", _native(localids), {"long_name": "sample id given by the authors", "cf_role": "timeseries_id"}


def _bands(store: Units) -> Any:
    names = np.array([band.name for band in store.dataset.bands], object)  # xarray writes objects as plain text
    return "band", names, {"long_name": f"{store.dataset.mission} band"}


def _xarray() -> Any:
    try:
        import xarray
    except ImportError as error:
        raise MissingPackage("this needs xarray", todo=install_advice("xarray")) from error
    return xarray
