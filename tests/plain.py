"""Reads a store with plain zarr and plain h5py, and computes its digest as s2ct_convert/store/digest.py describes it.

This module uses nothing of the package, so it sees a store as any other program does.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import zarr

Arrays = dict[str, np.ndarray]


class Feature(NamedTuple):
    """A published feature as stored."""

    key: str
    name: str
    kind: str
    state: np.ndarray
    offset: np.ndarray
    data: np.ndarray

    def values(self) -> list[bytes | str]:
        """For each example its bytes, or "elsewhere" or "absent"."""
        data = self.data.tobytes()
        words = {0: "elsewhere", 2: "absent"}
        spans = zip(self.offset[:-1].tolist(), self.offset[1:].tolist(), strict=True)
        return [words.get(s, data[a:b]) for s, (a, b) in zip(self.state.tolist(), spans, strict=True)]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The root group: zarr's for a folder, h5py's for a file."""
    if path.is_dir():
        yield zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    else:
        with h5py.File(path, "r") as file:
            yield file


@contextmanager
def opened_to_edit(path: Path) -> Iterator[Any]:
    """The root group, writable; the consolidated metadata of Zarr is not updated."""
    if path.is_dir():
        yield zarr.open_group(path, mode="r+", zarr_format=3, use_consolidated=False)
    else:
        with h5py.File(path, "r+") as file:
            yield file


def unit_names(path: Path) -> list[str]:
    with opened(path) as root:
        return sorted(f"{split}/{tile}" for split in root if split != "index" for tile in root[split])


def arrays(path: Path, group: str = "") -> Arrays:
    """Every array of a group, whole."""
    with opened(path) as root:
        node = root[group] if group else root
        return {name: node[name][...] for name in node if _is_array(node[name])}


def published(path: Path, group: str = "") -> list[Feature]:
    """The published features of a unit, sorted by the names of their groups."""
    with opened(path) as root:
        node = root[group] if group else root
        if "published" not in node:
            return []
        inner = node["published"]
        return [_feature(key, inner[key]) for key in sorted(inner)]


def _feature(key: str, node: Any) -> Feature:
    about = {name: _python(value) for name, value in node["data"].attrs.items()}
    arrays = (node[name][...] for name in ("state", "offset", "data"))
    return Feature(key, about["name"], about["kind"], *arrays)


def attributes(path: Path, group: str = "") -> dict[str, Any]:
    with opened(path) as root:
        node = root[group] if group else root
        return {name: _python(value) for name, value in node.attrs.items()}


def _is_array(node: Any) -> bool:
    return hasattr(node, "dtype") and not is_pure_dimension(node)


def is_pure_dimension(dataset: Any) -> bool:
    """Whether the dataset is a netCDF-4 dimension without a variable."""
    name = dataset.attrs.get("NAME", b"")
    return isinstance(name, bytes) and name.startswith(b"This is a netCDF dimension but not a netCDF variable")


def _python(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, np.generic) else value


def sample_digest(unit: Arrays, i: int) -> bytes:
    low, high = int(unit["row_start"][i]), int(unit["row_start"][i + 1])
    sha = hashlib.sha256()
    sha.update(struct.pack("<q", unit["localid"][i]))
    sha.update(struct.pack("<i", unit["row_size"][i]))
    for name, dtype in (("date", "<i8"), ("time", "<i4"), ("label", "|i1"), ("weight", "<f4")):
        if name in unit:  # layout 1 has no date
            sha.update(unit[name][low:high].astype(dtype).tobytes(order="C"))
    images = unit["image"][low:high].astype("<u2").tobytes(order="C")
    sha.update(hashlib.sha256(images).digest() if "date" in unit else images)
    return sha.digest()


def unit_digest(unit: Arrays, features: list[Feature] | None = None) -> str:
    sha = hashlib.sha256()
    for i, localid in enumerate(unit["localid"]):
        sha.update(struct.pack("<q", localid) + sample_digest(unit, i))
    for one in sorted(features or [], key=lambda one: one.key):
        sha.update(json.dumps([one.key, one.name, one.kind], separators=(",", ":")).encode() + b"\n")
        sha.update(one.state.astype("|i1").tobytes() + one.offset.astype("<i8").tobytes() + one.data.tobytes())
    return f"sha256:{sha.hexdigest()}"


def store_digest(path: Path) -> str:
    sha = hashlib.sha256()
    for name in unit_names(path):
        digest = unit_digest(arrays(path, name), published(path, name))
        sha.update(name.encode() + bytes.fromhex(digest.split(":")[1]))
    return f"sha256:{sha.hexdigest()}"


def strict_json(path: Path) -> Any:
    """Parse strict JSON: no NaN, no Infinity."""

    def refuse(token: str) -> None:
        raise ValueError(f"{path}: {token} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def file_bytes(root: Path) -> dict[str, bytes]:
    """Content of every file below a folder by relative path, or of the file itself."""
    if root.is_file():
        return {"": root.read_bytes()}
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def assert_same(found: Arrays, expected: Arrays) -> None:
    """Check names, dtypes, shapes and bytes (so that NaN equals NaN, and 0 differs from -0)."""
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def edit(path: Path, array: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace an array of a store by the result of ``change``, with plain zarr or h5py."""
    if path.is_dir():
        node = zarr.open_group(path, mode="r+", zarr_format=3, use_consolidated=False)[array]
        node[...] = change(node[...])
    else:
        with h5py.File(path, "r+") as file:
            file[array][...] = change(file[array][...])


def chunk_place(path: Path, unit: str, number: int) -> tuple[Path, int, int]:
    """File, offset and size in bytes of a chunk of ``image``; for Zarr in the first shard."""
    if path.is_dir():
        shard = path / unit / "image/c/0/0/0/0"
        offset, size = struct.unpack("<QQ", shard.read_bytes()[-2052 + 16 * number :][:16])
        return shard, offset, size
    with h5py.File(path, "r") as file:
        info = file[unit]["image"].id.get_chunk_info_by_coord((32 * number, 0, 0, 0))
        return path, info.byte_offset, info.size


def view(path: Path) -> dict[str, Any]:
    """Everything a reader gets: all arrays and attributes of all nodes, for Zarr with and without consolidation."""
    if path.is_dir():
        out = {}
        for consolidated in (True, False):
            root = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=consolidated)
            nodes = {"": root, **dict(root.members(max_depth=None))}
            out |= {f"{consolidated} {name}": _zarr_node(node) for name, node in nodes.items()}
        return out
    out = {}
    with h5py.File(path, "r") as file:
        out[""] = _hdf5_attributes(file)
        file.visititems(lambda name, node: out.update({name: _hdf5_node(node)}))
    return out


def _zarr_node(node: Any) -> Any:
    attributes = json.dumps(dict(node.attrs), sort_keys=True)
    if isinstance(node, zarr.Group):
        return attributes
    return attributes, str(node.dtype), node.shape, node.metadata.dimension_names, node[...].tobytes()


def _hdf5_node(node: Any) -> Any:
    if isinstance(node, h5py.Group):
        return _hdf5_attributes(node)
    dims = [[scale.name for scale in node.dims[axis].values()] for axis in range(node.ndim)]
    return _hdf5_attributes(node), str(node.dtype), node.shape, dims, node[...].tobytes()


def _hdf5_attributes(node: Any) -> Any:
    skip = ("DIMENSION_LIST", "REFERENCE_LIST")  # references; dims has their targets
    return sorted((name, np.asarray(value).tobytes()) for name, value in node.attrs.items() if name not in skip)
