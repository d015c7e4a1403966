from __future__ import annotations

import sys

import h5py
import hdf5plugin  # noqa: F401  # registers the Blosc filter
import numpy as np
import pytest

from s2ct_convert.errors import WrongUsage
from s2ct_convert.store import packers
from s2ct_convert.store.codecs import CODECS, find_codec, recognise_hdf5, recognise_zarr
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


def decoded(codec, data):
    out = np.empty(SHAPE, "<u2")
    codec.decode_into(data, out)
    return out


@pytest.mark.every_variant
@CONTENTS
@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_a_chunk_is_unchanged_after_encoding_and_decoding(format, name, content, rng):
    codec, chunk = find_codec(format, name), content(rng)
    assert np.array_equal(decoded(codec, codec.encode(chunk)), chunk)


@pytest.fixture(params=["libdeflate", "isal"])
def inflater(request, monkeypatch):
    if request.param == "isal":
        monkeypatch.setitem(sys.modules, "deflate", None)
    else:
        pytest.importorskip("deflate")
    packers._inflater.cache_clear()
    yield request.param
    packers._inflater.cache_clear()


@pytest.mark.every_variant
def test_gzip_is_unpacked_with_libdeflate_or_without_it(inflater, rng):
    codec, chunk = find_codec("hdf5", "gzip"), smooth(rng)
    assert (packers._inflater()[0].__name__ == "zlib_decompress") == (inflater == "libdeflate")
    assert np.array_equal(decoded(codec, codec.encode(chunk)), chunk)


@pytest.mark.every_variant
def test_gzip_of_wrong_bytes_or_size_is_refused_in_both_ways(inflater, rng):
    codec = find_codec("hdf5", "gzip")
    packed = bytearray(codec._pack(smooth(rng)))
    packed[-1] ^= 1  # in the checksum of the stream; that of the chunk matches
    with pytest.raises(ValueError):
        decoded(codec, codec._seal(bytes(packed)))
    for observations in (31, 33):
        with pytest.raises(ValueError):
            decoded(codec, codec.encode(np.zeros((observations, *SHAPE[1:]), np.uint16)))


@pytest.mark.every_variant
@CONTENTS
@pytest.mark.parametrize("name", HDF5_CODECS)
def test_hdf5_decodes_chunks_encoded_by_s2ct(name, content, rng, tmp_path):
    codec, chunk = find_codec("hdf5", name), content(rng)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        append_chunk(create_images(file, codec), codec.encode(chunk), 32)
        assert np.array_equal(file["image"][...], chunk)


# Without noise: the Blosc filter of HDF5 refuses to write chunks that it cannot compress.
@pytest.mark.every_variant
@pytest.mark.parametrize("content", [smooth, ramp, zeros, full])
@pytest.mark.parametrize("name", HDF5_CODECS)
def test_s2ct_decodes_chunks_encoded_by_hdf5(name, content, rng, tmp_path):
    codec, chunk = find_codec("hdf5", name), content(rng)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        images = create_images(file, codec)
        images.resize(32, axis=0)
        images[...] = chunk
        file.flush()
        _, data = images.id.read_direct_chunk((0, 0, 0, 0))
        assert np.array_equal(decoded(codec, bytes(data)), chunk)


@pytest.mark.every_variant
@pytest.mark.parametrize("place", [0, 0.5, 0.999], ids=["head", "middle", "checksum"])
@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_a_chunk_with_a_flipped_bit_is_refused(format, name, place, rng):
    codec = find_codec(format, name)
    data = bytearray(codec.encode(smooth(rng)))
    codec.verify(bytes(data))
    data[-1 if place == 0.999 else int(len(data) * place) + 20] ^= 1
    for refuse in (codec.verify, lambda damaged: decoded(codec, damaged)):
        with pytest.raises(ValueError, match="does not match"):
            refuse(bytes(data))


@pytest.mark.every_variant
@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_a_chunk_of_the_wrong_size_is_refused(format, name, rng):
    codec = find_codec(format, name)
    data = codec.encode(smooth(rng))
    for n in (31, 33):
        out = np.zeros((n, *SHAPE[1:]), "<u2")
        with pytest.raises(ValueError):  # each packer has its own message
            codec.decode_into(data, out)


@pytest.mark.every_variant
@pytest.mark.parametrize("name", CODECS["zarr"])
def test_a_zarr_codec_is_recognised_in_its_own_metadata(name):
    codec = find_codec("zarr", name)
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, *codec.compressors(2, 451_584)]
    found = recognise_zarr(codecs)
    assert (type(found), found.in_words()) == (type(codec), codec.in_words())
    assert found.compressors(2, 451_584) == codecs[1:]
    assert codec.is_as_written(codecs, 2)
    assert not codec.is_as_written(codecs, 1)
    for wrong in (codecs[1:], codecs[:-1], [*codecs, codecs[-1]], [], None, [None, None, None], 7):
        assert recognise_zarr(wrong) is None


@pytest.mark.parametrize("name", HDF5_CODECS)
def test_an_hdf5_codec_is_recognised_by_its_own_filters(name):
    codec = find_codec("hdf5", name)
    numbers = [one.number for one in codec.filters(2, 451_584)]
    found = recognise_hdf5(numbers)
    assert (type(found), found.in_words()) == (type(codec), codec.in_words())
    for wrong in (numbers[1:], numbers[:-1], [*numbers, 3], []):
        assert recognise_hdf5(wrong) is None or wrong == [3]  # codec none


@pytest.mark.parametrize(("format", "name"), EVERY_CODEC)
def test_encoding_a_chunk_twice_gives_the_same_bytes(format, name, rng):
    chunk = smooth(rng)
    codec = find_codec(format, name)
    assert codec.encode(chunk) == codec.encode(chunk.copy())


@pytest.mark.parametrize(("format", "name"), [(format, name) for format, name in EVERY_CODEC if name != "none"])
def test_every_codec_compresses_smooth_pixels(format, name, rng):
    assert len(find_codec(format, name).encode(smooth(rng))) < 0.6 * 2 * np.prod(SHAPE)


@pytest.mark.parametrize("format", CODECS)
def test_codec_none_stores_the_pixels_and_a_checksum(format, rng):
    chunk = smooth(rng)
    data = find_codec(format, "none").encode(chunk)
    assert (data[:-4], len(data)) == (chunk.tobytes(), chunk.nbytes + 4)


@pytest.mark.parametrize("format", CODECS)
def test_codec_zstd_stores_one_frame_that_says_its_size(format, rng):
    """HDF5's filter takes the size of the chunk from the head of the frame."""
    head = find_codec(format, "zstd").encode(smooth(rng))[:9]
    assert head[:4] == b"\x28\xb5\x2f\xfd"
    assert (head[4] >> 6, int.from_bytes(head[5:9], "little")) == (2, 2 * np.prod(SHAPE))


@pytest.mark.parametrize(("format", "default"), [("zarr", "balanced"), ("hdf5", "gzip")])
def test_each_format_has_a_default_codec(format, default):
    assert find_codec(format, None) == find_codec(format, default) == CODECS[format][default]


@pytest.mark.every_variant
@pytest.mark.parametrize(("format", "name"), [("zarr", "gzip"), ("hdf5", "balanced"), ("zarr", "pcodec")])
def test_an_unknown_codec_is_refused_and_the_error_lists_the_codecs(format, name):
    with pytest.raises(WrongUsage, match=f"no codec '{name}' for {format}") as caught:
        find_codec(format, name)
    assert caught.value.expected == " or ".join(CODECS[format])
