"""TFRecord framing: ``u64 length | u32 masked CRC-32C of it | data | u32 masked CRC-32C of the data``.

Both checksums are checked; the checksum of the length is checked before memory is allocated. Nothing is skipped: the
first mismatch is an error with the example number and the byte offset. Unlike in TensorFlow, a tail of 1 to 11 bytes
is an error. Source: TensorFlow's ``tsl/lib/io/record_reader.cc`` and ``record_writer.cc``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from ..archives.bounds import BOUNDS, Bounds
from ..archives.damage import AGAIN, LAST_RESORT
from ..archives.stream import Prefixed, Readable
from ..errors import NotATFRecord, TFRecordDamaged
from ..hashing import masked_crc32c
from .wrapped import find_wrapper

HEADER_BYTES = 12
MAX_RECORD_BYTES = (1 << 31) - 1  # the limit of protobuf, and so of every reader of the record
_READ_BYTES = 16 << 20  # a wrong length costs at most this much memory until the end of the file is reached


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record: its number from 0, the offset of its header in the (unwrapped) file, and its payload."""

    number: int
    offset: int
    payload: bytes


def is_header(head: bytes) -> bool:
    """Whether these 12 bytes are a TFRecord header: a length and its correct checksum."""
    return len(head) == HEADER_BYTES and masked_crc32c(head[:8]) == struct.unpack_from("<I", head, 8)[0]


def unwrap(stream: Readable, *, where: str, packed: int | None = None, bounds: Bounds = BOUNDS) -> Readable:
    """The TFRecord inside ``stream``, which may be wrapped as a whole, by gzip for example.

    A valid TFRecord header has priority: only a stream without one may count as wrapped. ``packed``, the size of the
    whole stream in bytes, limits what comes out of it by ``bounds``.
    """
    head = _read_up_to(stream, HEADER_BYTES)
    rest = Prefixed(head, stream)
    wrapper = None if is_header(head) else find_wrapper(head)
    if wrapper is None:
        return rest
    unwrapped = wrapper.open(rest, where=where)
    return unwrapped if packed is None else _Bounded(unwrapped, packed, bounds, where)


class _Bounded:
    """A stream that may unpack to no more than is allowed."""

    def __init__(self, stream: Readable, packed: int, bounds: Bounds, where: str) -> None:
        self._stream, self._packed, self._bounds, self._where = stream, packed, bounds, where
        self._unpacked = 0

    def read(self, n: int, /) -> bytes:
        out = self._stream.read(n)
        self._unpacked += len(out)
        self._bounds.check_unpacked(self._unpacked, self._packed, self._where)
        return out


def read_raw_records(
    stream: Readable, *, where: str, max_bytes: int = MAX_RECORD_BYTES, bounds: Bounds = BOUNDS
) -> Iterator[RawRecord]:
    """The records of a TFRecord stream, in order. Both checksums of each are checked.

    Parameters
    ----------
    stream : Readable
        Unwrapped TFRecord bytes. Short reads are allowed.
    where : str
        Name of the file in messages.
    max_bytes : int
        Longest payload, in bytes.
    bounds : Bounds
        What the source may take.

    Raises
    ------
    NotATFRecord
        If the file does not start with a record header.
    TFRecordDamaged
        If the file is truncated, a checksum does not match or a record is longer than `max_bytes`.
    SourceTooLarge
        If a record takes more memory than ``bounds`` allow.
    """
    number = offset = 0
    while head := _read_up_to(stream, HEADER_BYTES):
        place = f"{where}: example {number}, byte {offset:,}"
        if len(head) < HEADER_BYTES:
            raise _truncated(place, "header", HEADER_BYTES, len(head))
        length, length_crc = struct.unpack("<QI", head)
        if masked_crc32c(head[:8]) != length_crc:
            raise _bad_length(place, head, first=offset == 0)
        if length > max_bytes:
            raise TFRecordDamaged(
                "the record is too long to be an example",
                where=place,
                expected=f"at most {max_bytes:,} bytes",
                found=f"{length:,} bytes",
            )
        bounds.check_record(length, place)
        payload = _read_up_to(stream, length)
        if len(payload) < length:
            raise _truncated(place, "data", length, len(payload))
        tail = _read_up_to(stream, 4)
        if len(tail) < 4:
            raise _truncated(place, "data checksum", 4, len(tail))
        (stored,) = struct.unpack("<I", tail)
        if (computed := masked_crc32c(payload)) != stored:
            raise TFRecordDamaged(
                "the checksum of the data does not match",
                where=place,
                expected=f"masked CRC-32C {stored:#010x}",
                found=f"{computed:#010x} over {length:,} bytes",
                todo=AGAIN,
            )
        yield RawRecord(number, offset, payload)
        number += 1
        offset += HEADER_BYTES + length + 4


def write_raw_record(file: IO[bytes], payload: bytes) -> None:
    """One TFRecord record: length and data, each with its masked CRC-32C."""
    head = struct.pack("<Q", len(payload))
    file.write(head + struct.pack("<I", masked_crc32c(head)))
    file.write(payload)
    file.write(struct.pack("<I", masked_crc32c(payload)))


def _read_up_to(stream: Readable, n: int) -> bytes:
    """``n`` bytes, or fewer at the end of the stream."""
    if not n:  # an empty record: some streams treat a read of 0 bytes as their end
        return b""
    data = stream.read(min(n, _READ_BYTES))
    if len(data) == n or not data:
        return data
    pieces, got = [data], len(data)
    while got < n and (data := stream.read(min(n - got, _READ_BYTES))):
        pieces.append(data)
        got += len(data)
    return b"".join(pieces)


def _truncated(place: str, what: str, needed: int, got: int) -> TFRecordDamaged:
    return TFRecordDamaged(
        f"the file ends inside the {what} of a record",
        where=place,
        expected=f"{needed:,} bytes",
        found=f"{got:,} bytes",
        todo=f"the file is truncated: fetch or extract it again; {LAST_RESORT}",
    )


def _bad_length(place: str, head: bytes, *, first: bool) -> NotATFRecord | TFRecordDamaged:
    if first:
        return NotATFRecord(
            "this file does not start like a TFRecord",
            where=place,
            expected="an 8-byte length and its masked CRC-32C",
            found=head.hex(" "),
            todo="give a .7z archive of the record, or the TFRecord in it",
        )
    return TFRecordDamaged(
        "the checksum of a record's length does not match",
        where=place,
        expected=f"masked CRC-32C {struct.unpack_from('<I', head, 8)[0]:#010x}",
        found=f"{masked_crc32c(head[:8]):#010x}",
        todo=AGAIN,
    )
