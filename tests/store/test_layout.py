from __future__ import annotations

import math
import re

import numpy as np
import pytest

from s2ct_convert.dataset import DATASET
from s2ct_convert.store import layout
from s2ct_convert.store.layout import (
    IMAGE,
    UnitForm,
    band_data,
    index_arrays,
    published_arrays,
    unit_arrays,
)
from s2ct_convert.store.root import root_attributes

pytestmark = pytest.mark.every_variant  # all are quick

# A copy of docs/design.md section 3: name -> dtype, dimensions.
UNIT = {
    "image": ("uint16", ("obs", "band", "y", "x")),
    "label": ("int8", ("obs",)),
    "date": ("int64", ("obs",)),
    "time": ("int32", ("obs",)),
    "weight": ("float32", ("obs",)),
    "sample_index": ("int32", ("obs",)),
    "image_crc32c": ("uint32", ("obs",)),
    "example": ("int32", ("obs",)),
    "position": ("int32", ("obs",)),
    "localid": ("int64", ("sample",)),
    "row_size": ("int32", ("sample",)),
    "row_start": ("int64", ("sample_bound",)),
    "band": ("int8", ("band",)),
    "wavelength": ("float32", ("band",)),
}
INDEX = {
    "split": ("int8", ("sample",)),
    "tile": ("int16", ("sample",)),
    "localid": ("int64", ("sample",)),
    "row_start": ("int64", ("sample",)),
    "row_size": ("int32", ("sample",)),
    "time_first": ("int32", ("sample",)),
    "time_last": ("int32", ("sample",)),
    "label_count": ("int32", ("sample", "class")),
}
SPLITS = ("dev", "train")
TILES = ("49RGN", "50SMG")
PUBLISHED = {
    "state": ("int8", ("source_example",)),
    "offset": ("int64", ("source_example_bound",)),
    "data": ("uint8", ("byte",)),
}
ONE, SIX = unit_arrays(UnitForm()), unit_arrays(UnitForm(label_side=6))
EVERY_ARRAY = [IMAGE, *ONE, *SIX, *index_arrays(SPLITS, TILES), *published_arrays("labels", "bytes")]
IDS = [f"{spec.name}-{i}" for i, spec in enumerate(EVERY_ARRAY)]
CLASSES = "clear opaque_cloud thin_cloud haze cloud_shadow snow"


def as_table(specs):
    return {spec.name: (spec.dtype, spec.dims) for spec in specs}


def by_name(specs, name):
    return next(spec for spec in specs if spec.name == name)


def test_a_unit_has_exactly_the_arrays_of_the_design():
    assert as_table([IMAGE, *ONE]) == UNIT


@pytest.mark.parametrize("side", [2, 6, 42])
def test_k_by_k_labels_change_only_the_label_array(side):
    wanted = UNIT | {"label": ("int8", ("obs", "label_y", "label_x"))}
    assert as_table([IMAGE, *unit_arrays(UnitForm(label_side=side))]) == wanted


def test_layout_1_has_no_date_and_short_positions():
    wanted = {name: what for name, what in UNIT.items() if name != "date"} | {"position": ("int16", ("obs",))}
    assert as_table([IMAGE, *unit_arrays(UnitForm(layout=1))]) == wanted


def test_a_published_feature_has_exactly_the_arrays_of_the_design():
    assert as_table(published_arrays("labels", "bytes")) == PUBLISHED
    about = by_name(published_arrays("a/b", "feature"), "data").attributes
    assert (about["name"], about["kind"]) == ("a/b", "feature")


def test_the_index_has_exactly_the_arrays_of_the_design():
    assert as_table(index_arrays(SPLITS, TILES)) == INDEX


def test_chunks_and_shards_have_the_sizes_of_the_design():
    assert (layout.CHUNK_OBS, layout.SHARD_OBS, layout.OBS_SHAPE) == (32, 4096, (4, 42, 42))
    assert layout.OBS_BYTES == 14_112


@pytest.mark.parametrize(
    ("specs", "name", "meanings"),
    [
        (unit_arrays(UnitForm(layout=1)), "label", CLASSES),
        (ONE, "label", f"no_label {CLASSES}"),
        (SIX, "label", f"no_label {CLASSES}"),
        (ONE, "band", "B2 B3 B4 B8"),
        (published_arrays("labels", "bytes"), "state", "elsewhere here absent"),
        (index_arrays(SPLITS, TILES), "split", "dev train"),
        (index_arrays(SPLITS, TILES), "tile", "49RGN 50SMG"),
    ],
)
def test_flags_start_at_0_or_no_label_and_have_the_variables_dtype(specs, name, meanings):
    spec = by_name(specs, name)
    assert spec.attributes["flag_meanings"] == meanings
    values = spec.attributes["flag_values"]
    assert values.dtype == spec.dtype
    first = -1 if meanings.startswith("no_label") else 0
    assert values.tolist() == list(range(first, first + len(meanings.split())))
    assert all(re.fullmatch(r"[A-Za-z0-9_.+@-]+", word) for word in meanings.split())  # CF 3.5


