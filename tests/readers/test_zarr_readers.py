"""Python packages for Zarr (zarr-python, zarrs, tensorstore, xarray) read every array bit for bit."""

from __future__ import annotations

import json
import shutil

import google_crc32c
import numpy as np
import pytest
import zarr

from .expected import assert_equal

GROUPS = ("train/31TCJ", "train/34VFN", "val/31TCJ", "val/34VFN", "index")
TIMES = ("time", "time_first", "time_last")


def with_zarr(path):
    return zarr.open_array(path, mode="r")[...]


def with_zarrs(path):
    pytest.importorskip("zarrs", reason="zarrs is not installed")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        array = zarr.open_array(path, mode="r")
        assert type(array.async_array.codec_pipeline).__name__ == "ZarrsCodecPipeline"
        return array[...]


def open_tensorstore(path):
    tensorstore = pytest.importorskip("tensorstore", reason="tensorstore is not installed")
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    return tensorstore.open(spec, open=True, read=True).result()


def with_tensorstore(path):
    return open_tensorstore(path).read().result()


READERS = [with_zarr, with_zarrs, with_tensorstore]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("read", READERS)
def test_every_array_is_equal(stores, expected, read, group):
    for name, wanted in expected[group].items():
        assert_equal(read(stores["zarr"] / group / name), wanted, name)


@pytest.mark.parametrize("group", GROUPS)
def test_a_store_has_no_other_arrays(stores, expected, group):
    names = {name for name, _ in zarr.open_group(stores["zarr"] / group, mode="r").arrays()}
    assert names == set(expected[group])


@pytest.mark.parametrize("read", READERS)
def test_images_in_two_shards_are_equal(long_unit, read):
    store, images = long_unit
    assert sorted(path.name for path in (store / "train/50SMG/image/c").iterdir()) == ["0", "1"]
    assert_equal(read(store / "train/50SMG/image"), images, "image")


def test_tensorstore_has_dimension_names_and_reads_across_shards(long_unit):
    store, images = long_unit
    array = open_tensorstore(store / "train/50SMG/image")
    assert array.domain.labels == ("obs", "band", "y", "x")
    assert np.array_equal(array[4090:4100].read().result(), images[4090:4100])


@pytest.fixture
def damaged(stores, tmp_path):
    """The images of a unit with one flipped bit in the first chunk."""
    image = shutil.copytree(stores["zarr"] / "val/34VFN/image", tmp_path / "image")
    shard = image / "c/0/0/0/0"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    return image


@pytest.mark.parametrize("read", [with_zarr, with_tensorstore])
def test_an_image_with_a_changed_bit_is_refused(damaged, read):
    """The crc32c of the chunk detects it; without it Blosc would return wrong pixels."""
    with pytest.raises(Exception, match=r"(?i)checksum|crc|digest"):
        read(damaged)


def test_zarrs_reads_part_of_a_shard_without_checking_checksums(damaged, expected):
    """The array ``image_crc32c`` reveals the change. If this fails, update docs/readers.md."""
    unit = expected["val/34VFN"]
    image = with_zarrs(damaged)
    wrong = [google_crc32c.value(rows.tobytes()) for rows in image] != unit["image_crc32c"]
    assert wrong.sum() == 1
    assert np.array_equal(wrong, (image != unit["image"]).any(axis=(1, 2, 3)))


def test_zarrs_refuses_a_changed_bit_in_a_one_chunk_array(stores, tmp_path):
    time = shutil.copytree(stores["zarr"] / "train/34VFN/time", tmp_path / "time")
    content = bytearray((time / "c/0").read_bytes())
    content[30] ^= 1
    (time / "c/0").write_bytes(content)
    with pytest.raises(RuntimeError, match="checksum"):
        with_zarrs(time)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("consolidated", [True, False])
def test_xarray_is_equal_with_dates_decoded(stores, expected, group, consolidated):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    with xarray.open_zarr(stores["zarr"], group=group, consolidated=consolidated, chunks=None) as dataset:
        assert set(dataset.variables) == set(expected[group])
        for name, wanted in expected[group].items():
            if name in TIMES:
                assert np.array_equal(dataset[name].values, wanted.astype("datetime64[D]")), name
            else:
                assert_equal(dataset[name].values, wanted, name)


def test_xarray_opens_the_tree(stores, expected):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    with xarray.open_datatree(stores["zarr"], engine="zarr", decode_times=False, chunks=None) as tree:
        assert set(tree.groups) == {"/", "/train", "/val", *(f"/{group}" for group in GROUPS)}
        for group in GROUPS:
            for name, wanted in expected[group].items():
                assert_equal(tree[group][name].values, wanted, name)


def test_only_codecs_of_the_zarr_v3_specification_are_used(stores):
    """So that readers in other languages need no extensions. A registered name has no dot."""
    used = set()
    for path in stores["zarr"].rglob("zarr.json"):
        node = json.loads(path.read_text())
        if node["node_type"] == "array":
            for codec in node["codecs"]:
                inner = codec.get("configuration", {})
                used |= {codec["name"], *(c["name"] for key in ("codecs", "index_codecs") for c in inner.get(key, []))}
    assert used == {"sharding_indexed", "bytes", "blosc", "crc32c"}
