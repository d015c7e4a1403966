"""Programs and CF tools that share no code with h5py find the same values in HDF5 stores."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import plain
import pytest

GROUPS = ("train/49RGN", "train/50SMG", "val/50SMG", "index")
KINDS = ("h5", "linked")
UNIT_FILE = "made.h5.units/train_50SMG.h5"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump (hdf5-tools) is not installed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", GROUPS)
def test_h5dump_gives_the_bytes_of_every_array(made, kind, group, tmp_path):
    for name, expected in plain.arrays(made[kind], group).items():
        done = run("h5dump", "-d", f"/{group}/{name}", "-b", "LE", "-o", tmp_path / "raw", made[kind])
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "raw").read_bytes() == expected.astype(expected.dtype.newbyteorder("<")).tobytes(), name


@pytest.mark.skipif(shutil.which("gdalmdiminfo") is None, reason="gdalmdiminfo (gdal-bin) is not installed")
@pytest.mark.parametrize("kind", ["h5"])
def test_gdal_reads_arrays_and_dimensions(made, kind):
    for group in GROUPS:
        for name, expected in plain.arrays(made[kind], group).items():
            if name == "image":
                continue
            done = run("gdalmdiminfo", "-detailed", "-array", f"/{group}/{name}", made[kind])
            assert done.returncode == 0, done.stderr
            found = json.loads(re.sub(r"\bnan\b", "NaN", done.stdout))
            assert found["dimension_size"] == list(expected.shape), name
            np.testing.assert_array_equal(np.array(found["values"], expected.dtype), expected, err_msg=name)
    found = json.loads(run("gdalmdiminfo", "-detailed", "-array", "/val/50SMG/image", made[kind]).stdout)
    expected = plain.arrays(made[kind], "val/50SMG")["image"]
    np.testing.assert_array_equal(np.array(found["values"], np.uint16), expected)
    assert [one["name"] for one in found["dimensions"]] == ["obs", "band", "y", "x"]


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo (gdal-bin) is not installed")
def test_gdalinfo_reads_the_attributes(made):
    """Its raster model has no place for four dimensions; the multidimensional API has."""
    done = run("gdalinfo", made["h5"])
    assert done.returncode == 0, done.stderr
    assert "state=complete" in done.stdout


CFDM = """
import json, sys
try:
    import cfdm
except (ImportError, FileNotFoundError) as error:  # without the UDUNITS-2 library it cannot be imported
    print(json.dumps({"absent": str(error)}))
    raise SystemExit
import h5py, numpy as np
(image,) = [f for f in cfdm.read(sys.argv[1], backend="netCDF4") if f.nc_get_variable().endswith("train/50SMG/image")
            or f.nc_get_variable() == "image"]
found = image.array  # (sample, longest, band, y, x)
with h5py.File(sys.argv[1]) as file:
    unit = file
    starts, pixels = unit["row_start"][:], unit["image"][:]
equal = [bool((found[i, : b - a] == pixels[a:b]).all()) for i, (a, b) in enumerate(zip(starts[:-1], starts[1:]))]
filled = [int(found.mask[i, b - a :].size and not found.mask[i, b - a :].all())
          for i, (a, b) in enumerate(zip(starts[:-1], starts[1:]))]
print(json.dumps({"how": image.data.get_compression_type(), "shape": found.shape, "equal": equal, "filled": filled}))
"""


def test_cfdm_unpacks_a_unit_as_a_ragged_array(made, tmp_path):
    if not _installed("cfdm"):
        pytest.skip("cfdm is not installed")
    unit = Path(shutil.copy(made["linked"].parent / UNIT_FILE, tmp_path / "unit.nc"))
    done = run(sys.executable, "-c", CFDM, unit)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if "absent" in found:
        pytest.skip(f"cfdm: {found['absent']}")
    assert found["how"] == "ragged contiguous"
    assert found["shape"] == [3, 130, 4, 42, 42]
    assert found["equal"] == [True] * 3
    assert found["filled"] == [0] * 3


@pytest.mark.parametrize("what", ["store", "unit"])
def test_the_ioos_checker_finds_no_error(made, tmp_path, what):
    """It wants names that end with .nc."""
    if not _installed("compliance_checker"):
        pytest.skip("compliance-checker is not installed")
    original = made["h5"] if what == "store" else made["linked"].parent / UNIT_FILE
    path = shutil.copy(original, tmp_path / "checked.nc")
    report = tmp_path / "report.json"
    checker = Path(sys.executable).with_name("compliance-checker")
    done = run(checker, "--test=cf:1.11", "-f", "json", "-o", report, path)
    assert report.exists(), done.stderr
    (found,) = json.loads(report.read_text()).values()
    assert found["high_count"] == 0, found["high_priorities"]


def _installed(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None
