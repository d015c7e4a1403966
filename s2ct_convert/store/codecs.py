"""All codecs. To add one: a class here if it packs in a new way, an entry in the tuple of its format, and a
row in docs/codecs.md.

Chunks are encoded here, in any thread, into the same bytes that zarr-python or the HDF5 filters would write. The
containers only store the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from ..errors import WrongUsage
from ..version import install_advice
from .codec import Codec, Figures, Filter, Hdf5Codec, ZarrCodec

if TYPE_CHECKING:
    from .codec import Values

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_COMPRESSORS = {"blosclz": 0, "lz4": 1, "zstd": 5}  # numbers in the HDF5 filter
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
        packed: bytes = _blosc(self.cname, self.clevel, _SHUFFLES[self.shuffle], chunk.nbytes).encode(chunk)
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
    from numcodecs.blosc import Blosc

    return Blosc(cname, clevel, shuffle, blocksize)


@dataclass(frozen=True, kw_only=True)
class ZarrBlosc(Blosc, ZarrCodec):
    """``blosc``, a core codec of Zarr v3."""

    readers: str = "core codecs of Zarr v3, which every reader has"
    step = "blosc"

    def in_words(self) -> str:
        return f"blosc({self.cname} {self.clevel}, {self.shuffle}) + crc32c"

    def configuration(self, itemsize: int, chunk_bytes: int) -> dict[str, Any]:
        own = {"cname": self.cname, "clevel": self.clevel, "shuffle": self.shuffle}
        return {"typesize": itemsize, **own, "blocksize": chunk_bytes}

    @classmethod
    def of_configuration(cls, given: dict[str, Any]) -> Self:
        return cls(cname=str(given.get("cname")), clevel=given.get("clevel", 0), shuffle=str(given.get("shuffle")))


@dataclass(frozen=True, kw_only=True)
class Hdf5Blosc(Blosc, Hdf5Codec):
    """Blosc as a registered filter of HDF5."""

    cname: str = "zstd"
    clevel: int = 2
    shuffle: str = "shuffle"
    steps = ((32001, "blosc"),)

    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        ((number, name),) = self.steps
        # Filter revision, Blosc format, value size, chunk size, level, shuffle, compressor.
        values = (2, 2, itemsize, chunk_bytes, self.clevel, _SHUFFLES[self.shuffle], _COMPRESSORS[self.cname])
        return [Filter(number, name, values)]

    def prepare(self, *, writing: bool = False) -> None:
        """Register the filter from hdf5plugin."""
        import h5py

        available = h5py.h5z.filter_avail(self.steps[0][0])
        if available and not writing:
            return
        try:
            import hdf5plugin
        except ImportError:
            if available:
                return
            raise WrongUsage(
                "this needs the HDF5 Blosc filter",
                todo=f"{install_advice('hdf5plugin')}, or use --codec gzip, which every HDF5 can read",
            ) from None
        if writing and hdf5plugin.get_config().registered_filters.get("blosc") == "unknown":
            # Another package registered its filter. netCDF4-python's claims to be able to write but fails in h5py.
            hdf5plugin.register("blosc", force=True)


@dataclass(frozen=True, kw_only=True)
class Hdf5Deflate(Hdf5Codec):
    """Shuffle and deflate, which every HDF5 build has. The level is ISA-L's. For values of two bytes."""

    level: int = 1
    steps = ((2, "shuffle"), (1, "deflate"))

    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        (shuffle, deflate) = self.steps
        return [Filter(*shuffle, optional=True), Filter(*deflate, values=(self.level,), optional=True)]

    def _pack(self, chunk: Values) -> bytes:
        import numpy as np
        from isal import isal_zlib

        # The shuffle filter: all low bytes, then all high bytes.
        values: Any = chunk.reshape(-1)
        planes = np.empty((2, len(values)), np.uint8)
        planes[0], planes[1] = values, values >> 8
        return isal_zlib.compress(planes, self.level)

    def _unpack_into(self, packed: Any, out: Values) -> None:
        import numpy as np
        from isal import isal_zlib

        try:
            planes = isal_zlib.decompress(packed, bufsize=out.nbytes)
        except isal_zlib.error as error:  # type: ignore[misc]  # the stubs of isal give it no base
            raise ValueError(str(error)) from None
        if len(planes) != out.nbytes:
            raise ValueError(f"unpacked {len(planes)} bytes, expected {out.nbytes}")
        # 13 times as fast as transposing the planes.
        low, high = np.frombuffer(planes, np.uint8).reshape(2, -1)
        flat: Any = out.reshape(-1)
        flat[:] = high
        flat <<= 8
        flat |= low


ZARR_CODECS: tuple[ZarrCodec, ...] = (
    ZarrBlosc(
        name="fast", title="blosc lz4", figures=Figures(0.68, 1400, 2400),
        cname="lz4", clevel=5, shuffle="bitshuffle",
    ),
    ZarrBlosc(
        name="balanced", title="blosc zstd 2", figures=Figures(0.62, 450, 1600),
        cname="zstd", clevel=2, shuffle="shuffle",
    ),
    ZarrBlosc(
        name="small", title="blosc zstd 9", figures=Figures(0.59, 7, 1100),
        cname="zstd", clevel=9, shuffle="shuffle",
    ),
)  # fmt: skip
HDF5_CODECS: tuple[Hdf5Codec, ...] = (
    Hdf5Deflate(
        name="gzip", title="shuffle + deflate", figures=Figures(0.65, 440, 250),
        readers="every HDF5 and netCDF-4 build",
    ),
    Hdf5Blosc(
        name="blosc", title="blosc zstd 2", figures=Figures(0.62, 410, 1300),
        readers="h5py needs hdf5plugin for it; netCDF4-python has it",
    ),
)  # fmt: skip
DEFAULT_CODEC = {"zarr": "balanced", "hdf5": "gzip"}
CODECS: dict[str, dict[str, Codec]] = {
    "zarr": {codec.name: codec for codec in ZARR_CODECS},
    "hdf5": {codec.name: codec for codec in HDF5_CODECS},
}


def find_codec(format: str, name: str | None) -> Codec:
    """The codec of a format by name; the format's default for None.

    Raises
    ------
    WrongUsage
        If the format has no such codec.
    """
    codecs = CODECS[format]
    name = name or DEFAULT_CODEC[format]
    if name not in codecs:
        raise WrongUsage(f"no codec {name!r} for {format}", expected=" or ".join(codecs))
    return codecs[name]


def recognise_zarr(codecs: Any) -> ZarrCodec | None:
    """The codec named in the metadata of an array; None if s2ct does not have it."""
    found = (one.recognise(codecs) for one in ZARR_CODECS)
    return next((codec for codec in found if codec), None)


def recognise_hdf5(filters: Sequence[int]) -> Hdf5Codec | None:
    """The codec of a dataset by its filter numbers; None if s2ct does not have it."""
    found = (one.recognise(filters) for one in HDF5_CODECS)
    return next((codec for codec in found if codec), None)
