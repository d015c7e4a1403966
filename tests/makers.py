"""Makes valid and invalid sources for tests: examples, TFRecords, archives. Shares no code with the package."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c
import numpy as np
import py7zr

FIRST_DAY = datetime.date(2018, 1, 2).toordinal()


@dataclass
class Group:
    """The features of one example. Arrays are written unchecked; None leaves a feature out."""

    localid: int | None
    image: np.ndarray | None
    labels: np.ndarray | None
    dates: np.ndarray | None
    weights: np.ndarray | None = field(default=None)


def random_group(
    rng: np.random.Generator, localid: int, n: int, *, first_day: int = FIRST_DAY, label_pixels: int = 1
) -> Group:
    """A valid example of ``n`` timestamps, five days apart."""
    return Group(
        localid,
        rng.integers(0, 4000, (n, 4, 42, 42), dtype=np.uint16),
        rng.integers(0, 6, n * label_pixels, dtype=np.int8),
        first_day + 5 * np.arange(n, dtype=np.int64),
        rng.random(n, dtype=np.float32),
    )


FEATURES = ("localid", "image_raw_ldseries", "labels", "dates", "weights")


def example_bytes(group: Group, names: Sequence[str] = FEATURES) -> bytes:
    """The group as a serialized tf.train.Example; ``names`` are the names of its features."""
    features = b""
    if group.localid is not None:
        features += _feature(names[0], _tagged(3, _tagged(1, _varint(group.localid & (2**64 - 1)))))
    for name, array, dtype in (
        (names[1], group.image, "<u2"),
        (names[2], group.labels, "i1"),
        (names[3], group.dates, "<i8"),
        (names[4], group.weights, "<f4"),
    ):
        if array is not None:
            features += _feature(name, _tagged(1, _tagged(1, np.asarray(array, dtype).tobytes())))
    return _tagged(1, features)


def feature_bytes(name: str | bytes, feature: bytes) -> bytes:
    """Bytes that add a feature to a serialized tf.train.Example; ``feature`` is a serialized Feature."""
    return _tagged(1, _feature(name, feature))


def _feature(name: str | bytes, feature: bytes) -> bytes:
    return _tagged(1, _tagged(1, name if isinstance(name, bytes) else name.encode()) + _tagged(2, feature))


def _tagged(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def masked_crc(data: bytes) -> bytes:
    """The masked CRC-32C as TFRecord stores it."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def record_bytes(payload: bytes) -> bytes:
    """One TFRecord record."""
    head = struct.pack("<Q", len(payload))
    return head + masked_crc(head) + payload + masked_crc(payload)


def tfrecord_bytes(groups: Sequence[Group]) -> bytes:
    """A whole TFRecord file."""
    return b"".join(record_bytes(example_bytes(group)) for group in groups)


def write_tfrecord(folder: Path, groups: Sequence[Group], *, unit: str = "train_50SMG", n: int | None = None) -> Path:
    """Write a TFRecord under its published name; ``n`` replaces the number of groups in the name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{unit}_{len(groups) if n is None else n}"
    path.write_bytes(tfrecord_bytes(groups))
    return path


def write_archive(path: Path, files: dict[str, bytes], **options: object) -> Path:
    """Write a 7z archive with py7zr; ``options`` such as ``filters`` and ``password`` are passed on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with py7zr.SevenZipFile(path, "w", **options) as archive:  # type: ignore[arg-type]
        for name, data in files.items():
            archive.writestr(data, name)
    return path


def flip(path: Path, offset: int, *, to: Path | None = None, bit: int = 0) -> Path:
    """Flip one bit of a file, or of a copy ``to``; a negative offset counts from the end."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    target = to or path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target
