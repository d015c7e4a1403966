"""Locates the features of an example in its bytes, without a copy.

Protobuf copies the pixels of an example twice. Locating them copies nothing, and a file is read twice as fast. Only
the plain form that every serializer writes is known here: each feature once, with one value of the kind the dataset
has, and consistent lengths. Everything else is left to protobuf.
Source: https://protobuf.dev/programming-guides/encoding and TensorFlow's ``core/example/{example,feature}.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

_FIELD_1, _FIELD_2, _FIELD_3 = 0x0A, 0x12, 0x1A  # tags of length-delimited fields
_BYTES = (_FIELD_2, _FIELD_1, _FIELD_1)  # Feature entry value, bytes_list, value
_INT64 = (_FIELD_2, _FIELD_3, _FIELD_1)  # Feature entry value, int64_list, packed value


class Unusual(Exception):
    """The example is not in the plain form."""


def locate(data: bytes, bytes_names: frozenset[str], int_name: str) -> dict[str, memoryview | int] | None:
    """Values of the features by name, with bytes as views of ``data``; None if the example is not in the plain form.

    Parameters
    ----------
    data : bytes
        A serialized tf.train.Example.
    bytes_names : frozenset of str
        Features with one bytes value.
    int_name : str
        The feature with one int64.
    """
    view = memoryview(data)
    found: dict[str, memoryview | int] = {}
    try:
        at, end = _nested(data, 0, len(data), (_FIELD_1,))
        while at < end:
            at, stop = _field(data, at, end, _FIELD_1)
            at, name_end = _field(data, at, stop, _FIELD_1)
            name = str(view[at:name_end], "ascii")
            if name in found:
                return None
            if name in bytes_names:
                low, high = _nested(data, name_end, stop, _BYTES)
                found[name] = view[low:high]
            elif name == int_name:
                low, high = _nested(data, name_end, stop, _INT64)
                value, low = _varint(data, low)
                if low != high or value >= 1 << 64:
                    return None
                found[name] = value - (value >> 63 << 64)
            else:
                return None
            at = stop
    except (Unusual, IndexError, UnicodeDecodeError):
        return None
    return found


def _nested(data: bytes, at: int, end: int, tags: tuple[int, ...]) -> tuple[int, int]:
    """Span of the innermost field, where each field fills its parent."""
    for tag in tags:
        at, stop = _field(data, at, end, tag)
        if stop != end:
            raise Unusual
    return at, end


def _field(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Start and stop of the content of the length-delimited field at ``at``, which must end before ``end``."""
    if data[at] != tag:
        raise Unusual
    length, at = _varint(data, at + 1)
    if at + length > end:
        raise Unusual
    return at, at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of at most ten bytes, and the offset after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Unusual


def delimited(number: int, content: bytes) -> bytes:
    """A length-delimited field of a number below 16."""
    length, size = bytearray(), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def pack_floats(data: bytes) -> bytes:
    """A serialized FloatList of these float32 bytes. Python floats would change the bits of some NaNs."""
    return delimited(1, data) if data else b""


def unpack_floats(message: bytes, n: int) -> bytes:
    """The bytes of the ``n`` float32 of a serialized FloatList, packed as protobuf writes it."""
    if not n:
        return b""
    _, at = _varint(message, 1)
    return message[at : at + 4 * n]


class Field(NamedTuple):
    """One field of a message: its number, its wire type, and the span of its content (empty for numbers)."""

    number: int
    wire: int
    low: int
    high: int


def fields(data: bytes, at: int, end: int) -> Iterator[Field]:
    """The fields of a message.

    Raises
    ------
    Unusual, IndexError
        If the bytes are not a message.
    """
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        match wire:
            case 0:
                _, at = _varint(data, at)
                yield Field(number, wire, at, at)
            case 1 | 5:
                at += 8 if wire == 1 else 4
                yield Field(number, wire, at, at)
            case 2:
                length, at = _varint(data, at)
                yield Field(number, wire, at, at + length)
                at += length
            case _:
                raise Unusual


def count_features(data: bytes) -> int:
    """Number of features of a serialized tf.train.Example, up to the first byte that is no part of one."""
    n = 0
    with suppress(Unusual, IndexError):
        for top in fields(data, 0, len(data)):
            if top.number == 1:
                for entry in fields(data, top.low, top.high):
                    n += entry.number == 1
    return n
