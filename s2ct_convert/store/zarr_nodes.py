"""Writes the metadata and the small arrays of Zarr v3 stores: the bytes that zarr-python writes, without importing it.

The import of zarr-python takes a third of the CPU time of a small conversion, in each process that writes. A test
compares every file with that of zarr-python.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset
from .codec import ZarrCodec
from .groups import Content
from .layout import CHUNK_OBS, SHARD_OBS, ArraySpec, image_array
from .zarr_files import METADATA, parse_node, read_stamped

Node = dict[str, Any]


def group_node(attributes: Mapping[str, Any]) -> Node:
    """The metadata of a group."""
    return {"attributes": plain_attributes(attributes), "zarr_format": 3, "node_type": "group"}


def plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them: lists and numbers of Python instead of those of numpy."""
    return {k: v.tolist() if isinstance(v, np.ndarray | np.generic) else v for k, v in attributes.items()}


def write_group(path: Path, codec: ZarrCodec, content: Content) -> None:
    """Write a group with its small arrays and inner groups. Nothing is synced."""
    path.mkdir(parents=True, exist_ok=True)
    _write(path, group_node(content.attributes))
    for spec, data in content.arrays:
        _write_array(path / spec.name, codec, spec, data)
    for name, inner in content.groups.items():
        write_group(path / name, codec, inner)


def write_image_node(path: Path, codec: ZarrCodec, n_obs: int, dataset: Dataset) -> None:
    """Write the metadata of ``image`` in the group at ``path``. Its shards are written elsewhere."""
    spec, obs = image_array(dataset), dataset.obs_shape
    codecs = _codecs(codec, spec, CHUNK_OBS * dataset.obs_bytes)
    sharding = {
        "chunk_shape": [CHUNK_OBS, *obs],
        "codecs": codecs,
        "index_codecs": [codecs[0], codecs[-1]],  # bytes, crc32c
        "index_location": "end",
    }
    sharded = [{"name": "sharding_indexed", "configuration": sharding}]
    (path / spec.name).mkdir(exist_ok=True)
    _write(path / spec.name, _array_node(spec, (n_obs, *obs), (SHARD_OBS, *obs), sharded))


def _write_array(path: Path, codec: ZarrCodec, spec: ArraySpec, data: Any) -> None:
    chunk = spec.chunks(data.shape)
    path.mkdir()
    _write(path, _array_node(spec, data.shape, chunk, _codecs(codec, spec)))
    for number, values in _chunks(spec, data, chunk):
        file = path.joinpath("c", *map(str, number))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(codec.encode_small(values))


def _chunks(
    spec: ArraySpec, data: Any, chunk: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], npt.NDArray[np.generic]]]:
    """Number and values of each chunk of a small array, the last one of a long array filled up with zeros."""
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    if 0 in data.shape:
        return
    if spec.chunk is None:
        yield (0,) * len(chunk), np.ascontiguousarray(data, dtype)
        return
    for number, row in enumerate(range(0, len(data), chunk[0])):
        values = np.zeros(chunk, dtype)
        part = data[row : row + chunk[0]]
        values[: len(part)] = part
        yield (number,), values


def _codecs(codec: ZarrCodec, spec: ArraySpec, chunk_bytes: int = 0) -> list[Node]:
    itemsize = np.dtype(spec.dtype).itemsize
    first: Node = {"name": "bytes", "configuration": {"endian": "little"}} if itemsize > 1 else {"name": "bytes"}
    return [first, *codec.compressors(itemsize, chunk_bytes)]


def _array_node(spec: ArraySpec, shape: tuple[int, ...], chunk: tuple[int, ...], codecs: list[Node]) -> Node:
    return {
        "shape": list(shape),
        "data_type": spec.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0 if np.dtype(spec.dtype).kind == "f" else 0,
        "codecs": codecs,
        "attributes": plain_attributes(spec.attributes),
        "dimension_names": list(spec.dims),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def _write(folder: Path, node: Node) -> None:
    (folder / METADATA).write_bytes(json.dumps(node, indent=2, allow_nan=False).encode())


def root_node(store: Path, attributes: Mapping[str, Any]) -> Node:
    """The metadata of the root with those of all nodes below it. Readers that know no such metadata ignore them.

    Raises
    ------
    StoreDamaged
        If the metadata of a node cannot be read.
    """
    nodes = dict(_nodes_below(store, ""))
    ordered = sorted(nodes, key=lambda path: (path.count("/"), path.casefold(), path))
    return _consolidated(group_node(attributes), {path: nodes[path] for path in ordered})


def _nodes_below(folder: Path, prefix: str) -> Iterator[tuple[str, Node]]:
    """Path and metadata of each node in the group in ``folder``, at any depth."""
    for path in folder.iterdir():
        if not (path / METADATA).is_file():
            continue
        node, name = parse_node(read_stamped(path / METADATA)[0], path / METADATA), f"{prefix}{path.name}"
        if node.get("node_type") == "group":
            yield name, _consolidated(node, {})  # the root names what is in it
            yield from _nodes_below(path, f"{name}/")
        else:
            yield name, node


def _consolidated(group: Node, nodes: Node) -> Node:
    """The metadata of a group with those of other nodes, in the order of zarr-python."""
    inline = {"kind": "inline", "must_understand": False, "metadata": nodes}
    first = {name: value for name, value in group.items() if name != "node_type"}
    return {**first, "consolidated_metadata": inline, "node_type": "group"}
