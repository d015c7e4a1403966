"""Debian's programs for netCDF, HDF5 and GDAL (netcdf-bin, hdf5-tools, gdal-bin) read equal values."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from .expected import assert_equal

GROUPS = ("train/31TCJ", "train/34VFN", "val/31TCJ", "val/34VFN", "index")
UNIT = "val/34VFN"  # the smallest unit: its images are 1.3 MB as text
KINDS = ("gzip", "blosc", "linked")
PLUGINS = {"blosc": {"HDF5_PLUGIN_PATH": hdf5plugin.PLUGIN_PATH}}


def run(program, *arguments, kind="gzip", check=True):
    """Run a program of the system. For Blosc, HDF5_PLUGIN_PATH points to the filter of hdf5plugin."""
    package = {"ncdump": "netcdf-bin", "h5dump": "hdf5-tools"}.get(program, "gdal-bin")
    if shutil.which(program) is None:
        pytest.skip(f"{program} ({package}) is not installed")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin", "LC_ALL": "C", **PLUGINS.get(kind, {})}
    environment["PATH"] = f"{Path(shutil.which(program)).parent}:{environment['PATH']}"
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=check, timeout=120, env=environment
    )


def test_ncdump_shows_every_array_with_its_dimensions(stores, expected):
    for kind in KINDS:
        header = run("ncdump", "-h", stores[kind], kind=kind).stdout
        assert "phony_dim" not in header
        assert header.count("ushort image(obs, band, y, x) ;") == 4
        assert header.count('row_size:sample_dimension = "obs" ;') == 4
        assert header.count(':featureType = "timeSeries" ;') == 4
        assert "int label_count(sample, class) ;" in header


@pytest.mark.parametrize("kind", KINDS)
def test_ncdump_values_are_equal(stores, expected, kind):
    for group in (UNIT, "index"):
        names = ",".join(f"/{group}/{name}" for name in expected[group])
        text = run("ncdump", "-p", "9,17", "-v", names, stores[kind], kind=kind).stdout
        blocks = re.findall(r"^ +data:\n(.*?)^ +} // group", text, re.DOTALL | re.MULTILINE)
        (block,) = [block for block in blocks if " localid = " in block]
        found = {name: values.split(",") for name, values in re.findall(r"(\w+) =([^;]*);", block)}
        for name, wanted in expected[group].items():
            values = np.array([value.strip() for value in found[name]], object).astype(wanted.dtype)
            assert_equal(values.reshape(wanted.shape), wanted, name)


def test_ncdump_shows_dates(stores, expected):
    text = run("ncdump", "-t", "-v", f"/{UNIT}/time", stores["gzip"]).stdout
    dates = re.findall(r'"(\d{4}-\d\d-\d\d)"', text[text.index(" time = ") :])
    assert dates == [str(date) for date in expected[UNIT]["time"].astype("datetime64[D]")]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", KINDS)
def test_h5dump_bytes_are_equal(stores, expected, tmp_path, kind, group):
    for name, wanted in expected[group].items():
        out = tmp_path / name
        run("h5dump", "-d", f"/{group}/{name}", "-b", "LE", "-o", out, stores[kind], kind=kind)
        found = np.fromfile(out, wanted.dtype.newbyteorder("<")).reshape(wanted.shape)
        assert_equal(found, wanted, name)


@pytest.mark.parametrize("program", ["h5dump", "ncdump", "gdal_translate"])
def test_a_blosc_file_without_the_filter_is_refused(stores, tmp_path, program):
    """The small arrays need no filter, and every HDF5 reads them."""
    arguments = {
        "h5dump": ("-d", f"/{UNIT}/image", stores["blosc"]),
        "ncdump": ("-v", f"/{UNIT}/image", stores["blosc"]),
        "gdal_translate": ("-of", "ENVI", f"NETCDF:{stores['blosc']}:/{UNIT}/image", tmp_path / "image.raw"),
    }
    done = run(program, *arguments[program], check=False)
    assert done.returncode != 0
    assert re.search(r"(?i)filter|unable to print data", done.stderr)
    assert "label" in run("ncdump", "-v", f"/{UNIT}/label", stores["blosc"]).stdout


def with_gdal(store, folder, kind, *options):
    """All images of a unit from the netCDF driver: one raster band per band of each observation."""
    out = folder / "image.raw"
    run("gdal_translate", "-q", *options, "-of", "ENVI", f"NETCDF:{store}:/{UNIT}/image", out, kind=kind)
    return np.fromfile(out, "<u2").reshape(-1, 4, 42, 42)


@pytest.mark.parametrize("kind", KINDS)
def test_gdal_bands_are_equal(stores, expected, tmp_path, kind):
    found = with_gdal(stores[kind], tmp_path, kind, "--config", "GDAL_NETCDF_BOTTOMUP", "NO")
    assert_equal(found, expected[UNIT]["image"], "image")


def test_gdal_flips_images_without_the_bottom_up_option(stores, expected, tmp_path):
    """GDAL assumes that a netCDF raster without coordinates starts at the bottom."""
    assert_equal(with_gdal(stores["gzip"], tmp_path, "gzip"), expected[UNIT]["image"][:, :, ::-1], "image")


@pytest.mark.parametrize("kind", KINDS)
def test_gdalinfo_shows_size_and_number_of_bands(stores, expected, kind):
    info = json.loads(run("gdalinfo", "-json", f"NETCDF:{stores[kind]}:/{UNIT}/image", kind=kind).stdout)
    assert info["size"] == [42, 42]
    assert [band["type"] for band in info["bands"]] == ["UInt16"] * (4 * len(expected[UNIT]["image"]))


def multidimensional(store, array, kind):
    return run("gdalmdiminfo", "-detailed", "-array", array, store, kind=kind, check=False)


@pytest.mark.parametrize("kind", ["gzip", "blosc"])
def test_gdal_multidimensional_arrays_are_equal(stores, expected, kind):
    for group, name in ((UNIT, "time"), (UNIT, "row_start"), ("index", "label_count")):
        wanted = expected[group][name]
        found = json.loads(multidimensional(stores[kind], f"/{group}/{name}", kind).stdout)
        assert found["dimension_size"] == list(wanted.shape)
        assert np.array_equal(np.array(found["values"], wanted.dtype), wanted), name


@pytest.mark.parametrize("kind", ["gzip", "blosc"])
def test_gdal_multidimensional_images_are_equal(stores, expected, tmp_path, kind):
    out = tmp_path / "image.nc"
    run("gdalmdimtranslate", "-q", "-of", "netCDF", "-array", f"/{UNIT}/image", stores[kind], out, kind=kind)
    with h5py.File(out) as file:
        assert_equal(file["image"][...], expected[UNIT]["image"], "image")


def test_gdal_multidimensional_does_not_follow_external_links(stores):
    """The HDF5 driver does not; the netCDF driver does (see above). If this fails, update docs/readers.md."""
    done = multidimensional(stores["linked"], f"/{UNIT}/time", "linked")
    assert "Cannot find group" in done.stderr


def test_gdal_reads_sharded_zarr_from_3_13_on(stores, expected):
    version = tuple(map(int, re.search(r"GDAL (\d+)\.(\d+)", run("gdalinfo", "--version").stdout).groups()))
    done = run("gdalmdiminfo", "-detailed", "-array", "/time", stores["zarr"] / UNIT, check=False)
    if version < (3, 13):
        assert "time" not in done.stdout
        pytest.skip(f"GDAL {version[0]}.{version[1]} does not support final Zarr v3: it finds no array")
    assert json.loads(done.stdout)["values"] == expected[UNIT]["time"].tolist()
