"""Checks the metadata files of a Zarr store: no node missing, none extra, each with the content of the layout.

zarr-python trusts these files: with a wrong chunk key separator, for example, it finds no chunks and returns zeros.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..durable import parse_json, read_json
from ..objects.address import AnyPath, ObjectPath
from ..objects.failures import ObjectMissing
from ..objects.reads import read_object
from ..reading.store import Store
from ..store.codecs import recognise_zarr
from ..store.layout import CHUNK_OBS, IMAGE, SHARD_OBS, ArraySpec
from ..threads import for_each
from .findings import Finding

_CONSOLIDATED = {"kind": "inline", "must_understand": False}
_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def check_zarr_tree(store: Store, groups: Mapping[str, Sequence[ArraySpec]]) -> Iterator[Finding]:
    """Check nodes and metadata.

    Parameters
    ----------
    store : Store
    groups : mapping
        Required arrays of each group, by name of the group.
    """
    splits = sorted({name.split("/")[0] for name in groups if "/" in name})
    expected = {*splits, *groups, *(f"{group}/{spec.name}" for group, specs in groups.items() for spec in specs)}
    place = store.path
    if isinstance(place, ObjectPath):
        there, nodes = _objects(place, expected)
    else:
        files = {path.parent.relative_to(place).as_posix(): path for path in sorted(place.rglob("zarr.json"))}
        there, nodes = dict(files), {name: _read(path) for name, path in files.items()}
    root, _ = nodes.pop(".", None), there.pop(".", None)
    for name in sorted(expected - there.keys()):
        yield Finding(f"{name} is missing", file=str(place / name / "zarr.json"))
    for name in sorted(there.keys() - expected):
        yield Finding(f"{name} is not in the layout", file=str(there[name]))
    for name in sorted(expected & there.keys()):
        if nodes[name] is None:
            yield Finding("not valid JSON", file=str(there[name]))
    yield from _check_root(store, root, nodes)
    for split in splits:
        if nodes.get(split) and nodes[split] != _group({}):
            yield Finding("the metadata of this group have changed", file=str(there[split]))
    for group, specs in groups.items():
        own = nodes.get(group)
        if own and own != _group(own.get("attributes")):
            yield Finding("the metadata of this group have changed", file=str(there[group]))
        for spec in specs:
            node = nodes.get(f"{group}/{spec.name}")
            if node and (wrong := _wrong_keys(node, spec, store.dataset.obs_shape)):
                message = f"metadata differ from the layout: {', '.join(wrong)}"
                yield Finding(message, group, file=str(there[f"{group}/{spec.name}"]))


def _objects(store: ObjectPath, names: Collection[str]) -> tuple[dict[str, AnyPath], dict[str, Any]]:
    """The metadata objects of these nodes and of the root (``.``): those that exist, and their content."""
    there: dict[str, AnyPath] = {}
    nodes: dict[str, Any] = {}

    def read(name: str) -> None:
        place = store / "zarr.json" if name == "." else store / name / "zarr.json"
        try:
            data = read_object(place)
        except ObjectMissing:
            return
        there[name] = place
        nodes[name] = _parsed(data)

    for_each(read, [".", *sorted(names)], waiting=True)
    return there, nodes


def _parsed(data: bytes) -> Any:
    try:
        return parse_json(data)
    except ValueError:
        return None


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except ValueError:
        return None


def _group(attributes: Any) -> dict[str, Any]:
    return {"attributes": attributes, "zarr_format": 3, "node_type": "group"}


def _check_root(store: Store, root: Any, nodes: dict[str, Any]) -> Iterator[Finding]:
    """Check the root and its copy of all metadata, which readers use instead of the files."""
    file = str(store.path / "zarr.json")
    consolidated = root.get("consolidated_metadata") if isinstance(root, dict) else None
    if not isinstance(consolidated, dict) or not isinstance(consolidated.get("metadata"), dict):
        yield Finding("the root has no consolidated metadata", file=file)
        return
    copies = consolidated["metadata"]
    rest = {name: value for name, value in root.items() if name != "consolidated_metadata"}
    if rest != _group(root.get("attributes")) or {**consolidated, "metadata": {}} != {**_CONSOLIDATED, "metadata": {}}:
        yield Finding("the metadata of this group have changed", file=file)
    for name in sorted(copies.keys() | nodes.keys()):
        copy, node = copies.get(name), nodes.get(name)
        if isinstance(node, dict) and node.get("node_type") == "group":
            node = {**node, "consolidated_metadata": {**_CONSOLIDATED, "metadata": {}}}
        if copy != node:
            yield Finding(f"the consolidated metadata of {name} differ from its zarr.json", file=file)


def _wrong_keys(node: dict[str, Any], spec: ArraySpec, obs_shape: Sequence[int]) -> list[str]:
    """Keys of an array's metadata that differ from the writer's. The digest covers the attributes."""
    shape = node.get("shape")
    if not isinstance(shape, list):
        return ["shape"]
    chunk: Sequence[int] = spec.chunks([n if isinstance(n, int) else 0 for n in shape])
    if spec.name == IMAGE.name:
        chunk = [SHARD_OBS, *obs_shape]
    expected = {
        "data_type": spec.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": _KEYS,
        "fill_value": 0,
        "dimension_names": list(spec.dims),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    wrong = [name for name, value in expected.items() if node.get(name) != value]
    given = node.get("codecs")
    if spec.name == IMAGE.name:
        given = _inner(given, obs_shape)
    codec = recognise_zarr(given)
    if codec is None or not codec.is_as_written(given, np.dtype(spec.dtype).itemsize):
        wrong.append("codecs")
    return wrong + sorted(node.keys() - expected.keys() - {"shape", "codecs", "attributes"})


def _inner(codecs: Any, obs_shape: Sequence[int]) -> Any:
    """The codecs inside the shards; None if the sharding differs from s2ct's."""
    try:
        (sharding,) = codecs
        given = sharding["configuration"]
        ours = {
            "chunk_shape": [CHUNK_OBS, *obs_shape],
            "codecs": given["codecs"],
            "index_codecs": [_BYTES, {"name": "crc32c"}],
            "index_location": "end",
        }
    except (KeyError, TypeError, ValueError):
        return None
    return given["codecs"] if given == ours and sharding["name"] == "sharding_indexed" else None
