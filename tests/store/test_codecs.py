from __future__ import annotations

import h5py
import hdf5plugin  # noqa: F401  # registers the Blosc filter
import numpy as np
import pytest

from s2ct_convert.errors import S2ctError, WrongUsage
from s2ct_convert.store.codecs import CODECS, find_codec, hdf5_chunk_codec, zarr_chunk_codec
from s2ct_convert.store.hdf5_file import append_chunk, create_images

SHAPE = (32, 4, 42, 42)
EVERY_CODEC = [(format, name) for format, codecs in CODECS.items() for name in codecs]
HDF5_CODECS = [name for format, name in EVERY_CODEC if format == "hdf5"]


def noise(rng):
    return rng.integers(0, 65536, SHAPE, np.uint16)


def smooth(rng):
    return (rng.integers(900, 1100, (32, 4, 1, 1)) + np.arange(42) + rng.integers(0, 9, SHAPE)).astype(np.uint16)


def ramp(rng):
    return np.arange(np.prod(SHAPE)).astype(np.uint16).reshape(SHAPE)


def zeros(rng):
    return np.zeros(SHAPE, np.uint16)


def full(rng):
    return np.full(SHAPE, 65535, np.uint16)


CONTENTS = pytest.mark.parametrize("content", [noise, smooth, ramp, zeros, full])


def chunk_codec(format, name):
    parameters = find_codec(format, name).parameters
    return zarr_chunk_codec(parameters) if format == "zarr" else hdf5_chunk_codec(parameters)


@CONTENTS
@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_a_chunk_comes_back_bit_for_bit(format, name, content, rng):
    encode, decode = chunk_codec(format, name)
    chunk = content(rng)
    back = decode(encode(chunk))
    assert (back.dtype, back.shape) == (np.dtype("<u2"), SHAPE)
    assert np.array_equal(back, chunk)


@CONTENTS
@pytest.mark.parametrize("name", HDF5_CODECS)
def test_hdf5_itself_decodes_what_is_encoded_here(name, content, rng, tmp_path):
    parameters = find_codec("hdf5", name).parameters
    encode, _ = hdf5_chunk_codec(parameters)
    chunk = content(rng)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        append_chunk(create_images(file, parameters), encode(chunk), 32)
        assert np.array_equal(file["image"][...], chunk)


# Not noise: the Blosc filter of HDF5 itself refuses to write what it cannot make smaller.
@pytest.mark.parametrize("content", [smooth, ramp, zeros, full])
@pytest.mark.parametrize("name", HDF5_CODECS)
def test_what_hdf5_itself_encodes_is_decoded_here(name, content, rng, tmp_path):
    parameters = find_codec("hdf5", name).parameters
    _, decode = hdf5_chunk_codec(parameters)
    chunk = content(rng)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        images = create_images(file, parameters)
        images.resize(32, axis=0)
        images[...] = chunk
        file.flush()
        _, data = images.id.read_direct_chunk((0, 0, 0, 0))
        assert np.array_equal(decode(bytes(data)), chunk)


@pytest.mark.parametrize("place", [0, 0.5, 0.999], ids=["head", "middle", "checksum"])
@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_a_chunk_with_one_bit_changed_is_refused(format, name, place, rng):
    encode, decode = chunk_codec(format, name)
    data = bytearray(encode(smooth(rng)))
    data[-1 if place == 0.999 else int(len(data) * place) + 20] ^= 1
    with pytest.raises((RuntimeError, ValueError, OSError, S2ctError)):
        decode(bytes(data))


@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_the_same_chunk_gives_the_same_bytes(format, name, rng):
    chunk = smooth(rng)
    (first, _), (second, _) = chunk_codec(format, name), chunk_codec(format, name)
    assert first(chunk) == second(chunk.copy())


@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_every_codec_makes_smooth_pixels_smaller(format, name, rng):
    encode, _ = chunk_codec(format, name)
    assert len(encode(smooth(rng))) < 0.6 * 2 * np.prod(SHAPE)


@pytest.mark.parametrize(("format", "default"), [("zarr", "balanced"), ("hdf5", "gzip")])
def test_each_format_has_a_default_codec(format, default):
    assert find_codec(format, None) == find_codec(format, default) == CODECS[format][default]


@pytest.mark.parametrize(("format", "name"), [("zarr", "gzip"), ("hdf5", "balanced"), ("zarr", "pcodec")])
def test_an_unknown_codec_is_refused_with_those_there_are(format, name):
    with pytest.raises(WrongUsage, match=f"no codec '{name}' for {format}") as caught:
        find_codec(format, name)
    assert caught.value.expected == " or ".join(CODECS[format])
