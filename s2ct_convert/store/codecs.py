"""All codecs. To add one: a class here if it packs in a new way, an entry in the tuple of its format, and a
row in docs/codecs.md.

Chunks are encoded here, in any thread, into the same bytes that zarr-python or the HDF5 filters would write. The
containers only store the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..errors import WrongUsage
from ..version import install_advice
from .codec import Codec, Figures, Filter, Hdf5Codec, ZarrCodec
from .packers import SHUFFLES, Blosc, Plain, Zstd, inflate, pack_zstd, shuffle_bytes, unpack_zstd, unshuffle

if TYPE_CHECKING:
    from .codec import Values

_COMPRESSORS = {"blosclz": 0, "lz4": 1, "zstd": 5}  # numbers in the HDF5 filter


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

    def encode_small(self, values: Values) -> bytes:
        """Blosc chooses the size of its blocks, as for zarr-python."""
        return self._seal(self.pack_in_blocks(values))

    @classmethod
    def of_configuration(cls, given: dict[str, Any]) -> Self:
        return cls(cname=str(given.get("cname")), clevel=given.get("clevel", 0), shuffle=str(given.get("shuffle")))


@dataclass(frozen=True, kw_only=True)
class ZarrZstd(Zstd, ZarrCodec):
    """``zstd``, a registered extension of Zarr v3."""

    readers: str = "zstd, a registered codec of Zarr v3: no Blosc needed"
    step = "zstd"

    def in_words(self) -> str:
        return f"zstd {self.level} + crc32c"

    def configuration(self, itemsize: int, chunk_bytes: int) -> dict[str, Any]:
        return {"level": self.level, "checksum": False}

    @classmethod
    def of_configuration(cls, given: dict[str, Any]) -> Self:
        return cls(level=given.get("level", 0))


@dataclass(frozen=True, kw_only=True)
class ZarrPlain(Plain, ZarrCodec):
    """No compressor."""

    readers: str = "every reader of sharded Zarr v3"
    step = ""

    def in_words(self) -> str:
        return "uncompressed + crc32c"

    def configuration(self, itemsize: int, chunk_bytes: int) -> dict[str, Any]:
        return {}

    @classmethod
    def of_configuration(cls, given: dict[str, Any]) -> Self:
        return cls()


class Plugin(Hdf5Codec):
    """An HDF5 codec whose first filter (``plugin`` in hdf5plugin) is not in every HDF5 build."""

    plugin: ClassVar[str]
    plugin_number: ClassVar[int]

    def prepare(self, *, writing: bool = False) -> None:
        """Register the filter from hdf5plugin."""
        import h5py

        available = h5py.h5z.filter_avail(self.plugin_number)
        if available and not writing:
            return
        try:
            import hdf5plugin
        except ImportError:
            if available:
                return
            raise WrongUsage(
                f"this needs the HDF5 {self.plugin} filter",
                todo=f"{install_advice('hdf5plugin')}, or use --codec gzip, which every HDF5 can read",
            ) from None
        if writing and hdf5plugin.get_config().registered_filters.get(self.plugin) == "unknown":
            # Another package registered its filter. netCDF4-python's claims to be able to write but fails in h5py.
            hdf5plugin.register(self.plugin, force=True)


@dataclass(frozen=True, kw_only=True)
class Hdf5Blosc(Blosc, Plugin):
    """Blosc as a registered filter of HDF5."""

    cname: str = "zstd"
    clevel: int = 2
    shuffle: str = "shuffle"
    steps = ((32001, "blosc"),)
    plugin, plugin_number = "blosc", 32001

    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        ((number, name),) = self.steps
        # Filter revision, Blosc format, value size, chunk size, level, shuffle, compressor.
        values = (2, 2, itemsize, chunk_bytes, self.clevel, SHUFFLES[self.shuffle], _COMPRESSORS[self.cname])
        return [Filter(number, name, values)]


@dataclass(frozen=True, kw_only=True)
class Hdf5Deflate(Hdf5Codec):
    """Shuffle and deflate, which every HDF5 build has. The level is ISA-L's. For values of two bytes."""

    level: int = 1
    steps = ((2, "shuffle"), (1, "deflate"))

    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        (shuffle, deflate) = self.steps
        return [Filter(*shuffle, optional=True), Filter(*deflate, values=(self.level,), optional=True)]

    def _pack(self, chunk: Values) -> bytes:
        from isal import isal_zlib

        return isal_zlib.compress(shuffle_bytes(chunk), self.level)

    def _unpack_into(self, packed: Any, out: Values) -> None:
        unshuffle(inflate(packed, out.nbytes), out)


@dataclass(frozen=True, kw_only=True)
class Hdf5Zstd(Plugin):
    """HDF5's own shuffle, then Zstandard as a registered filter. For values of two bytes."""

    level: int = 3
    steps = ((2, "shuffle"), (32015, "zstd"))
    plugin, plugin_number = "zstd", 32015

    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        (shuffle, zstd) = self.steps
        return [Filter(*shuffle, optional=True), Filter(*zstd, values=(self.level,))]

    def _pack(self, chunk: Values) -> bytes:
        return pack_zstd(self.level, shuffle_bytes(chunk))

    def _unpack_into(self, packed: Any, out: Values) -> None:
        unshuffle(unpack_zstd(packed, out.nbytes), out)


@dataclass(frozen=True, kw_only=True)
class Hdf5Plain(Plain, Hdf5Codec):
    """No compressing filter."""

    steps = ()

    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        return []

    def in_words(self) -> str:
        return "uncompressed + fletcher32"


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
    ZarrZstd(name="zstd", title="zstd 3", figures=Figures(0.83), level=3),
    ZarrPlain(name="none", title="uncompressed", figures=Figures(1.0)),
)  # fmt: skip
HDF5_CODECS: tuple[Hdf5Codec, ...] = (
    Hdf5Deflate(
        name="gzip", title="shuffle + deflate", figures=Figures(0.65, 440, 250),
        readers="every HDF5 and netCDF-4 build",
    ),
    Hdf5Blosc(
        name="blosc", title="blosc zstd 2", figures=Figures(0.62, 410, 1300),
        readers="h5py needs hdf5plugin for it, netCDF4-python does not",
    ),
    Hdf5Zstd(
        name="zstd", title="shuffle + zstd 3", figures=Figures(0.62),
        readers="h5py needs hdf5plugin for it, netCDF4-python does not",
    ),
    Hdf5Plain(
        name="none", title="uncompressed", figures=Figures(1.0),
        readers="every HDF5 and netCDF-4 build",
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
