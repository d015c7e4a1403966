"""What a codec is: one object that packs chunks, checks them, is found again in a store, and names itself to people.

Import is light, since the help of the command line lists the codecs: numpy and the packers are imported where they run.
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
    """Packed bytes over raw bytes, and MB/s of one core: those of docs/codecs.md, rounded."""

    ratio: float
    packing: int
    unpacking: int


_NO_FIGURES = Figures(0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Codec(ABC):
    """A codec of one format. Its methods may run in several threads at once.

    Attributes
    ----------
    format : str
        Of the stores that it is for.
    name : str
        On the command line; empty for a codec that was found in a store.
    title : str
        How it packs, as docs/codecs.md calls it.
    figures : Figures
        Zeros for a codec that was found in a store.
    readers : str
        What its readers need, where the format alone does not say it.
    """

    format: ClassVar[str]
    name: str = ""
    title: str = ""
    figures: Figures = _NO_FIGURES
    readers: str = ""

    def encode(self, chunk: Values) -> bytes:
        """Pack a chunk (C order, little-endian) and add its checksum: the bytes that stand in the store."""
        return self._seal(self._pack(chunk))

    def decode_into(self, data: Any, out: Values) -> None:
        """Unpack a chunk into ``out``, C order, of any dtype.

        Raises
        ------
        ValueError
            If it does not fit its checksum, cannot be unpacked, or is of another size than ``out``.
        """
        self._unpack_into(self.verify(data), out)

    @abstractmethod
    def verify(self, data: Any) -> Any:
        """Compare a chunk with its checksum; the packed bytes without it.

        Raises
        ------
        ValueError
            If it does not fit.
        """

    @abstractmethod
    def in_words(self) -> str:
        """How chunks are packed, in the words of the format, as ``s2ct info`` shows it."""

    def prepare(self, *, writing: bool = False) -> None:  # noqa: B027  # most need nothing
        """See that the libraries of the format know this codec.

        Raises
        ------
        WrongUsage
            If something is not installed.
        """

    @abstractmethod
    def _pack(self, chunk: Values) -> bytes: ...

    @abstractmethod
    def _unpack_into(self, packed: Any, out: Values) -> None: ...

    @abstractmethod
    def _seal(self, packed: bytes) -> bytes: ...


class ZarrCodec(Codec):
    """A codec of Zarr v3: ``bytes``, then a codec of its own, then ``crc32c``."""

    format = "zarr"
    step: ClassVar[str]  # name of its own codec in the metadata

    def verify(self, data: Any) -> Any:
        import google_crc32c

        if len(data) < 4 or google_crc32c.value(data) != _CRC_OF_ALL:
            raise ValueError("CRC-32C does not fit")
        return data[:-4]

    def _seal(self, packed: bytes) -> bytes:
        import google_crc32c

        return packed + struct.pack("<I", google_crc32c.value(packed))

    @abstractmethod
    def configuration(self, itemsize: int, chunk_bytes: int) -> dict[str, Any]:
        """Its parameters in the metadata of an array.

        Parameters
        ----------
        itemsize : int
            Bytes of a value.
        chunk_bytes : int
            Bytes of a chunk of pixels; 0 for a small array.
        """

    def compressors(self, itemsize: int, chunk_bytes: int = 0) -> list[dict[str, Any]]:
        """The codecs after ``bytes`` in the metadata of an array; parameters as for :meth:`configuration`."""
        own = {"name": self.step, "configuration": self.configuration(itemsize, chunk_bytes)}
        return [own, {"name": "crc32c"}]

    @classmethod
    @abstractmethod
    def of_configuration(cls, given: dict[str, Any]) -> Self:
        """The codec with these parameters, whatever they are: what is needed to unpack stands in each chunk."""

    @classmethod
    def recognise(cls, codecs: Any) -> Self | None:
        """The codec that the metadata of an array name; None if it is not of this kind."""
        try:
            if [codec["name"] for codec in codecs] == ["bytes", cls.step, "crc32c"]:
                return cls.of_configuration(dict(codecs[1].get("configuration", {})))
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        return None

    @classmethod
    def is_as_written(cls, codecs: Any, itemsize: int) -> bool:
        """Whether these are the codecs of an array as they are written here, whatever the parameters."""
        first = {"name": "bytes", "configuration": {"endian": "little"}} if itemsize > 1 else {"name": "bytes"}
        if cls.recognise(codecs) is None:
            return False
        return bool([codecs[0], codecs[2]] == [first, {"name": "crc32c"}])


class Filter(NamedTuple):
    """A filter of HDF5: its registered number and its values. Chunks may do without one that is optional."""

    number: int
    name: str
    values: tuple[int, ...] = ()
    optional: bool = False


FLETCHER32 = Filter(3, "fletcher32")


class Hdf5Codec(Codec):
    """A codec of HDF5: filters of its own, then ``fletcher32``."""

    format = "hdf5"
    steps: ClassVar[tuple[tuple[int, str], ...]]  # numbers and names of its own filters

    def verify(self, data: Any) -> Any:
        from numcodecs.fletcher32 import Fletcher32

        try:
            return Fletcher32().decode(data)
        except RuntimeError:
            raise ValueError("Fletcher-32 does not fit") from None

    def _seal(self, packed: bytes) -> bytes:
        from numcodecs.fletcher32 import Fletcher32

        return bytes(Fletcher32().encode(packed))

    @abstractmethod
    def own_filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        """Filters before the checksum, of chunks of so many bytes with values of ``itemsize`` bytes."""

    def filters(self, itemsize: int, chunk_bytes: int) -> list[Filter]:
        """All filters of a dataset, in their order."""
        return [*self.own_filters(itemsize, chunk_bytes), FLETCHER32]

    def in_words(self) -> str:
        return " + ".join([*(name for _, name in self.steps), FLETCHER32.name])

    @classmethod
    def recognise(cls, filters: Sequence[int]) -> Self | None:
        """The codec of a dataset that has the filters of these numbers; None if it is not of this kind."""
        return cls() if list(filters) == [*(number for number, _ in cls.steps), FLETCHER32.number] else None
