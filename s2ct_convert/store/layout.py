"""The layout of a store as data: every array of a unit and of the index, with dtype, dimensions and attributes.

Both containers have the same tree (docs/design.md section 3). Writers and readers use these tables. No other
module defines attribute names, except root.py, extent.py and statistics.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..missing import NO_DATE, NO_DAY, NO_LABEL, NO_NUMBER
from ..published import STATES

LAYOUT_VERSION = 2
READABLE_LAYOUTS = (1, 2)
CHUNK_OBS = 32  # observations in an inner chunk; 451,584 bytes of the default data set
SHARD_OBS = 4096  # observations in a shard; 57.8 MB of the default data set before compression
NO_LABEL_NAME = "no_label"

# For code that supports only the default data set: pictures, Croissant, benchmarks.
OBS_SHAPE = DATASET.obs_shape
OBS_BYTES = DATASET.obs_bytes
BANDS = tuple(band.name for band in DATASET.bands)
WAVELENGTHS_NM = tuple(band.wavelength_nm for band in DATASET.bands)
LABELS = DATASET.classes

STATE_INCOMPLETE = "incomplete"
STATE_COMPLETE = "complete"
STATE_PARTIAL = "partial"  # finalised without all its units

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class ArraySpec:
    """One array: name, numpy dtype, names of its dimensions and its attributes.

    ``chunk`` is the chunk length of a long one-dimensional array; other small arrays are one chunk.
    """

    name: str
    dtype: str
    dims: tuple[str, ...]
    attributes: Attributes = field(default_factory=dict)
    chunk: int | None = None

    def chunks(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Chunk shape for an array of this shape."""
        return tuple(max(1, n if self.chunk is None else min(n, self.chunk)) for n in shape)


def _flags(meanings: tuple[str, ...], dtype: str) -> Attributes:
    """CF 3.5: flag_values have the dtype of the variable."""
    return {"flag_values": np.arange(len(meanings), dtype=dtype), "flag_meanings": " ".join(meanings)}


_TIME = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian", "units_metadata": "leap_seconds: none"}


def image_array(dataset: Dataset) -> ArraySpec:
    """The array of pixels."""
    return ArraySpec(
        "image",
        "uint16",
        ("obs", "band", "y", "x"),
        {
            "long_name": f"{dataset.mission} patch, values as published",
            "units": "1",
            "ancillary_variables": "label weight image_crc32c",
            "coordinates": "time",
            "resolution_m": dataset.resolution_m,
        },
    )


IMAGE = image_array(DATASET)  # name, dtype and dimensions are the same for every data set
_DATE = ArraySpec(
    "date",
    "int64",
    ("obs",),
    {"long_name": "date as published", "comment": f"{NO_DATE} where the source has no date for this image"},
)
_WEIGHT = ArraySpec(
    "weight", "float32", ("obs",), {"long_name": "weight given by the authors, NaN where there is none", "units": "1"}
)
_SAMPLE_INDEX = ArraySpec(
    "sample_index", "int32", ("obs",), {"long_name": "row of the sample dimension this observation belongs to"}
)
_EXAMPLE = ArraySpec("example", "int32", ("obs",), {"long_name": "number of the example in the source, from 0"})
_EXAMPLE_IF_KNOWN = ArraySpec(
    "example",
    "int32",
    ("obs",),
    {**_EXAMPLE.attributes, "_FillValue": np.int32(NO_NUMBER), "comment": f"{NO_NUMBER} after a gap of unknown length"},
)
FOUND = ArraySpec(  # only in a salvaged unit
    "found", "int32", ("obs",), {"long_name": "number of the example among those that were found, from 0"}
)
# Attributes of a salvaged unit.
SALVAGED = "salvaged"  # 1
GAPS = "gaps"  # as JSON


@dataclass(frozen=True)
class UnitForm:
    """The differences that units may have.

    Attributes
    ----------
    label_side : int
        k if labels are k x k per image; 1 for one label per image.
    undated : bool
        Whether some observations have no `time`.
    layout : int
    dataset : Dataset
        The data set of the store.
    salvaged : bool
        Whether the unit was salvaged from a damaged source.
    """

    label_side: int = 1
    undated: bool = False
    layout: int = LAYOUT_VERSION
    dataset: Dataset = DATASET
    salvaged: bool = False


def _label(form: UnitForm) -> ArraySpec:
    classes, side = form.dataset.classes, form.label_side
    centre = f"the centre {form.dataset.centre} x {form.dataset.centre} pixels"
    flags = _flags(classes, "int8")
    if form.layout > 1:
        flags = {
            "flag_values": np.arange(NO_LABEL, len(classes), dtype="int8"),
            "flag_meanings": " ".join((NO_LABEL_NAME, *classes)),
        }
    if side == 1:
        return ArraySpec("label", "int8", ("obs",), {"long_name": f"{form.dataset.label} of {centre}", **flags})
    of = f"each of {centre}" if side == form.dataset.centre else f"each of {side} x {side} parts, as published"
    long_name = f"{form.dataset.label} of {of}"
    return ArraySpec("label", "int8", ("obs", "label_y", "label_x"), {"long_name": long_name, **flags})


def _time(name: str, dim: str, long_name: str, standard_name: str | None, undated: bool) -> ArraySpec:
    """`_FillValue` only if a date is missing: readers then return NaT, and time stays integer in other units."""
    attributes: dict[str, Any] = {"standard_name": standard_name} if standard_name else {}
    attributes |= {"long_name": long_name, **_TIME}
    if undated:
        attributes["_FillValue"] = np.int32(NO_DAY)
    return ArraySpec(name, "int32", (dim,), attributes)


