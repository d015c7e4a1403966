"""Stores with ``--codec zstd`` and ``--codec none``: other readers get every pixel, without Blosc."""

from __future__ import annotations

import json
import subprocess
import sys

import h5py
import hdf5plugin
import numpy as np
import pytest

import s2ct_convert

from . import test_hdf5_readers as hdf5
from . import test_zarr_readers as zarr
from .expected import assert_equal
from .test_programs import run, with_gdal
from .test_zarrita import pytestmark as needs_zarrita
from .test_zarrita import with_zarrita

pytestmark = pytest.mark.slow
CODECS = ("zstd", "none")
UNIT = "val/34VFN"


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """The bundled sample by codec and suffix."""
    folder = tmp_path_factory.mktemp("codecs")
    paths = {(codec, suffix): folder / f"{codec}.{suffix}" for codec in CODECS for suffix in ("zarr", "h5")}
    for (codec, _), path in paths.items():
        s2ct_convert.convert(s2ct_convert.sample_sources(), path, codec=codec)
    return paths


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
@pytest.mark.parametrize("codec", CODECS)
def test_s2ct_reads_and_verifies_the_store(others, expected, codec, suffix):
    with s2ct_convert.open_store(others[codec, suffix]) as store:
        for unit in (name for name in expected if name != "index"):
            assert_equal(store[unit]["image"][...], expected[unit]["image"], unit)
    assert s2ct_convert.verify_store(others[codec, suffix]).ok


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("read", zarr.READERS)
def test_zarr_packages_read_equal_arrays(others, expected, read, codec):
    for name, wanted in expected[UNIT].items():
        assert_equal(read(others[codec, "zarr"] / UNIT / name), wanted, name)


@pytest.mark.parametrize("codec", CODECS)
def test_no_array_of_the_store_needs_blosc(others, codec):
    text = "".join(path.read_text() for path in others[codec, "zarr"].rglob("zarr.json"))
    assert json.dumps("blosc") not in text


@pytest.mark.parametrize("codec", CODECS)
@needs_zarrita[0]
@needs_zarrita[1]
def test_zarrita_reads_equal_images(others, expected, tmp_path, codec):
    ((image, _),) = with_zarrita(others[codec, "zarr"], tmp_path, [f"{UNIT}/image"])
    assert_equal(image, expected[UNIT]["image"], "image")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("read", [hdf5.with_h5py, hdf5.with_h5netcdf, hdf5.with_netcdf4])
def test_hdf5_packages_read_equal_arrays(others, expected, read, codec):
    found = read(others[codec, "h5"], UNIT, list(expected[UNIT]))
    for name, wanted in expected[UNIT].items():
        assert_equal(found[name], wanted, name)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("program", ["h5dump", "ncdump", "gdal_translate"])
def test_programs_of_the_system_read_equal_images(others, expected, tmp_path, program, codec):
    """``none`` needs no filter; ``zstd`` needs that of hdf5plugin, found through HDF5_PLUGIN_PATH."""
    kind = {"zstd": "blosc", "none": "gzip"}[codec]  # the first has HDF5_PLUGIN_PATH
    store, wanted = others[codec, "h5"], expected[UNIT]["image"]
    if program == "h5dump":
        run("h5dump", "-d", f"/{UNIT}/image", "-b", "LE", "-o", tmp_path / "image", store, kind=kind)
        found = np.fromfile(tmp_path / "image", "<u2")
    elif program == "ncdump":
        text = run("ncdump", "-v", f"/{UNIT}/image", store, kind=kind).stdout
        text = text[text.index(" image =") :]
        found = np.array(text[len(" image =") : text.index(";")].split(","), int).astype("u2")
    else:
        found = with_gdal(store, tmp_path, kind, "--config", "GDAL_NETCDF_BOTTOMUP", "NO").astype("u2")
    assert_equal(found.reshape(wanted.shape), wanted, "image")


def test_without_its_filter_zstd_is_refused_and_none_is_read(others, expected, monkeypatch):
    monkeypatch.delenv("HDF5_PLUGIN_PATH", raising=False)
    code = "import h5py, sys; print(int(h5py.File(sys.argv[1])[sys.argv[2]][...].sum()))"
    for codec in CODECS:
        command = [sys.executable, "-c", code, str(others[codec, "h5"]), f"{UNIT}/image"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if codec == "zstd":
            assert done.returncode != 0 and "OSError" in done.stderr
        else:
            assert int(done.stdout) == int(expected[UNIT]["image"].sum())


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_changed_bit_in_a_chunk_is_refused(others, tmp_path, codec, suffix):
    """By zarr-python and HDF5 as well: the checksum is in the store."""
    source = others[codec, suffix]
    if suffix == "zarr":
        import shutil

        image = shutil.copytree(source / UNIT / "image", tmp_path / "image")
        path, place = image / "c/0/0/0/0", 1000
    else:
        path = tmp_path / "x.h5"
        path.write_bytes(source.read_bytes())
        with h5py.File(path) as file:
            place = file[f"{UNIT}/image"].id.get_chunk_info(0).byte_offset + 1000
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert hdf5plugin.PLUGIN_PATH
    with pytest.raises((ValueError, OSError), match=r"(?i)checksum|crc|digest|filter"):
        if suffix == "zarr":
            zarr.with_zarr(image)
        else:
            hdf5.with_h5py(path, UNIT, ["image"])
