"""The base classes of codecs. A codec packs, checks and unpacks chunks, and recognises itself in a store.

Importing this is cheap, because the command line's help lists the codecs: numpy and the packers are imported on use.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.generic]

_CRC_OF_ALL = 0x48674BC7  # CRC-32C of any bytes followed by their own CRC-32C, little-endian


class Figures(NamedTuple):
    """Packed bytes over raw bytes, and MB/s on one core; None if not measured. Rounded from docs/codecs.md."""

    ratio: float
    packing: int | None = None
    unpacking: int | None = None


_NO_FIGURES = Figures(0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Codec(ABC):
    """A codec of one format. Its methods are safe to call from several threads at once.

    Attributes
    ----------
    format : str
        The store format that it is for.
    name : str
        Its name on the command line; empty for a codec recognised in a store.
    title : str
        The packing method, as named in docs/codecs.md.
    figures : Figures
        Zeros for a codec recognised in a store.
    readers : str
        What a reader needs beyond support for the format.
    """

    format: ClassVar[str]
    name: str = ""
    title: str = ""
    figures: Figures = _NO_FIGURES
    readers: str = ""

    def encode(self, chunk: Values) -> bytes:
        """Pack a chunk (C order, little-endian) and add its checksum: the bytes as stored."""
        return self._seal(self._pack(chunk))

    def load(self) -> None:
        """Import what packing needs, which takes much longer in a thread beside a busy one."""
        import numpy as np  # here, since the help of commands names codecs

        self._seal(self._pack(np.zeros(64, "<u2")))

    def decode_into(self, data: Any, out: Values) -> None:
        """Unpack a chunk into ``out``, C order, of any dtype.

        Raises
        ------
        ValueError
            If the checksum does not match, the chunk cannot be unpacked, or its size differs from that of ``out``.
        """
        self._unpack_into(self.verify(data), out)

    @abstractmethod
    def verify(self, data: Any) -> Any:
        """Compare a chunk with its checksum and return the packed bytes without the checksum.

        Raises
        ------
        ValueError
            If the checksum does not match.
        """

    @abstractmethod
    def in_words(self) -> str:
        """How chunks are packed, in the terms of the format, as shown by ``s2ct info``."""

    def prepare(self, *, writing: bool = False) -> None:  # noqa: B027  # most need nothing
        """Make this codec available to the libraries of the format.

        Raises
        ------
        WrongUsage
            If a required package is not installed.
        """

    @abstractmethod
    def _pack(self, chunk: Values) -> bytes: ...

    @abstractmethod
    def _unpack_into(self, packed: Any, out: Values) -> None: ...

    @abstractmethod
    def _seal(self, packed: bytes) -> bytes: ...


class ZarrCodec(Codec):
    """A Zarr v3 codec pipeline: ``bytes``, then at most one compressor, then ``crc32c``."""

    format = "zarr"
    step: ClassVar[str]  # name of the compressor in the metadata; empty without one

    def verify(self, data: Any) -> Any:
        import google_crc32c

        if len(data) < 4 or google_crc32c.value(data) != _CRC_OF_ALL:
            raise ValueError("CRC-32C does not match")
        return data[:-4]

    def _seal(self, packed: bytes) -> bytes:
        import google_crc32c

        return packed + struct.pack("<I", google_crc32c.value(packed))

    def encode_small(self, values: Values) -> bytes:
        """Pack a chunk of a small array, as ``encode`` packs one of pixels."""
        return self.encode(values)

    @abstractmethod
    def configuration(self, itemsize: int, chunk_bytes: int) -> dict[str, Any]:
        """Its parameters in the metadata of an array.

        Parameters
        ----------
        itemsize : int
            Bytes per value.
        chunk_bytes : int
            Bytes per chunk of pixels; 0 for a small array.
        """

    def compressors(self, itemsize: int, chunk_bytes: int = 0) -> list[dict[str, Any]]:
        """The codecs after ``bytes`` in the metadata of an array; parameters as for :meth:`configuration`."""
        own = {"name": self.step, "configuration": self.configuration(itemsize, chunk_bytes)}
        return [*([own] if self.step else []), {"name": "crc32c"}]

    @classmethod
    @abstractmethod
    def of_configuration(cls, given: dict[str, Any]) -> Self:
        """The codec with these parameters. Any are accepted, because each chunk records how to unpack itself."""

    @classmethod
    def recognise(cls, codecs: Any) -> Self | None:
        """The codec named in the metadata of an array; None if the array has another codec."""
        try:
            if [codec["name"] for codec in codecs] == ["bytes", *([cls.step] if cls.step else []), "crc32c"]:
                return cls.of_configuration(dict(codecs[1].get("configuration", {})))
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        return None

    @classmethod
    def is_as_written(cls, codecs: Any, itemsize: int) -> bool:
        """Whether these are the codecs s2ct writes for an array, with any parameters."""
        first = {"name": "bytes", "configuration": {"endian": "little"}} if itemsize > 1 else {"name": "bytes"}
        if cls.recognise(codecs) is None:
            return False
        return bool([codecs[0], codecs[-1]] == [first, {"name": "crc32c"}])


class Filter(NamedTuple):
    """An HDF5 filter: its registered number and its parameters. A chunk may skip an optional filter."""

    number: int
    name: str
    values: tuple[int, ...] = ()
    optional: bool = False


FLETCHER32 = Filter(3, "fletcher32")


class Hdf5Codec(Codec):
    """An HDF5 filter pipeline: the filters in ``steps``, then ``fletcher32``."""

    format = "hdf5"
    steps: ClassVar[tuple[tuple[int, str], ...]]  # numbers and names of the filters before fletcher32

    def verify(self, data: Any) -> Any:
        from numcodecs.fletcher32 import Fletcher32

        try:
            return Fletcher32().decode(data)
        except RuntimeError:
            raise ValueError("Fletcher-32 does not match") from None

    def _seal(self, packed: bytes) -> bytes:
        from numcodecs.fletcher32 import Fletcher32

        return bytes(Fletcher32().encode(packed))

    @abstractmethod
    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        """Filters before the checksum, for chunks of ``chunk_bytes`` bytes with values of ``itemsize`` bytes."""

    def filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        """All filters of a dataset, in order."""
        return [*self.own_filters(itemsize, chunk_bytes), FLETCHER32]

    def in_words(self) -> str:
        return " + ".join([*(name for _, name in self.steps), FLETCHER32.name])

    @classmethod
    def recognise(cls, filters: Sequence[int]) -> Self | None:
        """The codec of a dataset with these filter numbers; None if the dataset has another codec."""
        return cls() if list(filters) == [*(number for number, _ in cls.steps), FLETCHER32.number] else None
