"""Tools for the CF conventions: cfdm, which implements their data model, and the IOOS compliance checker."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from twins import first_quick

UNIT = "train/34VFN"  # four samples of different lengths, one of more than a hundred observations
OBS = ("image", "example", "position", "sample_index")  # arrays that become fields; the others belong to image


@pytest.fixture(scope="module")
def cfdm():
    try:
        return pytest.importorskip("cfdm", reason="cfdm is not installed")
    except FileNotFoundError as error:
        pytest.skip(f"cfdm: {error}")  # the UDUNITS-2 library is missing


@pytest.fixture(params=first_quick(["unit file", "zarr group"]))
def fields(request, cfdm, stores, unit_file):
    """Fields of one unit by name of their variable."""
    if request.param == "zarr group":
        read = cfdm.read(str(stores["zarr"] / UNIT))
    else:
        read = cfdm.read(str(unit_file), backend="netCDF4")
    return {field.nc_get_variable().strip("/"): field for field in read}


@pytest.mark.slow  # what test_cfdm_unpacks_each_sample reads is checked in `make test`
def test_cfdm_recognises_a_unit_as_a_ragged_array(fields, expected):
    wanted = expected[UNIT]
    for name in OBS:
        data = fields[name].data
        assert data.get_compression_type() == "ragged contiguous", name
        assert data.get_count().array.tolist() == wanted["row_size"].tolist()
        assert data.shape[:2] == (len(wanted["localid"]), wanted["row_size"].max())
    assert "row_size" not in fields  # it is the count variable of the others, not a field


@pytest.mark.slow
def test_cfdm_unpacks_each_sample(fields, expected):
    wanted = expected[UNIT]
    for name in OBS:
        unpacked = fields[name].data.array
        for i, (start, size) in enumerate(zip(wanted["row_start"], wanted["row_size"], strict=False)):
            assert np.array_equal(unpacked[i, :size], wanted[name][start : start + size]), name
            assert np.ma.getmaskarray(unpacked)[i, size:].all(), name


@pytest.mark.slow  # what test_cfdm_unpacks_each_sample reads is checked in `make test`
def test_cfdm_attaches_dates_labels_and_weights_to_images(fields, expected):
    wanted, image = expected[UNIT], fields["image"]
    constructs = {
        construct.nc_get_variable().strip("/"): construct
        for construct in (*image.auxiliary_coordinates().values(), *image.field_ancillaries().values())
    }
    assert set(constructs) == {"time", "label", "weight", "image_crc32c"}
    for name, construct in constructs.items():
        values = construct.data.array
        for i, (start, size) in enumerate(zip(wanted["row_start"], wanted["row_size"], strict=False)):
            assert np.array_equal(values[i, :size], wanted[name][start : start + size]), name
    assert str(constructs["time"].data.datetime_array[0, 0])[:10] == str(wanted["time"].astype("datetime64[D]")[0])
    assert constructs["label"].get_property("flag_meanings").split()[2] == "opaque_cloud"


@pytest.mark.slow
def test_cfdm_gives_arrays_no_properties_of_the_store(fields):
    """Attributes of the root are properties of every field."""
    assert fields["image"].get_property("units") == "1"
    assert fields["localid"].get_property("units", None) is None
    assert fields["image"].get_property("featureType") == "timeSeries"


@pytest.mark.slow
def test_cfdm_reads_a_whole_store_as_plain_arrays(cfdm, stores, expected):
    """cfdm supports one discrete sampling geometry per file, in the root. If this fails, update docs/readers.md."""
    fields = {field.nc_get_variable(): field for field in cfdm.read(str(stores["gzip"]), backend="netCDF4")}
    image = fields[f"/{UNIT}/image"]
    assert image.data.get_compression_type() == ""
    assert np.array_equal(image.data.array, expected[UNIT]["image"])
    assert fields["/index/localid"].get_property("units", None) is None


def test_pyfive_does_not_read_current_hdf5_files(cfdm, unit_file):
    """pyfive is the default of cfdm, hence ``backend="netCDF4"``. If this fails, update docs/readers.md."""
    with pytest.raises(Exception, match="layout class 4"):
        cfdm.read(str(unit_file))


TEST = "cf:1.11"
ITS_OWN_FAULTS = {
    "check_domain_variables",  # crashes on every ragged array: ioos/compliance-checker issue 1318
    "check_invalid_same_named_dimension_across_groups",  # assumes that every group has a dimension `time`
}
CHECKER = Path(sys.executable).with_name("compliance-checker")
needs_checker = pytest.mark.skipif(not CHECKER.exists(), reason="compliance-checker is not installed")


def check(path):
    """Reports of the compliance checker, by priority."""
    out = path.with_suffix(".json")
    command = [CHECKER, f"--test={TEST}", "--criteria=strict", "--format=json", f"--output={out}", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert set(re.findall(r"cf:1.11.(check_\w+)", done.stderr)) <= ITS_OWN_FAULTS, done.stderr
    report = json.loads(out.read_text())[TEST]
    return {
        level: [message for result in report[f"{level}_priorities"] for message in result["msgs"]]
        for level in ("high", "medium", "low")
    }


@pytest.fixture
def netcdf(tmp_path, unit_file):
    """A unit file with a name that the checker accepts and the attributes that CF requires of a file."""
    path = tmp_path / "unit.nc"
    shutil.copy(unit_file, path)
    with h5py.File(path, "r+") as file:
        file.attrs.update({"Conventions": "CF-1.11", "title": "one unit", "history": "copied"})
    return path


# The checker derives the feature type from coordinates, and a store has no latitudes and longitudes.
NO_POSITION = "is not a timeseries, it is detected as a point"


@needs_checker
def test_the_compliance_checker_reports_no_error(netcdf):
    found = check(netcdf)
    assert found["high"] == []
    assert [message for message in found["medium"] if NO_POSITION not in message] == []
    assert found["low"] == []


@needs_checker
def test_the_compliance_checker_checks_the_arrays(netcdf):
    with h5py.File(netcdf, "r+") as file:
        file["time"].attrs["units"] = "days"
        file["label"].attrs["flag_values"] = np.arange(5, dtype=np.int8)
    found = check(netcdf)
    assert any("flag_values" in message for level in found.values() for message in level), found
    assert any("time" in message and "units" in message for message in found["high"]), found


@needs_checker
@pytest.mark.slow  # `make test` checks a unit
def test_the_compliance_checker_checks_only_the_root_of_a_store(stores, tmp_path):
    """So the checker cannot check a whole store, only unit files."""
    path = tmp_path / "store.nc"
    shutil.copy(stores["gzip"], path)
    assert check(path) == {"high": [], "medium": [], "low": []}
    with h5py.File(path, "r+") as file:
        file[f"{UNIT}/time"].attrs["units"] = "days"
    assert check(path)["high"] == []
