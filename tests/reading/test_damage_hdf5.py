"""HDF5 metadata zeroed, inverted or flipped in every range: readers get right values or an error with the place."""

from __future__ import annotations

import multiprocessing
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from twins import first_quick

from s2ct_convert.errors import StoreDamaged
from s2ct_convert.reading.opening import open_store

from .damage import REFUSED, answers, count, make_stores

RANGE = 64  # bytes
BATCHES = 12  # `make test` runs a part of one batch
QUICK = 8  # ranges in `make test`
WAYS = ("zeroed", "inverted", "flipped")


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, Path]:
    return make_stores(tmp_path_factory.mktemp("damage"))


@pytest.fixture(scope="module")
def right(stores) -> dict[str, Any]:
    found = answers(stores["h5"])
    assert REFUSED not in found.values()
    return found


def metadata_ranges(path: Path) -> list[slice]:
    """The file without the chunks of datasets, in a seeded order."""
    free = np.ones(path.stat().st_size, bool)

    def visit(_: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.chunks:
            node.id.chunk_iter(lambda one: free.__setitem__(slice(one.byte_offset, one.byte_offset + one.size), False))

    with h5py.File(path) as file:
        file.visititems(visit)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(int)))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ranges = [slice(at, min(at + RANGE, high)) for low, high in runs for at in range(low, high, RANGE)]
    return [ranges[i] for i in np.random.default_rng(5).permutation(len(ranges))]


def damaged(data: bytes, part: slice, way: str) -> bytes:
    out = np.frombuffer(data, np.uint8).copy()
    if way == "zeroed":
        out[part] = 0
    elif way == "inverted":
        out[part] ^= 255
    else:
        out[(part.start + part.stop) // 2] ^= 1 << (part.start // RANGE % 8)
    return out.tobytes()


def count_and_send(path: Path, right: dict[str, Any], what: str, connection: Any) -> None:
    """Body of a separate process: a libhdf5 that crashes on a broken file does not stop the test."""
    try:
        connection.send(count(answers(path), right, what))
    except BaseException as error:
        connection.send(f"{what}: {type(error).__name__}: {error}")


def count_in_process(path: Path, right: dict[str, Any], what: str) -> Counter[str]:
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=count_and_send, args=(path, right, what, send))
    process.start()
    send.close()
    try:
        found = receive.recv()
    except EOFError:
        found = f"{what}: the process died"
    process.join()
    assert isinstance(found, Counter), found
    return found


@pytest.mark.parametrize(
    ("batch", "most"),
    [(0, QUICK), *(pytest.param(batch, None, marks=pytest.mark.slow) for batch in range(BATCHES))],
)
@pytest.mark.slow
def test_damaged_metadata_give_the_right_value_or_store_damaged(stores, right, tmp_path, record_property, batch, most):
    data = stores["h5"].read_bytes()
    own, counts, unused = tmp_path / "own.h5", Counter[str](), 0
    for i, part in enumerate(metadata_ranges(stores["h5"])[batch::BATCHES][:most]):
        way = WAYS[(batch + i) % len(WAYS)]
        changed = damaged(data, part, way)
        if changed == data:
            unused += 1
            continue
        own.write_bytes(changed)
        counts += count_in_process(own, right, f"bytes {part.start} to {part.stop} {way}")
    assert counts["refused"]
    what = "HDF5 metadata, ranges of 64 bytes" + (" (a part)" if most else "")
    record_property("damage", (what, counts["right"], counts["refused"]))


def delete(file: h5py.File, name: str) -> None:
    del file[name]


def replaced_by_a_group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


def without_chunks(file: h5py.File, name: str) -> None:
    """HDF5 returns zeros for chunks that were never written."""
    old = file[name]
    made = h5py.h5d.create(file.id, b"new", old.id.get_type(), old.id.get_space(), old.id.get_create_plist())
    del made
    attributes = {key: value for key, value in old.attrs.items() if key not in ("DIMENSION_LIST", "REFERENCE_LIST")}
    del file[name]
    file.move("new", name)
    file[name].attrs.update(attributes)


@pytest.mark.parametrize("damage", [delete, replaced_by_a_group, without_chunks])
@pytest.mark.parametrize(
    "array", first_quick(["image", "row_start", "label", "time", "localid", "sample_index"], quick=2)
)
def test_a_deleted_array_raises_store_damaged(stores, right, tmp_path, array, damage):
    own = Path(shutil.copy(stores["h5"], tmp_path / "own.h5"))
    with h5py.File(own, "r+") as file:
        damage(file, f"train/50SMG/{array}")
    found = answers(own)
    count(found, right, array)
    assert found["train/50SMG 3"] == REFUSED
    assert found["val/31TCJ 4"] == right["val/31TCJ 4"]


@pytest.mark.parametrize("damage", [delete, replaced_by_a_group])
@pytest.mark.parametrize(
    "node", first_quick(["index", "train/50SMG", "val/31TCJ/row_size", "index/tile", "val"], quick=3)
)
def test_a_deleted_node_raises_store_damaged(stores, right, tmp_path, node, damage):
    own = Path(shutil.copy(stores["h5"], tmp_path / "own.h5"))
    with h5py.File(own, "r+") as file:
        damage(file, node)
    assert count(answers(own), right, node)["refused"]


@pytest.mark.parametrize("array", ["train/50SMG/example", "val/31TCJ/weight", "index/row_start"])
def test_a_changed_value_raises_store_damaged_with_file_and_group(stores, right, tmp_path, array):
    """The checksum in the file changes with the value."""
    own = Path(shutil.copy(stores["h5"], tmp_path / "own.h5"))
    with h5py.File(own, "r+") as file:
        file[array][0] += 1
    assert count(answers(own), right, array)["refused"]
    group = array.rpartition("/")[0]
    with open_store(own) as store, pytest.raises(StoreDamaged, match="have changed since they were written") as error:
        _ = store.samples if group == "index" else store[group].localid
    assert error.value.where == f"{own}: {group}"


def test_a_missing_or_invalid_unit_file_raises_with_its_path(stores, tmp_path):
    own = Path(shutil.copytree(stores["linked"].parent, tmp_path / "own")) / stores["linked"].name
    unit = own.with_name(f"{own.name}.units") / "val_31TCJ.h5"
    for change in (lambda: unit.write_text("none"), unit.unlink):
        change()
        with pytest.raises(StoreDamaged, match="unit val/31TCJ is") as error:
            open_store(own)
        assert error.value.where == str(unit)
