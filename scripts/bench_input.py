"""TFRecords for benchmarks: from real Sentinel-2 pixels where they are at hand, else from the bundled sample.

Real pixels come from the maker of benchmark data beside this repository (``../shared/tools/make_dataset.py``, with
seasons, clouds and noise of its own); without it the series of the bundled sample are repeated, each time with other
noise. Either way the same arguments give the same file, in the published form and under its published name.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np

import s2ct_convert
from s2ct_convert.source.example import Example
from s2ct_convert.source.find import find_sources
from s2ct_convert.source.read import open_source

MAKER = Path(__file__).resolve().parents[2] / "shared" / "tools" / "make_dataset.py"
_BYTES_PER_POINT = 2_020_000  # of the maker, with its usual 60 to 230 timestamps a point
_SEED = 20180102


def pixels() -> str:
    """What the pixels are, for the report."""
    return "real Sentinel-2 scenes" if MAKER.exists() else "the bundled synthetic sample"


def make_input(folder: Path, size: int) -> Path:
    """A TFRecord of about ``size`` bytes, groups of a sample next to each other; made once."""
    folder.mkdir(parents=True, exist_ok=True)
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if there:
        return there[0]
    if not MAKER.exists():
        return _from_sample(folder, size)
    points = max(1, round(size / _BYTES_PER_POINT))
    command = [sys.executable, str(MAKER), str(folder), "--points", str(points), "--seed", str(_SEED)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(path for path in folder.iterdir() if not path.name.startswith("."))


def shuffled(source: Path, folder: Path) -> Path:
    """The same records in another order, so that the groups of a sample stand apart; made once."""
    target = folder / source.name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data, places = source.read_bytes(), []
        at = 0
        while at < len(data):
            length = 16 + struct.unpack_from("<Q", data, at)[0]
            places.append(slice(at, at + length))
            at += length
        order = np.random.default_rng(_SEED).permutation(len(places))
        target.write_bytes(b"".join(data[places[i]] for i in order))
    return target


def _from_sample(folder: Path, size: int) -> Path:
    rng = np.random.default_rng(_SEED)
    examples = [one for source in find_sources(s2ct_convert.sample_sources()).sources for one in _examples(source)]
    part, written, n = folder / ".part", 0, 0
    with open(part, "wb") as file:
        while written < size or not n:
            example = examples[n % len(examples)]
            record = _record(_serialized(n, example, rng))
            file.write(record)
            written, n = written + len(record), n + 1
    return part.rename(folder / f"train_50SMG_{n}")


def _examples(source: object) -> Iterator[Example]:
    with open_source(source) as examples:  # type: ignore[arg-type]
        yield from examples


def _serialized(localid: int, example: Example, rng: np.random.Generator) -> bytes:
    noise = rng.integers(-3, 4, example.image.shape, dtype=np.int32)
    image = np.clip(example.image + noise, 0, 65535).astype("<u2")
    blobs = {
        "image_raw_ldseries": image,
        "labels": example.labels,
        "dates": example.dates,
        "weights": example.weights,
    }
    features = _tagged(1, _tagged(1, b"localid") + _tagged(2, _tagged(3, _tagged(1, _varint(localid)))))
    for name, array in blobs.items():
        features += _tagged(1, _tagged(1, name.encode()) + _tagged(2, _tagged(1, _tagged(1, array.tobytes()))))
    return _tagged(1, features)


def _tagged(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _record(payload: bytes) -> bytes:
    head = struct.pack("<Q", len(payload))
    return head + _masked(head) + payload + _masked(payload)


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)