def _obs_arrays(form: UnitForm) -> tuple[ArraySpec, ...]:
    """Columns of a unit, one row per observation."""
    new = form.layout > 1
    position = ArraySpec(
        "position", "int32" if new else "int16", ("obs",), {"long_name": "position inside that example, from 0"}
    )
    checksum = f"CRC-32C of the {form.dataset.obs_bytes} little-endian bytes of the image"
    return (
        _label(form),
        *((_DATE,) if new else ()),
        _time("time", "obs", "date of acquisition", "time", form.undated),
        _WEIGHT,
        _SAMPLE_INDEX,
        ArraySpec("image_crc32c", "uint32", ("obs",), {"long_name": checksum}),
        *((_EXAMPLE_IF_KNOWN, FOUND) if form.salvaged else (_EXAMPLE,)),
        position,
    )


SAMPLE_ARRAYS = (
    ArraySpec(
        "localid", "int64", ("sample",), {"long_name": "sample id given by the authors", "cf_role": "timeseries_id"}
    ),
    ArraySpec(
        "row_size",
        "int32",
        ("sample",),
        {"long_name": "number of observations of the sample", "sample_dimension": "obs"},
    ),
    ArraySpec(
        "row_start", "int64", ("sample_bound",), {"long_name": "first observation of each sample; last is their number"}
    ),
)


def _band_arrays(dataset: Dataset) -> tuple[ArraySpec, ...]:
    flags = _flags(tuple(band.name for band in dataset.bands), "int8")
    wavelength = f"central wavelength of {dataset.platform}"
    return (
        ArraySpec("band", "int8", ("band",), {"long_name": f"{dataset.mission} band", **flags}),
        ArraySpec(
            "wavelength", "float32", ("band",),
            {"standard_name": "radiation_wavelength", "long_name": wavelength, "units": "nm"},
        ),
    )  # fmt: skip


def band_data(dataset: Dataset) -> Mapping[str, npt.NDArray[Any]]:
    """Values of the arrays along the band dimension, the same in every unit."""
    return {
        "band": np.arange(len(dataset.bands), dtype=np.int8),
        "wavelength": np.array([band.wavelength_nm for band in dataset.bands], np.float32),
    }


def unit_arrays(form: UnitForm) -> tuple[ArraySpec, ...]:
    """All arrays of a unit except ``image`` and those of published features."""
    return _obs_arrays(form) + SAMPLE_ARRAYS + _band_arrays(form.dataset)


PUBLISHED = "published"  # group of features that cannot be restored from the arrays of a unit
PUBLISHED_CHUNK = 4 << 20


def published_arrays(name: str, kind: str) -> tuple[ArraySpec, ...]:
    """Arrays of a published feature. Dimension names must not clash with variables of the unit, such as `example`."""
    about = {"long_name": "bytes of the feature, as published", "name": name, "kind": kind}
    return (
        ArraySpec(
            "state",
            "int8",
            ("source_example",),
            {"long_name": "where the feature of an example is", **_flags(STATES, "int8")},
        ),
        ArraySpec(
            "offset",
            "int64",
            ("source_example_bound",),
            {"long_name": "first byte of each example in data; last is their number"},
        ),
        ArraySpec("data", "uint8", ("byte",), about, chunk=PUBLISHED_CHUNK),
    )


STATISTICS = "statistics"  # group of a unit, and the attribute that says of what


def statistics_arrays() -> tuple[ArraySpec, ...]:
    """Arrays of the group ``statistics``: a histogram of the pixels of the unit."""
    return (
        ArraySpec("value", "uint16", ("value",), {"long_name": "values of pixels that occur", "units": "1"}),
        ArraySpec("all", "int64", ("band", "value"), {"long_name": "number of pixels"}),
        ArraySpec("clear", "int64", ("band", "value"), {"long_name": "number of pixels of clear observations"}),
    )


# CF 9.4 requires the feature type of every ragged array; CF readers unpack `row_size` only if it is present. The root
# has none, because the index is not a time series. Samples have no latitudes and longitudes.
UNIT_ATTRIBUTES: Attributes = {"Conventions": "CF-1.11", "featureType": "timeSeries"}


def index_arrays(
    splits: tuple[str, ...],
    tiles: tuple[str, ...],
    *,
    undated: bool = False,
    layout: int = LAYOUT_VERSION,
    dataset: Dataset = DATASET,
) -> tuple[ArraySpec, ...]:
    """Arrays of the index, one row per sample of the whole store, sorted by split, tile and localid.

    Flag values are the positions of a split or tile among the sorted ones of the store. ``undated``: whether some
    samples have no date.
    """
    row = ("sample",)
    split_dtype = "int8" if len(splits) <= 1 << 7 else "int32"
    tile_dtype = "int16" if len(tiles) <= 1 << 15 else "int32"  # there are about 57,000 MGRS tiles
    return (
        ArraySpec("split", split_dtype, row, {"long_name": "split", **_flags(splits, split_dtype)}),
        ArraySpec("tile", tile_dtype, row, {"long_name": "MGRS tile", **_flags(tiles, tile_dtype)}),
        ArraySpec("localid", "int64", row, {"long_name": "sample id given by the authors"}),
        ArraySpec("row_start", "int64", row, {"long_name": "first observation of the sample in its unit"}),
        ArraySpec("row_size", "int32", row, {"long_name": "number of observations of the sample"}),
        *(
            ArraySpec(f"time_{end}", "int32", row, {"long_name": f"{end} date, where row_size > 0", **_TIME})
            if layout == 1
            else _time(f"time_{end}", "sample", f"{end} date", None, undated)
            for end in ("first", "last")
        ),
        ArraySpec(
            "label_count",
            "int32",
            ("sample", "class"),
            {"long_name": "number of labels of each class", "classes": " ".join(dataset.classes)},
        ),
    )
