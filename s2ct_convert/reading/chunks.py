"""Where each chunk of ``image`` lies in which file, and what is in it: the same questions to Zarr and to HDF5.

Chunks are read with plain ``pread`` and decoded here, not by zarr-python or libhdf5: zarr-python 3.1.6 reads the
index of a shard again at every access and gives zeros for a shard that is not there; libhdf5 decodes on one core.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import google_crc32c
import h5py
import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from numcodecs.blosc import Blosc
from numcodecs.fletcher32 import Fletcher32

from ..errors import NotAStore, StoreDamaged
from ..store.codecs import BLOSC_FILTER

if TYPE_CHECKING:
    import zarr

Pixels = npt.NDArray[np.uint16]
Bytes = npt.NDArray[np.uint8]

_ABSENT = 2**64 - 1  # offset and size of a chunk that is not in its shard (Zarr v3, sharding codec, 1.0)
_CRC_OF_ALL = 0x48674BC7  # CRC-32C of any bytes followed by their own CRC-32C, little-endian
_DEFLATE, _SHUFFLE, _FLETCHER32 = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32


class Place(NamedTuple):
    """Bytes of a file."""

    file: str
    offset: int
    size: int


class Chunks(Protocol):
    """The chunks of one ``image`` array, numbered from 0 along the observations."""

    chunk_obs: int

    def place(self, number: int) -> Place:
        """Where a chunk lies.

        Raises
        ------
        StoreDamaged
            If it, or what tells where it is, is missing or broken.
        """

    def decode(self, data: Bytes, out: Pixels) -> None:
        """Decode a chunk into ``out``, (chunk_obs, 4, 42, 42), C order.

        Raises
        ------
        ValueError
            If it does not fit its checksum or cannot be decoded.
        """


class ZarrChunks:
    """Chunks in shards. The index of a shard (16 bytes a chunk) is read once and kept."""

    def __init__(self, array: zarr.Array[Any], folder: Path) -> None:
        metadata: Any = array.metadata.to_dict()
        try:
            (sharding,) = metadata["codecs"]
            inner = sharding["configuration"]
            names = [codec["name"] for codec in inner["codecs"]]
            index_names = [codec["name"] for codec in inner["index_codecs"]]
            known = (names, index_names, inner["index_location"]) == (
                ["bytes", "blosc", "crc32c"],
                ["bytes", "crc32c"],
                "end",
            )
        except (KeyError, ValueError):
            known = False
        if not known:
            raise _rewritten(folder)
        self.chunk_obs: int = inner["chunk_shape"][0]
        self._per_shard: int = metadata["chunk_grid"]["configuration"]["chunk_shape"][0] // self.chunk_obs
        self._folder = folder
        self._indices: dict[int, npt.NDArray[np.uint64]] = {}

    def _shard(self, number: int) -> str:
        return f"{self._folder}/c/{number}/0/0/0"

    def place(self, number: int) -> Place:
        shard, at = divmod(number, self._per_shard)
        if shard not in self._indices:
            self._indices[shard] = self._read_index(shard)
        offset, size = self._indices[shard][at].tolist()
        if offset == _ABSENT:
            raise StoreDamaged(f"chunk {at} is not in this shard", where=self._shard(shard))
        return Place(self._shard(shard), offset, size)

    def _read_index(self, shard: int) -> npt.NDArray[np.uint64]:
        path = self._shard(shard)
        length = 16 * self._per_shard
        try:
            with open(path, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - length - 4))
                data = file.read()
        except FileNotFoundError:
            raise StoreDamaged("this shard is missing", where=path) from None
        if len(data) != length + 4:
            raise StoreDamaged("this shard is cut", where=path, found=f"{end:,} bytes")
        if struct.pack("<I", google_crc32c.value(data[:-4])) != data[-4:]:
            raise StoreDamaged("the index at the end of this shard does not fit its checksum", where=path)
        return np.frombuffer(data[:-4], "<u8").reshape(-1, 2)

    def decode(self, data: Bytes, out: Pixels) -> None:
        if google_crc32c.value(data) != _CRC_OF_ALL:
            raise ValueError("CRC-32C does not fit")
        _unblosc(data[:-4], out)


class Hdf5Chunks:
    """Chunks of an HDF5 dataset. The map is read once, with one walk over the tree of chunks."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.chunk_obs: int = dataset.chunks[0]
        self._file: str = dataset.file.filename  # of a linked unit: that of the unit
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        unpackers: dict[tuple[int, ...], Callable[[Any, Pixels], None]] = {
            (_SHUFFLE, _DEFLATE, _FLETCHER32): _inflate,
            (BLOSC_FILTER, _FLETCHER32): _unblosc,
        }
        if tuple(filters) not in unpackers:
            raise _rewritten(Path(self._file))
        self._unpack = unpackers[tuple(filters)]
        self._offsets = np.full(-(-len(dataset) // self.chunk_obs), -1, np.int64)
        self._sizes = np.zeros(len(self._offsets), np.int64)
        try:
            dataset.id.chunk_iter(self._add)
        except (RuntimeError, OSError) as error:
            raise StoreDamaged(
                "the map of the chunks of image cannot be read", where=self._file, found=str(error)
            ) from error

    def _add(self, chunk: Any) -> None:
        number = chunk.chunk_offset[0] // self.chunk_obs
        if number < len(self._offsets) and not chunk.filter_mask:
            self._offsets[number], self._sizes[number] = chunk.byte_offset, chunk.size

    def place(self, number: int) -> Place:
        if self._offsets[number] < 0:
            raise StoreDamaged(f"chunk {number} of image is missing", where=self._file)
        return Place(self._file, int(self._offsets[number]), int(self._sizes[number]))

    def decode(self, data: Bytes, out: Pixels) -> None:
        try:
            packed = Fletcher32().decode(data)
        except RuntimeError:
            raise ValueError("Fletcher-32 does not fit") from None
        self._unpack(packed, out)


def open_chunks(array: Any, folder: Path) -> Chunks:
    """The chunks of an ``image`` array; ``folder`` is that of a Zarr array.

    Raises
    ------
    NotAStore
        If another program has stored it anew with other codecs.
    StoreDamaged
        If the map of an HDF5 dataset cannot be read.
    """
    return Hdf5Chunks(array) if isinstance(array, h5py.Dataset) else ZarrChunks(array, folder)


def _rewritten(where: Path) -> NotAStore:
    return NotAStore(
        "image is not stored the way s2ct convert stores it",
        where=str(where),
        todo="if another program has stored it anew, read it with zarr or h5py",
    )


def _unblosc(packed: Any, out: Pixels) -> None:
    # Blosc writes as much as its own header says: that must be the room there is.
    head = memoryview(packed)[:16].tobytes()
    if len(head) < 16 or struct.unpack_from("<I", head, 4)[0] != out.nbytes:
        raise ValueError("this is no Blosc frame of a chunk")
    try:
        Blosc().decode(packed, out)
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _inflate(packed: Any, out: Pixels) -> None:
    try:
        planes = isal_zlib.decompress(packed, bufsize=out.nbytes)
    except isal_zlib.error as error:  # type: ignore[misc]  # the stubs of isal give it no base
        raise ValueError(str(error)) from None
    if len(planes) != out.nbytes:
        raise ValueError(f"{len(planes)} bytes come out where {out.nbytes} belong")
    # The shuffle filter: all low bytes, then all high bytes. Thirteen times as fast as transposing them.
    low, high = np.frombuffer(planes, np.uint8).reshape(2, -1)
    flat = out.reshape(-1)
    flat[:] = high
    flat <<= 8
    flat |= low
