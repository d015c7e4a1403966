"""Makes the stores in tests/data that pin the layout: once for each layout version, with the program that has it.

usage: python tests/reading/layout_fixture.py   (from the root of the repository; PYTHONPATH=tests)
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from makers import Group, write_tfrecord

import s2ct_convert
from s2ct_convert.store.layout import LAYOUT_VERSION

DATA = Path(__file__).resolve().parents[1] / "data"
SAMPLES = {"train/50SMG": ((3, 40), (9, 5)), "val/50SMG": ((4, 2),)}
FIRST_ORDINAL = 736_700  # 2018-01-10


def image(localid: int, n: int) -> np.ndarray:
    """Every pixel of an image the same, so that the store is small."""
    values = 1000 * np.arange(4)[None, :] + 10 * np.arange(n)[:, None] + localid
    return np.broadcast_to(values[:, :, None, None], (n, 4, 42, 42)).astype(np.uint16)


def label(n: int) -> np.ndarray:
    return (np.arange(n) % 6).astype(np.int8)


def ordinals(n: int) -> np.ndarray:
    return FIRST_ORDINAL + 5 * np.arange(n, dtype=np.int64)


def weight(n: int) -> np.ndarray:
    return (np.arange(n) / 8).astype(np.float32)


def main() -> None:
    os.environ["SOURCE_DATE_EPOCH"] = "1764000000"
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for unit, samples in SAMPLES.items():
            groups = [Group(localid, image(localid, n), label(n), ordinals(n), weight(n)) for localid, n in samples]
            sources.append(write_tfrecord(Path(folder) / "s", groups, unit=unit.replace("/", "_")))
        name = f"layout_{LAYOUT_VERSION}"
        for suffix in ("zarr", "h5"):
            s2ct_convert.convert(sources, Path(folder) / f"{name}.{suffix}")
        shutil.make_archive(str(DATA / f"{name}.zarr"), "zip", Path(folder), f"{name}.zarr")
        shutil.copy(Path(folder) / f"{name}.h5", DATA)


if __name__ == "__main__":
    main()
