"""How bytes are packed, whatever the format: Blosc, Zstandard, not at all; and the shuffle filter of HDF5."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from .codec import Codec

if TYPE_CHECKING:
    from .codec import Values

SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_BLOSC_HEADER = 16


@dataclass(frozen=True, kw_only=True)
class Blosc(Codec):
    """Blosc 1. Its frames are the same bytes in a Zarr chunk and in an HDF5 chunk.

    Each chunk is one Blosc block: with the default block size the ratio is 3 to 5 % worse (docs/codecs.md).
    """

    cname: str
    clevel: int
    shuffle: str

    def _pack(self, chunk: Values) -> bytes:
        return self.pack_in_blocks(chunk, chunk.nbytes)

    def pack_in_blocks(self, chunk: Values, block: int = 0) -> bytes:
        """Pack a chunk in blocks of this size in bytes; 0: Blosc chooses it."""
        packed: bytes = _blosc(self.cname, self.clevel, SHUFFLES[self.shuffle], block).encode(chunk)
        return packed

    def _unpack_into(self, packed: Any, out: Values) -> None:
        # Blosc writes as many bytes as the frame's header says. Compare that with the size of out first.
        head = memoryview(packed)[:_BLOSC_HEADER].tobytes()
        if len(head) < _BLOSC_HEADER or struct.unpack_from("<I", head, 4)[0] != out.nbytes:
            raise ValueError("this is not a Blosc frame of a chunk")
        try:
            _blosc("lz4", 5, 1, 0).decode(packed, out)  # the frame records how it was packed
        except RuntimeError as error:
            raise ValueError(str(error)) from None


@cache
def _blosc(cname: str, clevel: int, shuffle: int, blocksize: int) -> Any:
    from numcodecs import blosc

    blosc.use_threads = False  # as zarr-python does: threads of Blosc write the blocks of a chunk in any order
    return blosc.Blosc(cname, clevel, shuffle, blocksize)


@dataclass(frozen=True, kw_only=True)
class Zstd(Codec):
    """Plain Zstandard: one frame a chunk, which records its size."""

    level: int

    def _pack(self, chunk: Values) -> bytes:
        return pack_zstd(self.level, chunk)

    def _unpack_into(self, packed: Any, out: Values) -> None:
        _bytes_into(unpack_zstd(packed, out.nbytes), out)


def pack_zstd(level: int, data: Any) -> bytes:
    from numcodecs.zstd import Zstd as Packer

    return bytes(Packer(level).encode(data))


def unpack_zstd(packed: Any, size: int) -> bytes:
    from numcodecs.zstd import Zstd as Packer

    try:
        found = bytes(Packer().decode(packed))
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    if len(found) != size:
        raise ValueError(f"unpacked {len(found)} bytes, expected {size}")
    return found


def inflate(packed: Any, size: int) -> Any:
    """Unpack a zlib stream into ``size`` bytes, and compare them with its checksum.

    Raises
    ------
    ValueError
        If the stream is damaged or has another size.
    """
    unpack, failure = _inflater()
    try:
        found = unpack(packed, size)
    except failure as error:
        raise ValueError(str(error)) from None
    if len(found) != size:
        raise ValueError(f"unpacked {len(found)} bytes, expected {size}")
    return found


@cache
def _inflater() -> tuple[Callable[[Any, int], Any], Any]:
    """What unpacks zlib streams, and the error it raises. libdeflate is a quarter faster than ISA-L."""
    try:
        import deflate
    except ImportError:
        from isal import isal_zlib

        return lambda packed, size: isal_zlib.decompress(packed, bufsize=size), isal_zlib.error
    return deflate.zlib_decompress, deflate.DeflateError


@dataclass(frozen=True, kw_only=True)
class Plain(Codec):
    """The bytes of the pixels as they are, little-endian."""

    def _pack(self, chunk: Values) -> bytes:
        return chunk.tobytes()

    def _unpack_into(self, packed: Any, out: Values) -> None:
        if len(packed) != out.nbytes:
            raise ValueError(f"found {len(packed)} bytes, expected {out.nbytes}")
        _bytes_into(packed, out)


def _bytes_into(data: Any, out: Values) -> None:
    import numpy as np

    out.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)


def shuffle_bytes(chunk: Values) -> Values:
    """What the shuffle filter makes of values of two bytes: all low bytes, then all high bytes."""
    import numpy as np

    values: Any = chunk.reshape(-1)
    planes = np.empty((2, len(values)), np.uint8)
    planes[0], planes[1] = values, values >> 8
    return planes


def unshuffle(planes: bytes, out: Values) -> None:
    """The values again: 13 times as fast as transposing the planes."""
    import numpy as np

    low, high = np.frombuffer(planes, np.uint8).reshape(2, -1)
    flat: Any = out.reshape(-1)
    flat[:] = high
    flat <<= 8
    flat |= low
