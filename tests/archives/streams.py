"""Streams that return as little as the contract allows, and a handmade encoder of tf.train.Example."""

from __future__ import annotations


class Trickle:
    """Returns at most ``piece`` bytes a read, and records the largest request."""

    def __init__(self, data: bytes, piece: int = 1 << 30) -> None:
        self._data, self._at, self._piece = data, 0, piece
        self.most_asked = 0

    def read(self, n: int, /) -> bytes:
        assert n >= 0
        self.most_asked = max(self.most_asked, n)
        out = self._data[self._at : self._at + min(n, self._piece)]
        self._at += len(out)
        return out


def drain(stream, n: int = 1 << 20) -> bytes:
    """Read a stream to its end, ``n`` bytes a read. No read may return more."""
    pieces = []
    while piece := stream.read(n):
        assert len(piece) <= n
        pieces.append(piece)
    return b"".join(pieces)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def bytes_list(*values: bytes) -> bytes:
    """A bytes_list Feature."""
    return field(1, b"".join(field(1, value) for value in values))


def int64_list(*values: int, packed: bool = True) -> bytes:
    """An int64_list Feature, in either encoding that parsers must accept."""
    numbers = [varint(value & (2**64 - 1)) for value in values]
    return field(3, field(1, b"".join(numbers)) if packed else b"".join(b"\x08" + number for number in numbers))


def example(*features: tuple[str, bytes]) -> bytes:
    """A tf.train.Example. Unlike in a dict, a key may repeat."""
    entries = (field(1, field(1, name.encode()) + field(2, feature)) for name, feature in features)
    return field(1, b"".join(entries))
