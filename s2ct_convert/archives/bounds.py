"""How much a source may unpack to, and the memory that decoding may take: a small file must not fill a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from ..errors import SourceTooLarge
from ..words import size as in_words

RATIO = 100  # images do not shrink a hundredfold; a bomb shrinks a thousandfold and more
ALWAYS = 4 << 30  # bytes that any source may unpack to
DECODING = 1 << 30  # four times the largest dictionary that 7-Zip chooses by itself
_DEFAULT = f": {RATIO} times its own size, or {ALWAYS >> 30} GiB"
_RECORD = 4  # a record is in memory up to four times
_PARSED = 32  # protobuf takes up to 32 times the size of a record
_FEATURE = 1 << 16  # each feature becomes arrays of the store


@dataclass(frozen=True)
class Bounds:
    """What one source may take.

    Attributes
    ----------
    max_unpacked : int or None
        Bytes that a file may unpack to. None: 100 times its own size, at least 4 GiB.
    max_decoding : int
        Bytes of memory for decoding: for the dictionary of an archive, or for one example.
    """

    max_unpacked: int | None = None
    max_decoding: int = DECODING

    def flags(self) -> str:
        """The options that give these bounds, each with a blank before it."""
        unpacked = "" if self.max_unpacked is None else f" --max-unpacked {self.max_unpacked}"
        return unpacked + ("" if self.max_decoding == DECODING else f" --max-decoding {self.max_decoding}")

    def most_unpacked(self, packed: int) -> int:
        """Bytes that a file of ``packed`` bytes may unpack to."""
        return max(ALWAYS, RATIO * packed) if self.max_unpacked is None else self.max_unpacked

    def check_unpacked(self, unpacked: int, packed: int, where: str, todo: str = "") -> None:
        """Check the bytes that a file of ``packed`` bytes unpacks to, or has unpacked to so far.

        Raises
        ------
        SourceTooLarge
        """
        most = self.most_unpacked(packed)
        if unpacked > most:
            raise SourceTooLarge(
                f"this file of {in_words(packed)} unpacks to more than a source may",
                where=where,
                expected=f"at most {most:,} bytes{_DEFAULT if self.max_unpacked is None else ''}",
                found=f"{unpacked:,} bytes or more",
                todo=todo or f"if it is what you want, allow it: --max-unpacked {_at_least(unpacked)}",
            )

    def check_decoding(self, what: str, bytes_: int, where: str) -> None:
        """Check the memory that ``what`` takes.

        Raises
        ------
        SourceTooLarge
        """
        if bytes_ > self.max_decoding:
            raise SourceTooLarge(
                f"{what} takes more memory than decoding may",
                where=where,
                expected=f"at most {self.max_decoding:,} bytes",
                found=f"up to {bytes_:,} bytes",
                todo=f"if the machine has it, allow it: --max-decoding {_at_least(bytes_)}",
            )

    def check_record(self, length: int, where: str) -> None:
        """Check the length of a record, before it is read.

        Raises
        ------
        SourceTooLarge
        """
        self.check_decoding(f"an example of {in_words(length)}", _RECORD * length, where)

    def check_parsing(self, length: int, features: int, where: str) -> None:
        """Check the length and number of features of a record that protobuf has to parse.

        Raises
        ------
        SourceTooLarge
        """
        what = f"an example of {in_words(length)} and {features:,} features, in an unusual form"
        self.check_decoding(what, _PARSED * length + _FEATURE * features, where)

    def check_block(self, folder: Any, where: str) -> None:
        """Check the memory for the dictionary of a block of an archive (a folder of py7zr).

        Raises
        ------
        SourceTooLarge
        """
        unpacked = max(folder.unpacksizes, default=0)  # a dictionary is used up to the size of what is unpacked
        for coder in folder.coders:
            dictionary = dictionary_of(coder)
            if dictionary is not None:
                self.check_decoding("the dictionary of this archive", min(dictionary, unpacked), where)


BOUNDS = Bounds()


class BoundsKeywords(TypedDict, total=False):
    """The fields of :class:`Bounds`."""

    max_unpacked: int | None
    max_decoding: int


def dictionary_of(coder: Any) -> int | None:
    """Bytes of the dictionary of a coder of py7zr, or of the memory of PPMd; None if it has neither, or is damaged."""
    properties = coder.get("properties") or b""
    match coder["method"].hex(), len(properties):
        case "21", 1 if properties[0] <= 40:
            return dictionary_size(properties[0])
        case ("030101", 5) | ("030401", 5 | 7):
            return int.from_bytes(properties[1:5], "little")
    return None


def dictionary_size(bits: int) -> int:
    """Size of the dictionary in bytes, from the property of LZMA2."""
    return 0xFFFFFFFF if bits == 40 else (2 | (bits & 1)) << (bits // 2 + 11)


def _at_least(n: int) -> str:
    """A size for an option."""
    return f"{-(-n >> 30)}G"
