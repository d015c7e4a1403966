"""A user script with plain h5py: reads a TFRecord with ``read_examples`` and writes its pixels with HDF5's filters.

It uses the default chunks and filters of ``s2ct convert``. It does not sort, resume or compute checksums, and it holds
all pixels in memory.

usage: bench_h5py_script.py TFRECORD FILE
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import s2ct_convert

CHUNK, SHAPE = 32, (4, 42, 42)

Array = np.ndarray[Any, np.dtype[Any]]


def write(path: Path, pixels: Array, level: int, **columns: Array) -> None:
    """Write and sync a new file."""
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "image", data=pixels, chunks=(min(CHUNK, len(pixels)), *SHAPE), shuffle=True, fletcher32=True,
            compression="gzip", compression_opts=level,
        )  # fmt: skip
        for name, values in columns.items():
            file[name] = values
    with open(path, "rb") as file:
        os.fsync(file.fileno())  # s2ct does this too


def main() -> None:
    source, path = sys.argv[1:]
    examples = list(s2ct_convert.read_examples(source))
    columns: dict[str, Array] = {
        name: np.concatenate([example[name] for example in examples]) for name in ("labels", "dates", "weights")
    }
    columns["localid"] = np.concatenate([np.full(len(e["dates"]), e["localid"]) for e in examples])
    write(Path(path), np.concatenate([example["imgs"] for example in examples]), 1, **columns)


if __name__ == "__main__":
    main()
