"""Seeded edits of values, attributes and nodes with zarr-python and h5py. Verification finds every one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import plain
import pytest
import zarr
from makers import random_group, write_tfrecord
from twins import first_quick

import s2ct_convert
from s2ct_convert.verify.store import verify_store

pytestmark = pytest.mark.every_variant


UNIT = "train/50SMG"
FORMATS = {"zarr": "e.zarr", "h5": "e.h5"}
EDITS, QUICK = 60, 12  # per format; in `make test`


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, Path]:
    rng = np.random.default_rng(8)
    folder = tmp_path_factory.mktemp("edits")
    groups = [random_group(rng, localid, n) for localid, n in ((3, 40), (8, 25), (9, 1))]
    groups[1].labels, groups[2].dates = groups[1].labels[:7], None
    source = write_tfrecord(folder, groups)
    for name in FORMATS.values():
        s2ct_convert.convert([source], folder / name)
    return {kind: folder / name for kind, name in FORMATS.items()}


@pytest.fixture(scope="module")
def views(stores) -> dict[str, Any]:
    """What a reader gets of each before it is edited."""
    return {kind: plain.view(path) for kind, path in stores.items()}


def open_to_edit(path: Path) -> Any:
    return zarr.open_group(path, mode="r+", use_consolidated=False) if path.is_dir() else h5py.File(path, "r+")


def close(root: Any) -> None:
    if isinstance(root, h5py.File):
        root.close()


def arrays(path: Path) -> list[str]:
    groups = [UNIT, "index", *(f"{UNIT}/published/{one.key}" for one in plain.published(path, UNIT))]
    return [f"{group}/{name}" for group in groups for name, array in plain.arrays(path, group).items() if array.size]


def change_value(path: Path, rng: np.random.Generator) -> str:
    """Flip one bit of one value of an array."""
    name = arrays(path)[rng.integers(len(arrays(path)))]

    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        data = changed.reshape(-1).view(np.uint8)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        return changed

    plain.edit(path, name, change)
    return f"a bit of {name}"


def swap_rows(path: Path, rng: np.random.Generator) -> str:
    """Swap two different rows of an array."""
    names = [name for name in arrays(path) if len(np.unique(read(path, name), axis=0)) > 1]
    name = names[rng.integers(len(names))]
    array = read(path, name)
    while True:
        a, b = rng.choice(len(array), 2, replace=False)
        if not np.array_equal(array[a], array[b]):
            break

    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed[[a, b]] = array[[b, a]]
        return changed

    plain.edit(path, name, change)
    return f"rows {a} and {b} of {name}"


def read(path: Path, name: str) -> np.ndarray:
    group, _, array = name.rpartition("/")
    return plain.arrays(path, group)[array]


def change_attribute(path: Path, rng: np.random.Generator) -> str:
    """Change or delete an attribute of the root, a group or an array."""
    root = open_to_edit(path)
    nodes = [root, root[UNIT], *(root[name] for name in arrays(path))]
    hidden = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}
    nodes = [node for node in nodes if set(node.attrs) - hidden]
    node = nodes[rng.integers(len(nodes))]
    names = sorted(set(node.attrs) - hidden)
    name = names[rng.integers(len(names))]
    if rng.integers(2):
        del node.attrs[name]
    else:
        node.attrs[name] = "another"
    edit = f"attribute {name} of {node.name}"
    close(root)
    return edit


def delete_node(path: Path, rng: np.random.Generator) -> str:
    names = [*arrays(path), UNIT, "index"]
    name = names[rng.integers(len(names))]
    if path.is_dir():
        shutil.rmtree(path / name)
    else:
        with h5py.File(path, "r+") as file:
            del file[name]
    return f"no {name}"


def delete_file(path: Path, rng: np.random.Generator) -> str:
    """Delete a chunk, a shard or metadata file (Zarr), or all chunks of a dataset (HDF5)."""
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.is_file())
        file = files[rng.integers(len(files))]
        file.unlink()
        return f"no {file.relative_to(path)}"
    names = [name for name in arrays(path) if read(path, name).any()]
    name = names[rng.integers(len(names))]
    with h5py.File(path, "r+") as root:
        old = root[name]
        made = h5py.h5d.create(root.id, b"new", old.id.get_type(), old.id.get_space(), old.id.get_create_plist())
        del made
        del root[name]
        root.move("new", name)
    return f"{name} without chunks"


def add_node(path: Path, rng: np.random.Generator) -> str:
    root = open_to_edit(path)
    group = ("", UNIT, "index")[rng.integers(3)]
    (root[group] if group else root).create_group(f"more{rng.integers(100)}")
    close(root)
    return f"an extra group in {group or 'the root'}"


def resize(path: Path, rng: np.random.Generator) -> str:
    """Make the image one observation shorter or longer."""
    root = open_to_edit(path)
    image = root[f"{UNIT}/image"]
    n = image.shape[0] + (1 if rng.integers(2) else -1)
    image.resize((n, *image.shape[1:]))
    close(root)
    return f"{n} images"


KINDS: tuple[Callable[[Path, np.random.Generator], str], ...] = (
    change_value, change_value, swap_rows, change_attribute, delete_node, delete_file, add_node, resize,
)  # fmt: skip


@pytest.mark.parametrize("number", first_quick(range(EDITS), quick=QUICK))
@pytest.mark.parametrize("kind", list(FORMATS))
def test_an_edit_is_found(stores, views, kind, number, tmp_path, record_property):
    own = tmp_path / FORMATS[kind]
    (shutil.copytree if stores[kind].is_dir() else shutil.copy)(stores[kind], own)
    rng = np.random.default_rng((number, len(kind)))
    edit = KINDS[number % len(KINDS)](own, rng)
    assert plain_or_error(own) != views[kind], "the edit changed nothing"
    assert verify_store(own).findings, edit
    record_property("mutations", (f"edits of {kind}", 1, 0))


def plain_or_error(path: Path) -> Any:
    try:
        return plain.view(path)
    except Exception as error:
        return error
