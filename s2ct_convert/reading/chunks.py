"""Locates the chunks of ``image`` in their files, with one interface for Zarr and HDF5 (``hdf5_chunks``).

s2ct reads chunks with plain ``pread`` and decodes them itself. zarr-python 3.1.6 reads the index of a shard at every
access and returns zeros for a missing shard. libhdf5 decodes on one core.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import NotAStore, StoreDamaged, from_os_error
from ..objects.address import AnyPath, ObjectPath
from ..objects.reads import read_end
from ..store.codec import Codec
from ..store.codecs import recognise_zarr
from ..store.zarr_files import ArrayNode
from ..threads import for_each

Pixels = npt.NDArray[np.uint16]
Bytes = npt.NDArray[np.uint8]

_ABSENT = 2**64 - 1  # offset and size of a missing chunk in a shard (Zarr v3, sharding codec, 1.0)


class Place(NamedTuple):
    """A range of bytes of a file, given by name or by open descriptor (``fd`` >= 0), or of an object of a bucket.

    A descriptor keeps its file even if another file replaces the name.
    """

    file: str
    offset: int
    size: int
    fd: int = -1
    object: ObjectPath | None = None


class Chunks(Protocol):
    """The chunks of one ``image`` array, numbered from 0 along the observations."""

    chunk_obs: int
    obs_shape: tuple[int, ...]  # shape of one patch: bands, height, width

    @property
    def codec(self) -> Codec:
        """Unpacks a chunk of shape (chunk_obs, bands, height, width)."""

    def prepare(self, numbers: Sequence[int]) -> None:
        """Get what ``place`` needs for these chunks, if that takes time. Raises as ``place``."""

    def place(self, number: int) -> Place:
        """The place of a chunk.

        Raises
        ------
        StoreDamaged
            If the chunk or the index of chunks is missing or broken.
        """

    def check_all(self) -> None:
        """Check that every chunk exists, without reading chunks.

        Raises
        ------
        StoreDamaged
            If a chunk is missing.
        """

    def unchanged(self) -> None:
        """Check that the array is still the one that was opened. Call it after reading bytes.

        Raises
        ------
        StoreDamaged
            If the array has been replaced.
        """


class ZarrChunks:
    """Chunks in shards. The index of a shard (16 bytes per chunk) is read once and kept.

    Parameters
    ----------
    node : ArrayNode
    unchanged : callable
        Raises ``StoreDamaged`` if the unit has been replaced since it was opened.
    """

    def __init__(self, node: ArrayNode, unchanged: Callable[[], None]) -> None:
        try:
            (sharding,) = node.codecs
            inner = sharding["configuration"]
            codec = recognise_zarr(inner["codecs"])
            index_names = [one["name"] for one in inner["index_codecs"]]
            known = (index_names, inner["index_location"]) == (["bytes", "crc32c"], "end")
            sizes = tuple(inner["chunk_shape"])
            known = known and sizes[1:] == node.shape[1:] and sizes[0] > 0 and not node.chunk[0] % sizes[0]
        except (KeyError, TypeError, ValueError, IndexError):
            known = False
        if not known or codec is None:
            raise rewritten(node.folder)
        self.chunk_obs: int = sizes[0]
        self.obs_shape: tuple[int, ...] = sizes[1:]
        self.codec = codec
        self._per_shard: int = node.chunk[0] // self.chunk_obs
        self._shards = -(-node.shape[0] // node.chunk[0])
        self._folder, self.unchanged = node.folder, unchanged
        self._indices: dict[int, npt.NDArray[np.uint64]] = {}

    def check_all(self) -> None:
        """Check that every shard and every chunk exists. Reads only the indices."""
        for shard in range(self._shards):
            self._index(shard)

    def _index(self, shard: int) -> npt.NDArray[np.uint64]:
        if shard not in self._indices:
            self._indices[shard] = self._read_index(shard)
        return self._indices[shard]

    def prepare(self, numbers: Sequence[int]) -> None:
        """Nothing to do: an index is read when it is needed."""

    def _shard(self, number: int) -> str:
        return f"{self._folder}/c/{number}/0/0/0"

    def place(self, number: int) -> Place:
        shard, at = divmod(number, self._per_shard)
        offset, size = self._index(shard)[at].tolist()
        if offset == _ABSENT:
            raise StoreDamaged(f"chunk {at} is missing in this shard", where=self._shard(shard))
        return Place(self._shard(shard), offset, size)

    def _read_index(self, shard: int) -> npt.NDArray[np.uint64]:
        path = self._shard(shard)
        length = 16 * self._per_shard
        try:
            with open(path, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - length - 4))
                data = file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self.unchanged()
            raise StoreDamaged("this shard is missing", where=path) from None
        except OSError as error:
            raise from_os_error(error, path) from error
        return _checked_index(data, length, end, path)


def _checked_index(data: bytes, length: int, size: int, where: str) -> npt.NDArray[np.uint64]:
    """The index of a shard of ``size`` bytes, from its last bytes."""
    if len(data) != length + 4:
        raise StoreDamaged("this shard is truncated", where=where, found=f"{size:,} bytes")
    if struct.pack("<I", google_crc32c.value(data[:-4])) != data[-4:]:
        raise StoreDamaged("the index at the end of this shard does not match its checksum", where=where)
    return np.frombuffer(data[:-4], "<u8").reshape(-1, 2)


class ObjectChunks(ZarrChunks):
    """Chunks in shards that are objects. The indices that are needed are read together, each with one request."""

    def prepare(self, numbers: Sequence[int]) -> None:
        shards = sorted({number // self._per_shard for number in numbers} - self._indices.keys())
        for_each(self._index, shards, waiting=True)

    def check_all(self) -> None:
        self.prepare(range(0, self._shards * self._per_shard, self._per_shard))

    def place(self, number: int) -> Place:
        place = super().place(number)
        return place._replace(object=self._object(number // self._per_shard))

    def _object(self, shard: int) -> ObjectPath:
        assert isinstance(self._folder, ObjectPath)
        return self._folder.joinpath("c", str(shard), "0", "0", "0")

    def _read_index(self, shard: int) -> npt.NDArray[np.uint64]:
        length = 16 * self._per_shard
        data, size = read_end(self._object(shard), length + 4)
        return _checked_index(data, length, size, self._shard(shard))


def rewritten(where: AnyPath) -> NotAStore:
    """The error that ``image`` has other codecs."""
    return NotAStore(
        "image is not encoded as s2ct convert encodes it",
        where=str(where),
        todo="if another program has rewritten it, read it with zarr or h5py",
    )
