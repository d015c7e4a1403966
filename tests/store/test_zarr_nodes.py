"""The metadata and small arrays of a Zarr store are the bytes that zarr-python writes."""

from __future__ import annotations

import json
import warnings

import numcodecs.blosc
import numpy as np
import plain
import pytest
import zarr

from s2ct_convert.dataset import DATASET
from s2ct_convert.names import UnitName
from s2ct_convert.published import PublishedFeature, plain_key
from s2ct_convert.store import packers
from s2ct_convert.store.codecs import find_codec
from s2ct_convert.store.groups import Content, make_content, published_groups
from s2ct_convert.store.layout import ArraySpec, UnitForm, image_array, index_arrays, unit_arrays
from s2ct_convert.store.zarr_nodes import root_node, write_group, write_image_node

from .units import container, table, write_work

BLOCKS = 400_000  # values of eight bytes that Blosc packs in several blocks
ODD_TEXT = 'Café, 雪 \U0001f328, "quoted", 1.5e-7'


def by_zarr_python(path, codec, content):
    """What ``write_group`` is to write."""
    group = zarr.create_group(path, zarr_format=3, attributes=listed(content.attributes))
    for spec, data in content.arrays:
        array = create(group, codec, spec, data.shape, chunks=spec.chunks(data.shape))
        array[...] = np.ascontiguousarray(data[:], spec.dtype)
    for name, inner in content.groups.items():
        by_zarr_python(path / name, codec, inner)
    return group


def create(group, codec, spec, shape, *, chunks, shards=None, chunk_bytes=0):
    return group.create_array(
        spec.name,
        shape=shape,
        dtype=spec.dtype,
        chunks=chunks,
        shards=shards,
        compressors=codec.compressors(np.dtype(spec.dtype).itemsize, chunk_bytes),
        fill_value=0,
        dimension_names=spec.dims,
        attributes=listed(spec.attributes),
        config={"write_empty_chunks": True},
    )


def listed(attributes):
    return {k: v.tolist() if isinstance(v, np.ndarray | np.generic) else v for k, v in attributes.items()}


def values(rng, spec, rows, side):
    n = {"band": 4, "class": 6, "label_y": side, "label_x": side}
    shape = tuple(n.get(dim, rows) for dim in spec.dims)
    drawn = rng.integers(0, 100, shape) if spec.name != "date" else rng.integers(0, 9, shape).cumsum()
    return drawn.astype(spec.dtype)


def content(rng, specs, rows, side=1, **groups):
    columns = {spec.name: values(rng, spec, rows, side) for spec in specs}
    attributes = {"text": ODD_TEXT, "number": 0.1, "numbers": np.arange(3), "none": "", "flag": np.int8(-1)}
    return make_content(specs, columns, attributes, groups)


def feature(rng, name, size):
    data = rng.integers(0, 256, size, np.uint8)
    return PublishedFeature(plain_key(name), name, "bytes", np.array([2, 0], np.int8), np.array([0, size, size]), data)


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["fast", "balanced", "small", "zstd", "none"])
@pytest.mark.parametrize(
    ("rows", "form"),
    [
        (0, UnitForm()),
        (1, UnitForm(undated=True)),
        (100, UnitForm(6, salvaged=True)),
        (BLOCKS, UnitForm(2)),
    ],
)
def test_a_unit_has_the_bytes_of_zarr_python(tmp_path, rng, codec, rows, form):
    codec, n = find_codec("zarr", codec), 40
    features = [feature(rng, name, size) for name, size in (("雪", 0), ("a/b", 10), ("long", (9 << 20) + 3))]
    published = published_groups(features if rows == 100 else [])
    group = content(rng, unit_arrays(form), rows, form.label_side, **published)
    write_group(tmp_path / "ours", codec, group)
    write_image_node(tmp_path / "ours", codec, n, DATASET)
    theirs = by_zarr_python(tmp_path / "theirs", codec, group)
    image, obs = image_array(DATASET), DATASET.obs_shape
    create(theirs, codec, image, (n, *obs), chunks=(32, *obs), shards=(4096, *obs), chunk_bytes=32 * DATASET.obs_bytes)
    assert plain.file_bytes(tmp_path / "ours") == plain.file_bytes(tmp_path / "theirs")


@pytest.mark.slow
def test_the_root_has_the_bytes_of_zarr_python(tmp_path, rng):
    codec = find_codec("zarr", None)
    index = content(rng, index_arrays(("train", "val"), ("31TCJ", "50SMG")), 12)
    unit = content(rng, unit_arrays(UnitForm()), 5, **published_groups([feature(rng, "a", 3), feature(rng, "B", 3)]))
    splits = {split: Content(groups=dict.fromkeys(("50SMG", "31TCJ"), unit)) for split in ("val", "train")}
    write_group(tmp_path, codec, Content(attributes={"title": "x", "area": 1.5}, groups={"index": index, **splits}))
    ours = json.dumps(root_node(tmp_path, {"title": "x", "area": 1.5}), indent=2).encode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
        zarr.consolidate_metadata(tmp_path, zarr_format=3)
    assert ours == (tmp_path / "zarr.json").read_bytes()


def test_a_long_small_array_is_packed_into_the_same_bytes_again(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(numcodecs.blosc, "use_threads", None)  # as without zarr-python, which sets it too
    packers._blosc.cache_clear()
    spec, data = ArraySpec("a", "int64", ("row",)), rng.integers(0, 9, 5 * BLOCKS).cumsum()
    for name in ("one", "two", "three"):
        write_group(tmp_path / name, find_codec("zarr", None), Content([(spec, data)]))
    one, two, three = (plain.file_bytes(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two == three


def test_a_second_finalise_replaces_the_metadata_of_the_root(tmp_path, rng):
    store, name = container("zarr", tmp_path / "x.zarr"), UnitName("train", "50SMG")
    store.begin([name], {})
    store.publish(name, write_work(store, table(rng, [(1, range(3))])).key)
    for _ in range(2):
        store.finalise([name], Content(), {"state": "complete"})
    root = plain.strict_json(store.path / "zarr.json")
    assert root["attributes"] == {"state": "complete"}
    assert "train/50SMG/image" in root["consolidated_metadata"]["metadata"]
    assert "" not in root["consolidated_metadata"]["metadata"]
