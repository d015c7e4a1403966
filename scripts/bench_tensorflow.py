"""Time of TensorFlow's ``tf.data`` doing the parsing of the dataset's authors.

Run by bench.py in an environment of TensorFlow's own. Prints one JSON object: seconds of reading every example of a
TFRecord as numpy, one map call after another and with as many as TensorFlow likes. Imports and the first, warming pass
are not timed.

usage: bench_tensorflow.py TFRECORD REPEATS
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf

FEATURES = {
    "localid": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
    "image_raw_ldseries": tf.io.FixedLenFeature([], tf.string, default_value=""),
    "labels": tf.io.FixedLenFeature([], tf.string, default_value=""),
    "dates": tf.io.FixedLenFeature([], tf.string, default_value=""),
    "weights": tf.io.FixedLenFeature([], tf.string, default_value=""),
}


def parse(serialized: Any) -> dict[str, Any]:
    """The features as the authors' parser decodes them."""
    one = tf.io.parse_single_example(serialized, FEATURES)
    return {
        "localid": one["localid"],
        "imgs": tf.reshape(tf.io.decode_raw(one["image_raw_ldseries"], tf.uint16), (-1, 4, 42, 42)),
        "labels": tf.io.decode_raw(one["labels"], tf.int8),
        "dates": tf.io.decode_raw(one["dates"], tf.int64),
        "weights": tf.io.decode_raw(one["weights"], tf.float32),
    }


def seconds(path: str, parallel: bool) -> float:
    """Time of one pass over the file."""
    data = tf.data.TFRecordDataset(path)
    data = (
        data.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE) if parallel else data.map(parse)
    )
    began, n = time.perf_counter(), 0
    for example in data.as_numpy_iterator():
        n += len(example["dates"])
    assert n
    return time.perf_counter() - began


def main() -> None:
    path, repeats = sys.argv[1], int(sys.argv[2])
    out: dict[str, Any] = {"version": tf.__version__}
    for name, parallel in (("plain", False), ("parallel", True)):
        seconds(path, parallel)
        out[name] = [seconds(path, parallel) for _ in range(repeats)]
    print(json.dumps(out))


if __name__ == "__main__":
    main()
