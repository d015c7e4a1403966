"""The options of functions that unpack archives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from .bounds import DECODING, Bounds
from .unpackers import Unpacker, find_unpacker


@dataclass(frozen=True)
class UnpackOptions:
    """How archives are unpacked.

    Attributes
    ----------
    unpacker : {"auto", "python", "7zz"}
        As for :func:`s2ct_convert.convert`.
    max_unpacked : int, optional
        Bytes that one file may unpack to. By default 100 times its own size, and at least 4 GiB.
    max_decoding : int
        Bytes of memory that decoding may take: for the dictionary of an archive, or for one example. 1 GiB by default.
    """

    unpacker: str = "auto"
    max_unpacked: int | None = None
    max_decoding: int = DECODING

    def find(self) -> Unpacker:
        """The unpacker on this machine, with its bounds.

        Raises
        ------
        WrongUsage
            If there is none, or no such one.
        """
        return find_unpacker(self.unpacker, Bounds(self.max_unpacked, self.max_decoding))


class UnpackKeywords(TypedDict, total=False):
    """The fields of :class:`UnpackOptions`."""

    unpacker: str
    max_unpacked: int | None
    max_decoding: int
