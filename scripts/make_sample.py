"""Makes the sample bundled in the wheel, and the expected content for the tests.

Samples are cut out of the scenes of ``sample_scene.py`` as the dataset's samples were cut out of Sentinel-2 scenes
(https://doi.org/10.5281/zenodo.10613705): 500 random points per tile, each the centre of a pixel of the 60 m grid;
42 x 42 pixels of the 10 m bands around it, whose centre 6 x 6 pixels cover the 60 m pixel; one label for these 6 x 6
pixels; series of more than 100 timestamps split into groups.

Each run makes the same TFRecord bytes and, with the same versions of py7zr and liblzma, the same archives.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import py7zr
from numpy.typing import NDArray
from py7zr.helpers import ArchiveTimestamp
from py7zr.io import BytesIOFactory
from sample_scene import MARGIN, Land, Pixels, acquisitions, observe, points, weather

ROOT = Path(__file__).resolve().parents[1]


class Series(NamedTuple):
    """A sample: its point, its range of the acquisitions of the tile, and the acquisition that occurs twice."""

    localid: int
    first: int
    n: int
    twice: int | None = None


PLAN = {
    "train_31TCJ": (Series(16, 20, 28), Series(86, 40, 20, twice=7), Series(142, 5, 24), Series(143, 30, 9)),
    "val_31TCJ": (Series(90, 10, 22), Series(216, 60, 17), Series(352, 25, 8)),
    "train_34VFN": (Series(222, 0, 104), Series(70, 44, 24), Series(20, 92, 14), Series(188, 52, 10)),
    "val_34VFN": (Series(110, 14, 17), Series(348, 122, 12)),
}
# Order of the examples in the file, if it differs from PLAN: two groups of a sample with another sample between them.
ORDER = {"train_34VFN": (0, 2, 1, 3, 4)}


class Example(NamedTuple):
    """The features of one tf.train.Example by name."""

    localid: int
    image_raw_ldseries: Pixels
    labels: NDArray[np.int8]
    dates: NDArray[np.int64]
    weights: NDArray[np.float32]

    def truth(self) -> dict[str, Any]:
        """The content that a reader must find."""
        return {
            "localid": self.localid,
            "n_timestamps": len(self.dates),
            "image_sha256": hashlib.sha256(self.image_raw_ldseries.tobytes()).hexdigest(),
            "labels": self.labels.tolist(),
            "dates": self.dates.tolist(),
            "weights": self.weights.tolist(),
        }


def examples(tile: str, series: Series) -> list[Example]:
    """The sample, split into as few groups of at most 100 timestamps as possible, of similar length."""
    top, left = (6 * int(pixel) - MARGIN for pixel in points(tile)[series.localid])
    dates = acquisitions(tile)[series.first : series.first + series.n]
    if series.twice is not None:
        dates = sorted([*dates[:-1], dates[series.twice]])
    land = Land(tile, top, left)
    rng = np.random.default_rng([land.seed, series.localid])
    images, labels = zip(*(observe(land, weather(tile, d, top, left), d, rng) for d in dates), strict=True)
    arrays = np.stack(images), np.array(labels, "i1"), np.array(dates, "<i8"), np.ones(len(dates), "<f4")
    groups = np.array_split(np.arange(len(dates)), -(-len(dates) // 100))
    return [Example(series.localid, *(array[group] for array in arrays)) for group in groups]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tagged(number: int, payload: bytes) -> bytes:
    """A length-delimited field of a protocol buffer message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def record(example: Example) -> bytes:
    """A TFRecord record: length, its masked CRC-32C, the serialized tf.train.Example, its masked CRC-32C."""
    features = b""
    for name, value in example._asdict().items():
        is_array = isinstance(value, np.ndarray)
        feature = tagged(1, tagged(1, value.tobytes())) if is_array else tagged(3, tagged(1, varint(value)))
        features += tagged(1, tagged(1, name.encode()) + tagged(2, feature))
    payload = tagged(1, features)
    length = struct.pack("<Q", len(payload))
    return length + masked_crc(length) + payload + masked_crc(payload)


def masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def build() -> tuple[dict[str, bytes], str]:
    """The TFRecord files by name, and their expected content as JSON, one line per file."""
    files, lines = {}, []
    for unit, plan in PLAN.items():
        made = [example for series in plan for example in examples(unit.split("_")[1], series)]
        made = [made[i] for i in ORDER.get(unit, range(len(made)))]
        name = f"{unit}_{len(made)}"
        files[name] = b"".join(record(example) for example in made)
        lines.append(f'"{name}":{json.dumps([example.truth() for example in made], separators=(",", ":"))}')
    return files, "{\n" + ",\n".join(lines) + "\n}\n"


def write_archive(path: Path, data: bytes) -> None:
    """Write a 7z archive of one file, named like the archive, with constant times and mode (0644)."""
    stamp = ArchiveTimestamp.from_datetime(datetime.datetime(2018, 1, 2, tzinfo=datetime.UTC).timestamp())
    with py7zr.SevenZipFile(path, "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 7}]) as archive:
        archive.writestr(data, path.stem)
        entry = archive.header.files_info.files[0]
        entry.update(dict.fromkeys(("creationtime", "lastwritetime", "lastaccesstime"), stamp))
        entry["attributes"] = 0o100644 << 16 | 0x8020  # Unix mode in the upper half; archive bit below


def read_archive(path: Path) -> dict[str, bytes]:
    """The files in an archive by ``archive/name``."""
    factory = BytesIOFactory(1 << 30)
    with py7zr.SevenZipFile(path) as archive:
        archive.extractall(factory=factory)
    return {f"{path.name}/{name}": product.read() for name, product in factory.products.items()}


def md5sums(paths: list[Path]) -> str:
    """The md5 sums of the files in the format of md5sum."""
    return "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "s2ct_convert" / "sample", metavar="FOLDER")
    parser.add_argument("--expected", type=Path, default=ROOT / "tests" / "data" / "sample_expected.json")
    parser.add_argument("--check", action="store_true", help="only compare; exit code 1 if different")
    options = parser.parse_args()
    files, expected = build()
    there = sorted(options.out.glob("*.7z"))
    if options.check:
        found = {name: data for path in there for name, data in read_archive(path).items()}
        same = found == {f"{name}.7z/{name}": data for name, data in files.items()}
        same = same and options.expected.is_file() and options.expected.read_text() == expected
        same = same and (options.out / "md5sums.txt").read_text() == md5sums(there)
        print("the sample matches this script" if same else "the sample differs from this script")
        return 0 if same else 1
    for path in there:
        path.unlink()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_archive(options.out / f"{name}.7z", data)
    (options.out / "md5sums.txt").write_text(md5sums(sorted(options.out.glob("*.7z"))))
    options.expected.write_text(expected)
    return 0


if __name__ == "__main__":
    sys.exit(main())
