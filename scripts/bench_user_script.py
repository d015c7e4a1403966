"""A user script without s2ct: TensorFlow reads a TFRecord, zarr-python writes it. Runs in TensorFlow's environment.

It uses the default chunks, shards and codec of ``s2ct convert`` and writes whole shards, which is faster. It does not
check, sort, resume or sync.

usage: bench_user_script.py TFRECORD STORE
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import zarr
from bench_tensorflow import examples
from zarr.codecs import BloscCodec

CHUNK, SHARD, SHAPE = 32, 4096, (4, 42, 42)


def main() -> None:
    path, store = sys.argv[1:]
    group = zarr.create_group(store, overwrite=True)
    codec = BloscCodec(typesize=2, cname="zstd", clevel=2, shuffle="shuffle", blocksize=CHUNK * 4 * 42 * 42 * 2)
    image = group.create_array(
        "image", shape=(0, *SHAPE), dtype="<u2", chunks=(CHUNK, *SHAPE), shards=(SHARD, *SHAPE), compressors=codec
    )
    waiting: list[Any] = []
    columns: dict[str, list[Any]] = {"localid": [], "labels": [], "dates": [], "weights": []}
    written = 0

    def write(rows: Any) -> None:
        nonlocal written
        image.resize((written + len(rows), *SHAPE))
        image[written : written + len(rows)] = rows
        written += len(rows)

    n = 0
    for example in examples(path, "parallel").as_numpy_iterator():
        waiting.append(example["imgs"])
        n += len(example["imgs"])
        columns["localid"].append(np.full(len(example["imgs"]), example["localid"]))
        for name in ("labels", "dates", "weights"):
            columns[name].append(example[name])
        if n >= SHARD:
            rows = np.concatenate(waiting)
            write(rows[:SHARD])
            waiting = [rows[SHARD:]]
            n = len(waiting[0])
    if n:
        write(np.concatenate(waiting))
    for name, parts in columns.items():
        group.create_array(name, data=np.concatenate(parts))
    print(written)


if __name__ == "__main__":
    main()
