"""Codecs as data: what each name means in Zarr and in HDF5, and chunks through them.

A chunk is encoded here, in any thread, into the very bytes that zarr-python or the HDF5 filters would write;
the writers only put them in their place.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from numcodecs.blosc import Blosc
from numcodecs.fletcher32 import Fletcher32

from ..dataset import DATASET, Dataset
from ..errors import MachineError, WrongUsage
from .layout import CHUNK_OBS

CHUNK_BYTES = CHUNK_OBS * DATASET.obs_bytes  # of the default data set
BLOSC_FILTER = 32001  # registered HDF5 filter number

SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}

Chunk = npt.NDArray[np.uint16]
ObsShape = tuple[int, int, int]  # of one patch: bands, height, width


@dataclass(frozen=True)
class BloscParameters:
    """Parameters of Blosc 1, whose frames are the same bytes in a Zarr chunk and in an HDF5 chunk."""

    cname: str
    clevel: int
    shuffle: str
    blocksize: int

    def numcodec(self) -> Blosc:
        """The numcodecs codec."""
        return Blosc(self.cname, self.clevel, SHUFFLES[self.shuffle], self.blocksize)

    def fit(self, dataset: Dataset) -> BloscParameters:
        """The same for the chunks of a data set: one Blosc block a chunk."""
        return replace(self, blocksize=CHUNK_OBS * dataset.obs_bytes)


@dataclass(frozen=True)
class Deflate:
    """Shuffle and deflate as every HDF5 build has them; the level is ISA-L's."""

    level: int

    def fit(self, dataset: Dataset) -> Deflate:
        """The same for the chunks of a data set: deflate knows no size of a chunk."""
        return self


@dataclass(frozen=True)
class Codec:
    """A codec by the name it has on the command line, with what its help says of it."""

    name: str
    help: str
    parameters: BloscParameters | Deflate


# One Blosc block a chunk: with the default block size the ratio is 3 to 5 % worse. Figures: docs/codecs.md.
_WHOLE = CHUNK_BYTES
ZARR_CODECS = {
    "fast": Codec("fast", "blosc lz4", BloscParameters("lz4", 5, "bitshuffle", _WHOLE)),
    "balanced": Codec("balanced", "blosc zstd 2", BloscParameters("zstd", 2, "shuffle", _WHOLE)),
    "small": Codec("small", "blosc zstd 9", BloscParameters("zstd", 9, "shuffle", _WHOLE)),
}
HDF5_CODECS = {
    "gzip": Codec("gzip", "shuffle + deflate", Deflate(1)),
    "blosc": Codec("blosc", "blosc zstd 2", BloscParameters("zstd", 2, "shuffle", _WHOLE)),
}
CODECS = {"zarr": ZARR_CODECS, "hdf5": HDF5_CODECS}
DEFAULT_CODEC = {"zarr": "balanced", "hdf5": "gzip"}


def find_codec(format: str, name: str | None) -> Codec:
    """The codec of that name for a format; its default for None.

    Raises
    ------
    WrongUsage
        If the format has no such codec.
    """
    codecs = CODECS[format]
    name = name or DEFAULT_CODEC[format]
    if name not in codecs:
        raise WrongUsage(f"there is no codec {name!r} for {format}", expected=" or ".join(codecs))
    return codecs[name]


Encode = Callable[[Chunk], bytes]
Decode = Callable[[bytes], Chunk]


def zarr_chunk_codec(parameters: BloscParameters, shape: ObsShape = DATASET.obs_shape) -> tuple[Encode, Decode]:
    """Inner chunk of a shard: ``bytes -> blosc -> crc32c``."""
    blosc = parameters.numcodec()

    def encode(chunk: Chunk) -> bytes:
        packed: bytes = blosc.encode(chunk)
        return packed + struct.pack("<I", google_crc32c.value(packed))

    def decode(data: bytes) -> Chunk:
        packed, stored = data[:-4], data[-4:]
        if struct.pack("<I", google_crc32c.value(packed)) != stored:
            raise MachineError("a chunk reads back other than it was written", todo="check the disk")
        return _chunk(blosc.decode(packed), shape)

    return encode, decode


def hdf5_chunk_codec(
    parameters: BloscParameters | Deflate, shape: ObsShape = DATASET.obs_shape
) -> tuple[Encode, Decode]:
    """HDF5 chunk: ``shuffle -> deflate -> fletcher32`` or ``blosc -> fletcher32``."""
    fletcher = Fletcher32()
    if isinstance(parameters, Deflate):
        level = parameters.level

        def pack(chunk: Chunk) -> bytes:
            # The shuffle filter: all low bytes, then all high bytes.
            values = chunk.reshape(-1)
            planes = np.empty((2, len(values)), np.uint8)
            planes[0], planes[1] = values, values >> 8
            return isal_zlib.compress(planes, level)

        def unpack(data: Any) -> Any:
            planes = np.frombuffer(isal_zlib.decompress(data), np.uint8)
            return np.ascontiguousarray(planes.reshape(2, -1).T)

    else:
        blosc = parameters.numcodec()
        pack, unpack = blosc.encode, blosc.decode

    def encode(chunk: Chunk) -> bytes:
        return bytes(fletcher.encode(pack(chunk)))

    def decode(data: bytes) -> Chunk:
        return _chunk(unpack(fletcher.decode(data)), shape)

    return encode, decode


def _chunk(data: Any, shape: ObsShape) -> Chunk:
    return np.frombuffer(data, "<u2").reshape(CHUNK_OBS, *shape)


_CRC_OF_ALL = 0x48674BC7  # CRC-32C of any bytes followed by their own CRC-32C, little-endian


def zarr_decode(data: Any, out: npt.NDArray[Any]) -> None:
    """Decode a Zarr chunk, ``bytes -> blosc -> crc32c``, of any dtype into ``out``, C order.

    Raises
    ------
    ValueError
        If it does not fit its checksum or its frame, or is of another size than ``out``.
    """
    if len(data) < 4 or google_crc32c.value(data) != _CRC_OF_ALL:
        raise ValueError("CRC-32C does not fit")
    unblosc(data[:-4], out)


def unblosc(packed: Any, out: npt.NDArray[Any]) -> None:
    """Decode a Blosc frame that holds exactly ``out``.

    Raises
    ------
    ValueError
        If it is none.
    """
    # Blosc writes as much as its own header says: that must be the room there is.
    head = memoryview(packed)[:16].tobytes()
    if len(head) < 16 or struct.unpack_from("<I", head, 4)[0] != out.nbytes:
        raise ValueError("this is no Blosc frame of a chunk")
    try:
        Blosc().decode(packed, out)
    except RuntimeError as error:
        raise ValueError(str(error)) from None
