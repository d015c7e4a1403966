from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import plain
import pytest
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec

import s2ct_convert
from s2ct_convert.names import UnitName

from .units import container, expected, table, work, write, write_work

CHUNK, SHARD, OBS = 32, 4096, (4, 42, 42)
BLOSC = {  # configuration for image, by name on the command line; docs/design.md section 3 has the one of balanced
    "fast": {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"},
    "balanced": {"cname": "zstd", "clevel": 2, "shuffle": "shuffle"},
    "small": {"cname": "zstd", "clevel": 9, "shuffle": "shuffle"},
}
OTHERS = {"zstd": [{"name": "zstd", "configuration": {"level": 3, "checksum": False}}], "none": []}
BYTES, CRC32C = {"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}


def nodes(store: Path):
    """Parsed zarr.json of every group and array by path. The root has an empty path."""
    return {
        "" if path.parent == store else path.parent.relative_to(store).as_posix(): plain.strict_json(path)
        for path in sorted(store.rglob("zarr.json"))
    }


@pytest.fixture(scope="module")
def tree(made):
    return nodes(made["zarr"])


@pytest.fixture(scope="module")
def array_nodes(tree):
    return {path: node for path, node in tree.items() if node["node_type"] == "array"}


def shards(folder: Path):
    return {name: data for name, data in plain.file_bytes(folder / "image").items() if name.startswith("c/")}


def compressors(codec: str):
    blosc = {"typesize": 2, "blocksize": CHUNK * 14_112}
    return OTHERS[codec] if codec in OTHERS else [{"name": "blosc", "configuration": {**blosc, **BLOSC[codec]}}]


def write_by_zarr_python(path: Path, image: np.ndarray, codec: str):
    array = zarr.create_array(
        path / "image",
        shape=image.shape,
        dtype="uint16",
        chunks=(CHUNK, *OBS),
        shards=(SHARD, *OBS),
        serializer=BytesCodec(endian="little"),
        compressors=[*compressors(codec), Crc32cCodec()],
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    array[...] = image


@pytest.mark.parametrize(
    ("codec", "n"),
    [("balanced", n) for n in (1, 31, 32, 33, 64, 100, SHARD - 1, SHARD, SHARD + 1, SHARD + 64)]
    + [("balanced", 2 * SHARD), ("fast", 100), ("small", 100), ("fast", SHARD + 33), ("small", SHARD + 33)]
    + [("zstd", 100), ("none", 100), ("zstd", SHARD + 33), ("none", SHARD + 33)],
)
def test_shards_equal_those_of_zarr_python_byte_for_byte(tmp_path, rng, codec, n):
    source = table(rng, [(1, range(n))], sparse=True)
    image = source.columns["image"]
    image[:40] = rng.integers(0, 65536, image[:40].shape)
    image[64:96], image[-40:-33] = 0, 65535  # an all-zero chunk
    write(container("zarr", tmp_path / "store", codec), tmp_path / "ours", source)
    write_by_zarr_python(tmp_path / "theirs", image, codec)
    ours, theirs = shards(tmp_path / "ours"), shards(tmp_path / "theirs")
    assert sorted(ours) == [f"c/{k}/0/0/0" for k in range(-(-n // SHARD))]
    assert ours == theirs


def test_zero_chunks_are_written_and_unused_rows_are_zero(tmp_path, rng):
    source = table(rng, [(1, range(40))], sparse=True)
    source.columns["image"][...] = 0
    write(container("zarr", tmp_path / "store"), tmp_path / "unit", source)
    (shard,) = shards(tmp_path / "unit").values()
    index = np.frombuffer(shard[-(128 * 16 + 4) : -4], "<u8").reshape(128, 2)
    assert (index[:2] != 2**64 - 1).all()
    assert (index[2:] == 2**64 - 1).all()
    assert shard[index[0, 0] : index[0].sum()] == shard[index[1, 0] : index[1].sum()]  # 32 zero rows; 8 and 24 unused


def test_every_node_has_format_3_and_every_axis_a_name(tree, array_nodes):
    assert {node["zarr_format"] for node in tree.values()} == {3}
    for path, node in array_nodes.items():
        names = node.get("dimension_names")
        assert names and all(names) and len(names) == len(node["shape"]), path


def test_a_dimension_has_one_length_in_a_group(array_nodes):
    lengths: dict[tuple[str, str], set[int]] = {}
    for path, node in array_nodes.items():
        for name, length in zip(node["dimension_names"], node["shape"], strict=True):
            lengths.setdefault((path.rpartition("/")[0], name), set()).add(length)
    assert {key: found for key, found in lengths.items() if len(found) > 1} == {}


@pytest.mark.parametrize("codec", [*BLOSC, *OTHERS])
def test_images_have_the_chunks_and_codecs_of_the_design(made_sources, tmp_path, codec):
    s2ct_convert.convert(made_sources[1:2], tmp_path / "x.zarr", codec=codec)
    node = plain.strict_json(tmp_path / "x.zarr/val/50SMG/image/zarr.json")
    assert node["data_type"] == "uint16"
    assert node["chunk_grid"]["configuration"]["chunk_shape"] == [SHARD, *OBS]
    sharding = {
        "chunk_shape": [CHUNK, *OBS],
        "codecs": [BYTES, *compressors(codec), CRC32C],
        "index_codecs": [BYTES, CRC32C],
        "index_location": "end",
    }
    assert node["codecs"] == [{"name": "sharding_indexed", "configuration": sharding}]


def test_all_other_arrays_are_one_chunk_with_a_checksum(array_nodes):
    for path, node in array_nodes.items():
        if not path.endswith("/image"):
            assert node["chunk_grid"]["configuration"]["chunk_shape"] == [max(1, n) for n in node["shape"]], path
            assert [codec["name"] for codec in node["codecs"]] == ["bytes", "blosc", "crc32c"], path


def test_arrays_are_numeric_without_mask_or_scale_attributes(tree, array_nodes):
    for path, node in array_nodes.items():
        assert re.fullmatch(r"u?int(8|16|32|64)|float32", node["data_type"]), path
        assert node["fill_value"] == 0, path
    masking = {"_FillValue", "missing_value", "scale_factor", "add_offset"}
    assert {path for path, node in tree.items() if masking & set(node["attributes"])} == set()


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("path", "meanings"),
    [
        ("train/50SMG/label", "no_label clear opaque_cloud thin_cloud haze cloud_shadow snow"),
        ("train/49RGN/label", "no_label clear opaque_cloud thin_cloud haze cloud_shadow snow"),
        ("val/50SMG/band", "B2 B3 B4 B8"),
        ("index/split", "train val"),
        ("index/tile", "49RGN 50SMG"),
    ],
)
def test_flags_are_in_the_metadata(tree, path, meanings):
    attributes = tree[path]["attributes"]
    assert attributes["flag_meanings"] == meanings
    first = -1 if meanings.startswith("no_label") else 0
    assert attributes["flag_values"] == list(range(first, first + len(meanings.split())))


def test_only_the_root_has_consolidated_metadata_equal_to_the_tree(tree):
    consolidated = tree[""]["consolidated_metadata"]["metadata"]
    assert {path for path, node in tree.items() if node.get("consolidated_metadata")} == {""}
    on_disk = {path: dict(node) for path, node in tree.items() if path}
    for node in (*on_disk.values(), *consolidated.values()):
        node.pop("consolidated_metadata", None)
    assert consolidated == on_disk


def test_the_root_of_a_finished_store_has_the_state_complete(tree, made):
    assert tree[""]["attributes"]["state"] == "complete"
    assert tree[""]["attributes"]["content_digest"] == plain.store_digest(made["zarr"])


@pytest.mark.every_variant
@pytest.mark.parametrize("unit", ["train/49RGN", "train/50SMG", "val/50SMG"])
def test_the_shards_of_a_unit_contain_exactly_its_observations(made, tree, unit):
    found = plain.file_bytes(made["zarr"] / unit / "image")
    n_obs = tree[f"{unit}/image"]["shape"][0]
    assert sorted(found) == [*(f"c/{k}/0/0/0" for k in range(-(-n_obs // SHARD))), "zarr.json"]
    assert n_obs == plain.arrays(made["zarr"], unit)["row_start"][-1]


def test_a_unit_does_not_depend_on_time_place_or_other_units(made, made_sources, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    other = tmp_path / "elsewhere.zarr"
    s2ct_convert.convert(made_sources[:1], other)
    assert plain.file_bytes(other / "train/50SMG") == plain.file_bytes(made["zarr"] / "train/50SMG")
    for name, data in plain.file_bytes(other / "train/50SMG").items():
        assert not (name.endswith("zarr.json") and re.search(rb"\d\d:\d\d:\d\d", data)), name


def test_a_store_has_no_files_but_nodes_and_chunks(made, array_nodes):
    names = {name for name in plain.file_bytes(made["zarr"]) if not name.endswith("zarr.json")}
    with_values = {path for path, node in array_nodes.items() if 0 not in node["shape"]}
    assert {re.sub(r"/c(/\d+)+$", "", name) for name in names} == with_values


@pytest.fixture
def unit(tmp_path, rng):
    """A unit that the test may damage, and its arrays."""
    source = table(rng, [(1, range(100))])
    return write(container("zarr", tmp_path / "store"), tmp_path / "unit", source).path, expected(source)


@pytest.mark.parametrize("place", ["first chunk", "last chunk", "index", "checksum of the index"])
def test_zarr_python_refuses_a_shard_with_a_changed_byte(unit, place):
    path, _ = unit
    shard = path / "image/c/0/0/0/0"
    data = bytearray(shard.read_bytes())
    index = len(data) - 128 * 16 - 4
    data[{"first chunk": 300, "last chunk": index - 9, "index": index + 2, "checksum of the index": -1}[place]] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        plain.arrays(path)


@pytest.mark.parametrize("name", ["label", "time", "weight", "example", "position", "localid", "row_start"])
def test_zarr_python_refuses_a_small_array_with_a_changed_byte(unit, name):
    path, _ = unit
    chunk = path / name / "c" / "0"
    data = bytearray(chunk.read_bytes())
    data[-6] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        plain.arrays(path)


def test_chunks_can_be_read_back_while_the_shard_is_open(tmp_path):
    target = container("zarr", tmp_path / "store").target("unit")
    chunks = [bytes([number]) * (number + 1) for number in range(130)]
    for number, chunk in enumerate(chunks):
        target.append(chunk, 32)
        assert target.read(number) == chunk
    assert [target.read(number) for number in range(130)] == chunks
    target.close()


def test_a_unit_can_be_published_found_and_dropped(tmp_path, rng):
    store, name = container("zarr", tmp_path / "x.zarr"), UnitName("train", "50SMG")
    source = table(rng, [(1, range(3))])
    assert not store.exists()
    store.begin([name], {"state": "complete"})
    assert plain.strict_json(store.path / "zarr.json")["attributes"]["state"] == "incomplete"
    content = write_work(store, source)
    assert not store.has(name) and not store.stands_alone(name)
    store.publish(name, content.key)
    assert store.has(name) and store.stands_alone(name) and not work(store, content).exists()
    assert store.files(name) == content.files
    plain.assert_same(plain.arrays(store.path, str(name)), expected(source))
    store.set_aside(name)
    assert not store.has(name)
    plain.assert_same(plain.arrays(store.scratch.aside / name.key), expected(source))
    store.publish(name, write_work(store, source).key)
    store.drop(name)
    assert not store.has(name)
    store.destroy()
    assert not store.exists()
