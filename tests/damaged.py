"""Archives of several LZMA2 blocks, made without 7-Zip, and ways to damage them."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import numpy as np
from archives.sevenzip import handmade
from makers import Group, example_bytes, random_group, record_bytes

NAME = "train_50SMG_12"
LZMA2 = b"\x21\x21\x01\x10"  # a dictionary of 1 MiB


def groups(count: int = 12, n: int = 4) -> list[Group]:
    """Examples that LZMA packs to about two thirds."""
    rng = np.random.default_rng(50)
    out = [random_group(rng, 3 * k + 1, n) for k in range(count)]
    for one in out:
        one.image = (one.image % 256 + 500).astype(np.uint16)
    return out


def packed_blocks(data: bytes, block: int) -> list[bytes]:
    """LZMA2 blocks that do not depend on each other, as 7-Zip writes them with several threads."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    parts = [data[low : low + block] for low in range(0, len(data), block)]
    return [lzma.compress(part, lzma.FORMAT_RAW, filters=filters)[:-1] for part in parts]


def archive_bytes(data: bytes, *, block: int, name: str = NAME) -> bytes:
    """An archive of one member in blocks of ``block`` unpacked bytes."""
    return handmade({name: data}, coder=LZMA2, packed=b"".join(packed_blocks(data, block)) + b"\0")


def records(parts: list[Group]) -> list[bytes]:
    """The records of a TFRecord of these examples."""
    return [record_bytes(example_bytes(one)) for one in parts]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def without_headers(archive: bytes) -> bytes:
    """An archive whose start header and end header are zeros."""
    (offset,) = struct.unpack_from("<Q", archive, 12)
    return bytes(32) + archive[32 : 32 + offset] + bytes(len(archive) - 32 - offset)


def put(folder: Path, data: bytes, name: str = f"{NAME}.7z") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name
