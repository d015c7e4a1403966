"""Reads TFRecords and their features without the package, protobuf or TensorFlow, to compare two files.

It supports only what the tests write: wire types 0, 1, 2 and 5 of protobuf.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Feature = tuple[str, Any] | None  # kind and values; None for a feature without a kind
Features = dict[str, Feature]


def payloads(data: bytes | Path) -> list[bytes]:
    """The payloads of a TFRecord file; checks both checksums of each record."""
    from makers import record_bytes

    data = data.read_bytes() if isinstance(data, Path) else data
    out, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        out.append(data[at + 12 : at + 12 + size])
        assert data[at : at + 16 + size] == record_bytes(out[-1]), f"the record at {at} has a wrong checksum"
        at += 16 + size
    return out


def features(payload: bytes) -> Features | bytes:
    """Features of a tf.train.Example by name, or the payload itself if it is not an Example."""
    try:
        return {name: _feature(value) for name, value in _entries(payload)}
    except (ValueError, IndexError, KeyError, struct.error):
        return payload


def all_features(path: Path) -> list[Features | bytes]:
    """Features of every record of a TFRecord file."""
    return [features(payload) for payload in payloads(path)]


def _entries(payload: bytes) -> Iterator[tuple[str, bytes]]:
    for number, inner in _fields(payload):
        if number != 1:
            continue
        for inner_number, entry in _fields(inner):
            if inner_number == 1:
                parts = dict(_fields(entry))
                yield parts.get(1, b"").decode(errors="surrogateescape"), parts.get(2, b"")


def _feature(data: bytes) -> Feature:
    """Parse a Feature. The last of several kinds counts; lists of one kind are joined."""
    last: int | None = None
    joined = b""
    for number, value in _fields(data):
        if number in (1, 2, 3):
            joined = joined + value if number == last else value
            last = number
    if last is None:
        return None
    values = [value for number, value in _fields(joined) if number == 1]
    if last == 1:
        return "bytes", values
    if last == 2:
        return "floats", b"".join(values)  # as bytes, since NaN values may differ
    return "ints", [n for value in values for n in ([value] if isinstance(value, int) else _varints(value))]


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value % (1 << 64), at
    raise ValueError("a varint of more than ten bytes")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if not tag >> 3 or kind not in (0, 1, 2, 5):
            raise ValueError("not a field of a message")
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:
            size, at = _varint(data, at)
        if at + size > len(data):
            raise ValueError("a field that is cut")
        yield tag >> 3, data[at : at + size]
        at += size
