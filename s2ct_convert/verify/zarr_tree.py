"""The metadata files of a Zarr store: every node there, nothing else, each saying what the layout says.

zarr-python follows what these files say: with another chunk key separator, say, it finds no chunk and gives zeros.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..reading.store import Store
from ..store.codecs import recognise_zarr
from ..store.layout import CHUNK_OBS, IMAGE, SHARD_OBS, ArraySpec
from .findings import Finding

_CONSOLIDATED = {"kind": "inline", "must_understand": False}
_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def check_zarr_tree(store: Store, groups: Mapping[str, Sequence[ArraySpec]]) -> Iterator[Finding]:
    """Nodes and metadata.

    Parameters
    ----------
    store : Store
    groups : mapping
        Arrays of each group that must be there, by name.
    """
    splits = sorted({name.split("/")[0] for name in groups if "/" in name})
    expected = {*splits, *groups, *(f"{group}/{spec.name}" for group, specs in groups.items() for spec in specs)}
    there = {path.parent.relative_to(store.path).as_posix(): path for path in sorted(store.path.rglob("zarr.json"))}
    root = _read(there.pop(".")) if "." in there else None
    for name in sorted(expected - there.keys()):
        yield Finding(f"{name} is missing", file=str(store.path / name / "zarr.json"))
    for name in sorted(there.keys() - expected):
        yield Finding(f"{name} is none of the layout", file=str(there[name]))
    nodes = {name: _read(path) for name, path in there.items()}
    for name in sorted(expected & there.keys()):
        if nodes[name] is None:
            yield Finding("this is no JSON", file=str(there[name]))
    yield from _check_root(store, root, nodes)
    for split in splits:
        if nodes.get(split) and nodes[split] != _group({}):
            yield Finding("this is not the group that was written", file=str(there[split]))
    for group, specs in groups.items():
        own = nodes.get(group)
        if own and own != _group(own.get("attributes")):
            yield Finding("this is not the group that was written", file=str(there[group]))
        for spec in specs:
            node = nodes.get(f"{group}/{spec.name}")
            if node and (wrong := _wrong_keys(node, spec, store.dataset.obs_shape)):
                told = f"{', '.join(wrong)} not as the layout has it"
                yield Finding(told, group, file=str(there[f"{group}/{spec.name}"]))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def _group(attributes: Any) -> dict[str, Any]:
    return {"attributes": attributes, "zarr_format": 3, "node_type": "group"}


def _check_root(store: Store, root: Any, nodes: dict[str, Any]) -> Iterator[Finding]:
    """The root, and the copy of all metadata in it, which readers use instead of the files."""
    file = str(store.path / "zarr.json")
    consolidated = root.get("consolidated_metadata") if isinstance(root, dict) else None
    if not isinstance(consolidated, dict) or not isinstance(consolidated.get("metadata"), dict):
        yield Finding("the root has no consolidated metadata", file=file)
        return
    copies = consolidated["metadata"]
    rest = {name: value for name, value in root.items() if name != "consolidated_metadata"}
    if rest != _group(root.get("attributes")) or {**consolidated, "metadata": {}} != {**_CONSOLIDATED, "metadata": {}}:
        yield Finding("this is not the group that was written", file=file)
    for name in sorted(copies.keys() | nodes.keys()):
        copy, node = copies.get(name), nodes.get(name)
        if isinstance(node, dict) and node.get("node_type") == "group":
            node = {**node, "consolidated_metadata": {**_CONSOLIDATED, "metadata": {}}}
        if copy != node:
            yield Finding(f"the consolidated metadata of {name} differ from its own", file=file)


def _wrong_keys(node: dict[str, Any], spec: ArraySpec, obs_shape: Sequence[int]) -> list[str]:
    """Keys of an array's metadata that are not what the writer writes. Attributes are left to the digest."""
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
    """The codecs inside the shards, where the sharding is ours."""
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
