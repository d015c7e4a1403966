"""Reads the metadata and small arrays of Zarr v3 stores written by s2ct, file by file or object by object.

zarr-python returns fill values for a missing chunk. Here every chunk must exist, have the size in the metadata and
match its checksum; otherwise ``StoreDamaged`` names the file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..durable import parse_json
from ..errors import NotAStore, StoreDamaged, from_os_error
from ..objects.address import AnyPath, ObjectPath
from ..objects.reads import read_object
from .codec import ZarrCodec
from .codecs import recognise_zarr

METADATA = "zarr.json"
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ESTALE)


class Stamp(NamedTuple):
    """Identifies a file. A file that replaces it has another stamp, unless both have the same content."""

    device: int
    inode: int
    mtime_ns: int
    size: int


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of a file from its status."""
    return Stamp(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def read_stamped(path: AnyPath) -> tuple[bytes, Stamp]:
    """The content of a file and its stamp. An object has no stamp: it is compared by its content.

    Raises
    ------
    StoreDamaged
        If it is missing.
    MachineError, NetworkError
        If it cannot be read.
    """
    if isinstance(path, ObjectPath):
        data = read_object(path)
        return data, Stamp(0, 0, 0, len(data))
    try:
        with open(path, "rb") as file:
            return file.read(), stamp_of(os.fstat(file.fileno()))
    except OSError as error:
        if error.errno in _GONE:
            raise StoreDamaged("this file is missing", where=str(path)) from None
        raise from_os_error(error, str(path)) from error


def parse_node(data: bytes, where: AnyPath, node_type: str = "") -> dict[str, Any]:
    """Parse the metadata of a group or an array.

    Raises
    ------
    StoreDamaged
        If they are invalid.
    """
    try:
        node = parse_json(data)
    except ValueError as error:
        raise StoreDamaged("not valid JSON", where=str(where), found=str(error)) from None
    if not isinstance(node, dict) or not isinstance(node.get("attributes", {}), dict):
        raise StoreDamaged("not Zarr metadata", where=str(where))
    if node_type and (node.get("zarr_format"), node.get("node_type")) != (3, node_type):
        found = f"format {node.get('zarr_format')}, {node.get('node_type')}"
        raise StoreDamaged(f"not a Zarr v3 {node_type}", where=str(where), found=found)
    return node


class ArrayNode(NamedTuple):
    """The metadata of an array."""

    folder: AnyPath
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dims: tuple[str, ...]
    attributes: dict[str, Any]
    codecs: Any


def read_node(folder: AnyPath) -> ArrayNode:
    """The metadata of the array in a folder.

    Raises
    ------
    StoreDamaged
        If they are missing or invalid.
    """
    path = folder / METADATA
    return array_node(folder, parse_node(read_stamped(path)[0], path, "array"))


def array_node(folder: AnyPath, node: dict[str, Any]) -> ArrayNode:
    """The metadata of the array in a folder, from their parsed JSON. Raises as ``read_node``."""
    path = folder / METADATA
    try:
        shape, chunk = _lengths(node["shape"], 0), _lengths(node["chunk_grid"]["configuration"]["chunk_shape"], 1)
        dims = tuple(str(name) for name in node.get("dimension_names") or ())
        made = ArrayNode(folder, np.dtype(node["data_type"]), shape, chunk, dims, node["attributes"], node["codecs"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged("not valid metadata of an array", where=str(path), found=repr(error)) from None
    if len(made.chunk) != len(made.shape):
        raise StoreDamaged("shape and chunk shape have different numbers of dimensions", where=str(path))
    return made


def _lengths(values: Any, least: int) -> tuple[int, ...]:
    if not all(isinstance(n, int) and n >= least for n in values):
        raise ValueError(f"lengths {values}")
    return tuple(values)


def read_array(node: ArrayNode) -> npt.NDArray[Any]:
    """The values of an array without shards.

    Raises
    ------
    StoreDamaged
        If a chunk is missing, truncated, of the wrong size or does not match its checksum.
    NotAStore
        If another program has rewritten the array with other codecs.
    """
    codec = _codec_of(node)
    dtype = node.dtype.newbyteorder("<")
    grid = [-(-n // size) for n, size in zip(node.shape, node.chunk, strict=True)]
    if node.chunk == node.shape and 0 not in node.shape:
        return _read_chunk(node, codec, dtype, [0] * len(grid))
    out = _empty(node.shape, dtype, node.folder / METADATA)
    for number in np.ndindex(*grid):
        values = _read_chunk(node, codec, dtype, number)
        begin = [i * size for i, size in zip(number, node.chunk, strict=True)]
        part = tuple(slice(low, low + size) for low, size in zip(begin, node.chunk, strict=True))
        own = out[part]
        own[...] = values[tuple(slice(0, n) for n in own.shape)]
    return out


def _codec_of(node: ArrayNode) -> ZarrCodec:
    if codec := recognise_zarr(node.codecs):
        return codec
    raise NotAStore(
        "this array is not encoded as s2ct convert encodes it",
        where=str(node.folder),
        todo="if another program has rewritten it, read it with zarr",
    )


def is_long(node: ArrayNode) -> bool:
    """Whether a one-dimensional array has several chunks, because it may not fit in memory."""
    return len(node.shape) == 1 and node.shape[0] > node.chunk[0]


class LongArray:
    """A long array that is read when sliced, one chunk at a time. Each chunk is checked as in ``read_array``.

    ``check`` is called after each chunk; it raises if the array has been replaced since it was opened.
    """

    ndim = 1

    def __init__(self, node: ArrayNode, check: Callable[[], None]) -> None:
        self._node, self._check, self._codec = node, check, _codec_of(node)
        self.shape, self.dtype = node.shape, node.dtype

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        rows = range(self.size)[slice(None) if key is Ellipsis else key]
        if rows.step != 1:
            raise IndexError("a long array supports only slices without a step")
        dtype, chunk = self._node.dtype.newbyteorder("<"), self._node.chunk[0]
        out = np.empty(len(rows), dtype)
        for number in range(rows.start // chunk, -(-rows.stop // chunk) if len(rows) else 0):
            values = _read_chunk(self._node, self._codec, dtype, [number])
            self._check()
            low, high = max(rows.start, number * chunk), min(rows.stop, (number + 1) * chunk)
            out[low - rows.start : high - rows.start] = values[low - number * chunk : high - number * chunk]
        return out


def _read_chunk(node: ArrayNode, codec: ZarrCodec, dtype: np.dtype[Any], number: Sequence[int]) -> npt.NDArray[Any]:
    path = node.folder.joinpath("c", *map(str, number))
    data, _ = read_stamped(path)
    values = _empty(node.chunk, dtype, node.folder / METADATA)
    try:
        codec.decode_into(data, values)
    except ValueError as error:
        raise StoreDamaged("this chunk is damaged", where=str(path), found=str(error)) from None
    return values


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], where: AnyPath) -> npt.NDArray[Any]:
    try:
        return np.empty(shape, dtype)
    except (ValueError, MemoryError):
        raise StoreDamaged(f"the shape {shape} is impossible or too large", where=str(where)) from None
