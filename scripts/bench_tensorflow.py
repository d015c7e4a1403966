"""Times TensorFlow's ``tf.data`` with the parser of the dataset's authors (https://doi.org/10.5281/zenodo.10613705).

bench_reading.py runs this script in an environment with TensorFlow; it prints one JSON object. Imports, the building of
the graph and a first warm-up pass are not timed; the seconds are the median of ``PASSES``. ``plain`` maps one record
after another, ``parallel`` lets TensorFlow choose parallelism and prefetch.

``select`` keeps the samples with these localids, for bench_readers.py.

usage: bench_tensorflow.py TFRECORD plain|parallel|version
       bench_tensorflow.py TFRECORD select LOCALID,LOCALID...
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf

PASSES = 3  # the same as in bench_reading.py
FEATURES = {
    "localid": tf.io.FixedLenFeature([], tf.int64, -1),
    "image_raw_ldseries": tf.io.FixedLenFeature((), tf.string, ""),
    "labels": tf.io.FixedLenFeature((), tf.string, ""),
    "dates": tf.io.FixedLenFeature((), tf.string, ""),
    "weights": tf.io.FixedLenFeature((), tf.string, ""),
}


def parse(record: Any) -> dict[str, Any]:
    """Decode a record like the authors' ``preprocessDirect``."""
    parsed = tf.io.parse_single_example(record, FEATURES)
    return {
        "dates": tf.io.decode_raw(parsed["dates"], tf.int64),
        "localid": parsed["localid"],
        "imgs": tf.reshape(tf.io.decode_raw(parsed["image_raw_ldseries"], tf.uint16), [-1, 4, 42, 42]),
        "labels": tf.io.decode_raw(parsed["labels"], tf.int8),
        "weights": tf.io.decode_raw(parsed["weights"], tf.float32),
    }


def examples(path: str, how: str) -> Any:
    """The tf.data dataset of one mode."""
    records = tf.data.TFRecordDataset(path)
    if how == "plain":
        return records.map(parse)
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def seconds(data: Any) -> float:
    """Seconds of one pass with numpy arrays."""
    began, n = time.perf_counter(), 0
    for example in data.as_numpy_iterator():
        n += len(example["dates"])
    assert n
    return time.perf_counter() - began


def main() -> None:
    path, how, *localids = sys.argv[1:]
    out: dict[str, Any] = {"version": tf.__version__}
    if how != "version":
        data = examples(path, how)
        if how == "select":
            wanted = tf.constant([int(one) for one in localids[0].split(",")], tf.int64)
            data = data.filter(lambda example: tf.reduce_any(wanted == example["localid"]))
        seconds(data)
        out["seconds"] = statistics.median(seconds(data) for _ in range(PASSES))
    print(json.dumps(out))


if __name__ == "__main__":
    main()
