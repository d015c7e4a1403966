"""Makes the stores in tests/data that pin the layout. Run it once per layout version, with the s2ct that writes it.

usage: python tests/reading/layout_fixture.py   (from the root of the repository; PYTHONPATH=tests)
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from makers import Group, example_bytes, record_bytes

import s2ct_convert
from s2ct_convert.store.layout import LAYOUT_VERSION

DATA = Path(__file__).resolve().parents[1] / "data"
SAMPLES = {"train/50SMG": ((3, 40), (9, 5)), "val/50SMG": ((4, 2),)}
TEXT = "as published"  # an unknown feature of the first example of each unit, since layout 2
FIRST_ORDINAL = 736_700  # 2018-01-10


def image(localid: int, n: int) -> np.ndarray:
    """Images whose pixels are all equal, so that the store is small."""
    values = 1000 * np.arange(4)[None, :] + 10 * np.arange(n)[:, None] + localid
    return np.broadcast_to(values[:, :, None, None], (n, 4, 42, 42)).astype(np.uint16)


def label(n: int) -> np.ndarray:
    return (np.arange(n) % 6).astype(np.int8)


def ordinals(n: int) -> np.ndarray:
    return FIRST_ORDINAL + 5 * np.arange(n, dtype=np.int64)


def weight(n: int) -> np.ndarray:
    return (np.arange(n) / 8).astype(np.float32)


def payload(group: Group, number: int) -> bytes:
    """An example. The first of a unit has an extra feature; the second has no date for its first image."""
    dates = group.dates.copy()
    if number == 1:
        dates[0] = 0
    plain = example_bytes(Group(group.localid, group.image, group.labels, dates, group.weights))
    if number:
        return plain
    feature = b"\x0a\x04text\x12" + bytes([len(TEXT) + 4]) + b"\x0a" + bytes([len(TEXT) + 2])
    entry = feature + b"\x0a" + bytes([len(TEXT)]) + TEXT.encode()
    return plain + b"\x0a" + bytes([len(entry) + 2]) + b"\x0a" + bytes([len(entry)]) + entry


def main() -> None:
    os.environ["SOURCE_DATE_EPOCH"] = "1764000000"
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for unit, samples in SAMPLES.items():
            groups = [Group(localid, image(localid, n), label(n), ordinals(n), weight(n)) for localid, n in samples]
            source = Path(folder) / f"{unit.replace('/', '_')}_{len(groups)}"
            source.write_bytes(b"".join(record_bytes(payload(group, i)) for i, group in enumerate(groups)))
            sources.append(source)
        name = f"layout_{LAYOUT_VERSION}"
        for suffix in ("zarr", "h5"):
            s2ct_convert.convert(sources, Path(folder) / f"{name}.{suffix}")
        shutil.make_archive(str(DATA / f"{name}.zarr"), "zip", Path(folder), f"{name}.zarr")
        shutil.copy(Path(folder) / f"{name}.h5", DATA)


if __name__ == "__main__":
    main()
