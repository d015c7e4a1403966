"""Tools of the CF conventions: cfdm, which is their data model in code, and the IOOS compliance checker."""

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
OBS = ("image", "example", "position", "sample_index")  # those that become fields; the rest belong to image


@pytest.fixture(scope="module")
def cfdm():
    try:
        return pytest.importorskip("cfdm", reason="cfdm is not installed")
    except FileNotFoundError as error:
        pytest.skip(f"cfdm: {error}")  # the UDUNITS-2 library


@pytest.fixture(params=first_quick(["unit file", "zarr group"]))
def fields(request, cfdm, stores, unit_file):
    """Fields of one unit by the name of their variable."""
    if request.param == "zarr group":
        read = cfdm.read(str(stores["zarr"] / UNIT))
    else:
        read = cfdm.read(str(unit_file), backend="netCDF4")
    return {field.nc_get_variable().strip("/"): field for field in read}


def test_cfdm_knows_a_unit_for_a_ragged_array(fields, expected):
    wanted = expected[UNIT]
    for name in OBS:
        data = fields[name].data
        assert data.get_compression_type() == "ragged contiguous", name
        assert data.get_count().array.tolist() == wanted["row_size"].tolist()
        assert data.shape[:2] == (len(wanted["localid"]), wanted["row_size"].max())
    assert "row_size" not in fields  # it is the count of the others and no field of its own


def test_cfdm_unpacks_each_sample_to_its_values(fields, expected):
    wanted = expected[UNIT]
    for name in OBS:
        unpacked = fields[name].data.array
        for i, (start, size) in enumerate(zip(wanted["row_start"], wanted["row_size"], strict=False)):
            assert np.array_equal(unpacked[i, :size], wanted[name][start : start + size]), name
            assert np.ma.getmaskarray(unpacked)[i, size:].all(), name


def test_cfdm_gives_images_their_dates_labels_and_weights(fields, expected):
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


def test_cfdm_takes_no_property_of_the_store_for_one_of_its_arrays(fields):
    """Attributes of a root are properties of every field."""
    assert fields["image"].get_property("units") == "1"
    assert fields["localid"].get_property("units", None) is None
    assert fields["image"].get_property("featureType") == "timeSeries"


def test_cfdm_reads_a_whole_store_without_seeing_that_it_is_ragged(cfdm, stores, expected):
    """It knows one discrete sampling geometry a file, said by the root. If this changes, docs/readers.md can say so."""
    fields = {field.nc_get_variable(): field for field in cfdm.read(str(stores["gzip"]), backend="netCDF4")}
    image = fields[f"/{UNIT}/image"]
    assert image.data.get_compression_type() == ""
    assert np.array_equal(image.data.array, expected[UNIT]["image"])
    assert fields["/index/localid"].get_property("units", None) is None


def test_pyfive_the_first_choice_of_cfdm_does_not_read_the_hdf5_of_today(cfdm, unit_file):
    """Hence ``backend="netCDF4"``. If this begins to work, docs/readers.md can leave that out."""
    with pytest.raises(Exception, match="layout class 4"):
        cfdm.read(str(unit_file))


TEST = "cf:1.11"
ITS_OWN_FAULTS = {
    "check_domain_variables",  # breaks down on every ragged array: ioos/compliance-checker issue 1318
    "check_invalid_same_named_dimension_across_groups",  # takes it that every group has a dimension `time`
}
CHECKER = Path(sys.executable).with_name("compliance-checker")
needs_checker = pytest.mark.skipif(not CHECKER.exists(), reason="compliance-checker is not installed")


def check(path):
    """What the compliance checker reports by priority."""
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
    """A unit file under a name that the checker takes, with what CF asks of a file and not of a group."""
    path = tmp_path / "unit.nc"
    shutil.copy(unit_file, path)
    with h5py.File(path, "r+") as file:
        file.attrs.update({"Conventions": "CF-1.11", "title": "one unit", "history": "copied"})
    return path


# It tells the feature of an array by its coordinates, and there are no latitudes and longitudes.
NO_POSITION = "is not a timeseries, it is detected as a point"


@needs_checker
def test_the_compliance_checker_finds_no_error(netcdf):
    found = check(netcdf)
    assert found["high"] == []
    assert [message for message in found["medium"] if NO_POSITION not in message] == []
    assert found["low"] == []


@needs_checker
def test_the_compliance_checker_looks_at_the_arrays(netcdf):
    with h5py.File(netcdf, "r+") as file:
        file["time"].attrs["units"] = "days"
        file["label"].attrs["flag_values"] = np.arange(5, dtype=np.int8)
    found = check(netcdf)
    assert any("flag_values" in message for level in found.values() for message in level), found
    assert any("time" in message and "units" in message for message in found["high"]), found


@needs_checker
def test_the_compliance_checker_sees_only_the_root_of_a_store(stores, tmp_path):
    """So it has nothing to say about a whole store: unit files are what it can check."""
    path = tmp_path / "store.nc"
    shutil.copy(stores["gzip"], path)
    assert check(path) == {"high": [], "medium": [], "low": []}
    with h5py.File(path, "r+") as file:
        file[f"{UNIT}/time"].attrs["units"] = "days"
    assert check(path)["high"] == []