@pytest.mark.parametrize("spec", EVERY_ARRAY, ids=IDS)
def test_arrays_are_numeric_without_attributes_that_change_values(spec):
    assert np.dtype(spec.dtype).kind in "iuf"
    assert not {"_FillValue", "missing_value", "scale_factor", "add_offset", "valid_range"} & set(spec.attributes)
    for value in spec.attributes.values():
        assert isinstance(value, str | int | np.ndarray)
        assert isinstance(value, str) or not np.isnan(value).any()


def test_time_has_a_fill_value_only_if_dates_are_missing():
    undated = [*unit_arrays(UnitForm(undated=True)), *index_arrays(SPLITS, TILES, undated=True)]
    filled = {spec.name: spec.attributes["_FillValue"] for spec in undated if "_FillValue" in spec.attributes}
    assert filled == {"time": -(2**31), "time_first": -(2**31), "time_last": -(2**31)}
    assert {value.dtype for value in filled.values()} == {np.dtype("int32")}


@pytest.mark.parametrize("name", ["time", "time_first", "time_last"])
def test_times_are_days_since_1970_in_a_standard_calendar(name):
    attributes = by_name(EVERY_ARRAY, name).attributes
    assert attributes["units"] == "days since 1970-01-01"
    assert attributes["calendar"] == "proleptic_gregorian"


def test_a_unit_is_marked_as_a_cf_contiguous_ragged_array():
    assert by_name(ONE, "localid").attributes["cf_role"] == "timeseries_id"
    assert by_name(ONE, "row_size").attributes["sample_dimension"] == "obs"


def test_the_root_has_no_attribute_that_cf_passes_on_to_arrays():
    """CF readers treat a global attribute as a property of every array without an attribute of that name."""
    assert not {"units", "standard_name", "long_name", "coordinates", "featureType"} & set(root())


def test_bands_have_wavelengths_in_nm():
    assert by_name(ONE, "wavelength").attributes["units"] == "nm"
    values = band_data(DATASET)
    assert {name: array.dtype for name, array in values.items()} == {"band": np.int8, "wavelength": np.float32}
    assert values["band"].tolist() == [0, 1, 2, 3]
    # Sentinel-2A according to ESA: the wide bands blue, green, red at 490, 560, 665 nm, and B8 (not 8A) at 833 nm.
    assert np.abs(values["wavelength"] - [492.4, 559.8, 664.6, 832.8]).max() < 0.01


def root(**changed):
    given = {"state": "complete", "version": "1.2", "command": "s2ct convert a b", "units": 3, "digest": "sha256:0"}
    return root_attributes(**{**given, **changed})


def test_the_root_states_title_source_history_and_state(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    attributes = root()
    assert attributes["Conventions"] == "CF-1.11, ACDD-1.3"
    assert attributes["state"] == "complete"
    assert attributes["s2ct_version"] == "1.2"
    assert attributes["s2ct_layout_version"] == layout.LAYOUT_VERSION
    assert attributes["content_digest"] == "sha256:0"
    assert attributes["doi"] == "https://doi.org/10.5281/zenodo.10613705"
    assert attributes["history"] == "2023-11-14T22:13:20Z s2ct 1.2: s2ct convert a b"
    assert {"title", "license", "creators", "citation"} <= {name for name, value in attributes.items() if value}


def test_only_date_and_history_depend_on_the_clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    first = root()
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    now = root()
    assert {name for name in first if first[name] != now[name]} == {"date_created", "history"}


def test_root_attributes_are_text_and_finite_numbers():
    for name, value in root().items():
        assert isinstance(value, str | int) and math.isfinite(len(str(value))), name


def test_tile_numbers_have_a_wider_dtype_for_many_tiles():
    for n, dtype in ((1 << 15, "int16"), ((1 << 15) + 1, "int32")):
        tiles = tuple(f"{i:05}" for i in range(n))
        (tile,) = (spec for spec in index_arrays(SPLITS, tiles) if spec.name == "tile")
        assert tile.dtype == dtype
        assert tile.attributes["flag_values"].dtype == dtype
        assert tile.attributes["flag_values"][-1] == n - 1
