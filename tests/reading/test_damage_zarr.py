"""Zarr files deleted, truncated or replaced, one after another: no array reads as fill values."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twins import first_quick

from s2ct_convert.errors import StoreDamaged
from s2ct_convert.reading.opening import open_store, open_to_verify

from .damage import REFUSED, answers, count, make_stores


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return make_stores(tmp_path_factory.mktemp("damage"))["zarr"]


@pytest.fixture(scope="module")
def right(clean) -> dict[str, Any]:
    found = answers(clean)
    assert REFUSED not in found.values()
    return found


@pytest.fixture
def own(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "own.zarr"))


def files(store: Path, pattern: str) -> list[Path]:
    return sorted(path.relative_to(store) for path in store.rglob(pattern) if path.is_file())


def deleted(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = (deleted, truncated, emptied, flipped, replaced_by_a_folder)
WAYS = [(deleted, 4), *((damage, 1) for damage in DAMAGES)]  # every file, or every fourth


@pytest.mark.parametrize(("damage", "stride"), first_quick(WAYS))
@pytest.mark.slow
def test_a_damaged_chunk_file_gives_the_right_value_or_raises(clean, right, tmp_path, record_property, damage, stride):
    counts: Counter[str] = Counter()
    for file in files(clean, "c/**/*")[::stride]:
        own = Path(shutil.copytree(clean, tmp_path / "own.zarr"))
        damage(own / file)
        found = count(answers(own), right, f"{file} {damage.__name__}")
        assert found["refused"], f"{file} {damage.__name__} is not detected"
        counts += found
        shutil.rmtree(own)
    record_property("damage", (f"Zarr chunk file {damage.__name__}", counts["right"], counts["refused"]))


@pytest.mark.parametrize(("damage", "stride"), first_quick(WAYS))
def test_a_damaged_metadata_file_gives_the_right_value_or_raises(
    clean, right, tmp_path, record_property, damage, stride
):
    counts: Counter[str] = Counter()
    for file in files(clean, "zarr.json")[::stride]:
        own = Path(shutil.copytree(clean, tmp_path / "own.zarr"))
        damage(own / file)
        counts += count(answers(own), right, f"{file} {damage.__name__}")
        shutil.rmtree(own)
    record_property("damage", (f"Zarr metadata file {damage.__name__}", counts["right"], counts["refused"]))


@pytest.mark.parametrize("node", ["train/50SMG", "val", "train/50SMG/label", "index", "index/localid"])
def test_a_deleted_node_raises_with_its_path(own, right, node):
    shutil.rmtree(own / node)
    found = answers(own)
    assert count(found, right, node)["refused"]
    with pytest.raises(StoreDamaged) as error, open_store(own) as store:
        _ = [store[name].sample(localid) for name, localid in (("train/50SMG", 3), ("val/31TCJ", 4))], store.samples
    assert error.value.where.startswith(str(own / node))


def test_a_deleted_unit_does_not_affect_the_others(own):
    shutil.rmtree(own / "val/31TCJ")
    with open_store(own) as store:
        assert list(store) == ["train/50SMG", "val/31TCJ"]
        assert len(store["train/50SMG"].sample(3).time) == 5
        with pytest.raises(StoreDamaged):
            store["val/31TCJ"].sample(4)


def change(path: Path, edit: Callable[[Any], None]) -> None:
    node = json.loads(path.read_text())
    edit(node)
    path.write_text(json.dumps(node))


def without_copy(own: Path) -> None:
    """Delete the consolidated metadata, as a program that does not know them may do."""
    change(own / "zarr.json", lambda node: node.pop("consolidated_metadata"))


def test_without_consolidated_metadata_all_values_are_the_same(own, right):
    without_copy(own)
    assert answers(own) == right


@pytest.mark.parametrize("node", ["train/50SMG", "val/31TCJ/label", "index/localid", "index"])
def test_without_consolidated_metadata_a_deleted_node_raises(own, right, node):
    without_copy(own)
    shutil.rmtree(own / node)
    assert count(answers(own), right, node)["refused"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", [3]),
        ("shape", [8, 1]),
        ("shape", [2**62]),
        ("shape", "x"),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [4]}}),
        ("data_type", "float32"),
        ("data_type", "no such"),
        ("codecs", [{"name": "bytes"}]),
        ("node_type", "group"),
        ("zarr_format", 2),
        ("attributes", {"units": "days since 1970-01-02"}),
        ("attributes", 1),
    ],
)
@pytest.mark.parametrize("copy_too", [False, True])
def test_changed_metadata_raise_store_damaged(own, right, key, value, copy_too):
    """Checksums of chunks cannot detect that."""
    change(own / "train/50SMG/time/zarr.json", lambda node: node.update({key: value}))
    if copy_too:
        change(
            own / "zarr.json",
            lambda node: node["consolidated_metadata"]["metadata"]["train/50SMG/time"].update({key: value}),
        )
    found = answers(own)
    count(found, right, f"{key} {value}")
    assert found["train/50SMG time"] == found["train/50SMG 3"] == REFUSED
    if not (copy_too and key == "attributes"):  # those in the root are invalid
        assert found["val/31TCJ 4"] == right["val/31TCJ 4"]


@pytest.mark.parametrize("array", ["time", "sample_index", "example"])
def test_a_chunk_of_another_array_raises_store_damaged(own, right, array):
    """The chunk is intact and has the right size."""
    shutil.copy(own / "train/50SMG/weight/c/0", own / f"train/50SMG/{array}/c/0")
    found = answers(own)
    count(found, right, array)
    assert found["train/50SMG 3"] == REFUSED


def test_a_missing_shard_raises_in_every_way_of_reading(own):
    (own / "train/50SMG/image/c/0/0/0/0").unlink()
    with open_store(own) as store:
        image = store["train/50SMG"]["image"]
        assert image.shape == (8, 4, 42, 42)
        for key in (..., 0, slice(0, 2), [1, 2], (slice(None), 0)):
            with pytest.raises(StoreDamaged, match="this shard is missing"):
                image[key]


def test_to_xarray_refuses_a_unit_with_a_missing_part(own):
    pytest.importorskip("xarray")
    (own / "val/31TCJ/image/c/0/0/0/0").unlink()
    with open_store(own) as store:
        assert store.to_xarray("train/50SMG").sizes["obs"] == 8
        for ask in (lambda: store.to_xarray("val/31TCJ"), store.to_datatree):
            with pytest.raises(StoreDamaged, match="this shard is missing"):
                ask()


def test_a_wrong_number_of_units_raises_store_damaged(own):
    change(own / "zarr.json", lambda node: node["attributes"].update(number_of_units=3))
    with open_store(own) as store, pytest.raises(StoreDamaged, match="number of units differs"):
        list(store)
    with open_to_verify(own) as store:
        assert len(store) == 2
