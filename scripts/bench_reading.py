"""Benchmark of reading examples with both CRCs, against TensorFlow's tf.data with the authors' parser.

Both sides run in a fresh process, read the file once to warm up, then time only the loop ``PASSES`` times. The process
is fresh because malloc may or may not return pages to the system, depending on earlier frees, which can change the
speed of a reader by a factor of two. ``bench_reading.py TFRECORD`` runs the side of s2ct and prints its seconds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from typing import Any

from bench_report import Row, in_turn

import s2ct_convert

TENSORFLOW_VENV = Path(__file__).resolve().parents[1] / ".venv-tensorflow"
PASSES = 3  # per process; their median is one run
_NAME, _PEER, _TARGET = "read examples, both CRCs", "tf.data, authors' parser", (">=", 2.0)


def find_tensorflow(given: Path | None) -> Path | None:
    """A Python with TensorFlow: the given one, or the one of :func:`make_tensorflow_venv` if it exists."""
    own = TENSORFLOW_VENV / "bin" / "python"
    return given or (own if own.exists() else None)


def make_tensorflow_venv() -> None:
    """Make a separate environment with TensorFlow, a download of about 600 MB."""
    venv.create(TENSORFLOW_VENV, with_pip=True, clear=True)
    run(
        [TENSORFLOW_VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "tensorflow-cpu>=2.16", "zarr>=3.1.6"],
        check=True,
    )


def parse(source: Path, repeat: int, tensorflow: Path | None) -> Iterator[Row]:
    """Rows of this benchmark. The target applies to the faster mode of tf.data."""
    if tensorflow is None:
        yield Row(_NAME, _PEER, None, _TARGET, "not measured: no TensorFlow here, see --tensorflow")
        return
    scripts = Path(__file__).parent
    theirs = [str(tensorflow), str(scripts / "bench_tensorflow.py"), str(source)]
    found = _json([*theirs, "version"])["version"]
    runs = in_turn(
        repeat,
        ours=lambda: _json([sys.executable, str(scripts / "bench_reading.py"), str(source)])["seconds"],
        plain=lambda: _json([*theirs, "plain"])["seconds"],
        parallel=lambda: _json([*theirs, "parallel"])["seconds"],
    )
    median = {name: statistics.median(seconds) for name, seconds in runs.items()}
    megabytes = source.stat().st_size / 1e6
    faster = min(("plain", "parallel"), key=lambda how: median[how])
    for how, words in (("plain", "one map after another"), ("parallel", "AUTOTUNE and prefetch")):
        speeds = f"{megabytes / median['ours']:.0f} against {megabytes / median[how]:.0f} MB/s"
        peer = f"{_PEER}, {words} ({found})"
        ratio = median[how] / median["ours"]
        yield Row(
            _NAME, peer, ratio, _TARGET if how == faster else None, speeds,
            {"ours s": runs["ours"], f"{how} s": runs[how]},
        )  # fmt: skip


def _json(command: list[str]) -> dict[str, Any]:
    out = run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def seconds(source: Path) -> float:
    """Seconds of one pass over a TFRecord, with every field of every example as an array."""
    began, n = time.perf_counter(), 0
    for example in s2ct_convert.read_examples(source):
        n += len(example["dates"])
    assert n
    return time.perf_counter() - began


if __name__ == "__main__":
    tfrecord = Path(sys.argv[1])
    seconds(tfrecord)
    print(json.dumps({"seconds": statistics.median(seconds(tfrecord) for _ in range(PASSES))}))
