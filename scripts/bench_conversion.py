"""Benchmarks of whole conversions: to Zarr against the codec alone, to HDF5 against plain h5py, and peak memory.

Each conversion is a separate process (bench_child.py). It reads a source that is warm in the page cache and writes to
the disk of the work folder with fsync, as for users.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import run
from typing import Any

import bench_h5py_script
import bench_input
import google_crc32c
import numpy as np
from bench_report import CORES, Row, in_turn

import s2ct_convert
from s2ct_convert.store.codecs import find_codec
from s2ct_convert.store.layout import CHUNK_OBS, OBS_BYTES, OBS_SHAPE

CHUNK_BYTES = CHUNK_OBS * OBS_BYTES

MEMORY_LIMIT_MB = 400
CODEC_SAMPLE_BYTES = 256 << 20  # size of the chunks on which the codec is timed; eight times a large L3 cache
_CHILD = Path(__file__).with_name("bench_child.py")
_H5PY_SCRIPT = Path(__file__).with_name("bench_h5py_script.py")

Images = np.ndarray[Any, np.dtype[np.uint16]]


@dataclass(frozen=True)
class Bench:
    """Work folder, size of the source in bytes, and number of runs."""

    work: Path
    size: int
    repeat: int

    def source(self, part: int = 1) -> Path:
        """A TFRecord of ``size // part`` bytes, with the groups of a sample next to each other."""
        return bench_input.make_input(self.work / f"input-{part}", self.size // part)


@dataclass(frozen=True)
class Conversion:
    """Cost of one ``s2ct convert``: seconds of the process, of convert() alone, peak memory in bytes, CPU seconds.

    The CPU time is that of one process and of programs that it runs, so it is right for one unit only.
    """

    process: float
    inside: float
    peak_bytes: int
    cpu: float


def convert(
    bench: Bench, source: Path, suffix: str, *, cores: int = CORES, pinned: bool = True, options: Sequence[str] = ()
) -> Conversion:
    """Convert with ``-j cores`` in a process pinned to that many cores, then delete the store."""
    store = bench.work / f"out.{suffix}"
    _clear(store)
    warm(source)
    given = ["-q", "--json", "-j", str(cores), *options]
    command = [sys.executable, "-m", "s2ct_convert", "convert", *given, str(source), str(store)]
    pin = cores if pinned and cores != CORES else 0
    done = run([sys.executable, "-I", str(_CHILD), str(pin), *command], check=True, capture_output=True, text=True)
    _clear(store)
    usage = json.loads(done.stdout)
    return Conversion(usage["seconds"], json.loads(usage["stdout"])["seconds"], usage["peak_bytes"], usage["cpu"])


def warm(source: Path) -> None:
    """Bring a file, or all files in a folder, into the page cache."""
    for path in source.iterdir() if source.is_dir() else (source,):
        with open(path, "rb", buffering=0) as file:
            while file.read(1 << 22):
                pass


def _clear(store: Path) -> None:
    for path in (store, store.with_name(f"{store.name}.s2ct")):
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)


def images(source: Path) -> Images:
    """All images of a source in order."""
    return np.concatenate([example["imgs"] for example in s2ct_convert.read_examples(source)])


def chunks(source: Path, limit: int) -> list[Images]:
    """Chunks like those of the store, the last one padded, spread evenly over the source, at most ``limit`` bytes."""
    pixels = images(source)
    n = -(-len(pixels) // CHUNK_OBS)
    some = np.unique(np.linspace(0, n - 1, max(1, min(n, limit // CHUNK_BYTES))).round().astype(int))
    out = []
    for k in some.tolist():
        chunk = np.zeros((CHUNK_OBS, *OBS_SHAPE), "<u2")
        part = pixels[k * CHUNK_OBS : (k + 1) * CHUNK_OBS]
        chunk[: len(part)] = part
        out.append(chunk)
    return out


def zarr_codec() -> Callable[[Images], bytes]:
    """The function that the writer calls for each chunk with the default codec."""
    return find_codec("zarr", None).encode


def rate(work: Callable[[Images], Any], some: list[Images], threads: int) -> float:
    """MB/s of pixels of ``work`` on chunks in ``threads`` threads; a single thread is pinned to one core."""
    with ThreadPoolExecutor(threads, initializer=_pin if threads == 1 else None) as pool:
        began = time.perf_counter()
        list(pool.map(work, some))
        return len(some) * CHUNK_BYTES / 1e6 / (time.perf_counter() - began)


def _pin() -> None:
    """Pin the calling thread to one core; on Linux the affinity is per thread."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])


def to_zarr(bench: Bench) -> Iterator[Row]:
    """TFRecord to Zarr against the codec alone on the same chunks, on all cores and on one, with two upper bounds."""
    source = bench.source()
    some, encode = chunks(source, CODEC_SAMPLE_BYTES), zarr_codec()
    megabytes = len(images(source)) * OBS_BYTES / 1e6
    inside: dict[int, list[float]] = {CORES: [], 1: []}

    def convert_on(cores: int) -> float:
        took = convert(bench, source, "zarr", cores=cores)
        inside[cores].append(megabytes / took.inside)
        return megabytes / took.process

    def checked(chunk: Images) -> None:
        encode(chunk)
        hashlib.sha256(chunk.data).digest()  # the content digest
        for _ in range(2):  # CRC-32C of the record, and of each observation
            google_crc32c.value(chunk.data.tobytes())

    rate(encode, some, CORES)  # warm
    runs = in_turn(
        bench.repeat,
        codec=lambda: rate(encode, some, 1),
        process=lambda: convert_on(CORES),
        process_1=lambda: convert_on(1),
        codec_all=lambda: rate(encode, some, CORES),
        checked_all=lambda: rate(checked, some, CORES),
    )
    runs |= {"inside": inside[CORES][: bench.repeat], "inside_1": inside[1]}
    codec = statistics.median(runs["codec"])
    for name, label, cores in (
        ("inside", "TFRecord to Zarr", CORES),
        ("process", "... with the start of the process", CORES),
        ("inside_1", "TFRecord to Zarr, -j 1, pinned to one core", 1),
        ("process_1", "... with the start of the process", 1),
        ("codec_all", "bound: the codec alone, all cores", CORES),
        ("checked_all", "bound: codec, sha256 and two CRC-32C, no I/O", CORES),
    ):
        median = statistics.median(runs[name])
        yield Row(
            label,
            f"{cores} x codec in one thread ({codec:.0f} MB/s)",
            median / cores / codec,
            (">=", 0.8) if name == "inside" else None,
            f"{median:.0f} MB/s of pixels",
            {f"{name} MB/s": runs[name], "codec MB/s": runs["codec"]},
        )


def to_hdf5(bench: Bench) -> Iterator[Row]:
    """TFRecord to HDF5 against the filters of h5py: a script that does the same, and pixels already in memory."""
    source = bench.source()
    pixels = images(source)
    script, level_1, level_4 = "h5py, gzip 1, whole process", "h5py writing pixels in memory, gzip 1", "... gzip 4"
    runs = in_turn(
        bench.repeat,
        ours=lambda: convert(bench, source, "h5").process,
        **{
            script: lambda: _h5py_script(bench, source),
            level_1: lambda: _plain_h5py(bench.work / "plain.h5", pixels, 1),
            level_4: lambda: _plain_h5py(bench.work / "plain.h5", pixels, 4),
        },
    )
    ours = statistics.median(runs["ours"])
    for peer in (script, level_1, level_4):
        theirs = statistics.median(runs[peer])
        yield Row(
            "TFRecord to HDF5 (gzip), whole process",
            peer,
            theirs / ours,
            (">=", 4) if peer != level_4 else None,
            detail=f"times as fast: {ours:.1f} s against {theirs:.1f} s",
            runs={"ours s": runs["ours"], f"{peer} s": runs[peer]},
        )


def _h5py_script(bench: Bench, source: Path) -> float:
    path = bench.work / "plain.h5"
    warm(source)
    began = time.perf_counter()
    run([sys.executable, str(_H5PY_SCRIPT), str(source), str(path)], check=True)
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def _plain_h5py(path: Path, pixels: Images, level: int) -> float:
    began = time.perf_counter()
    bench_h5py_script.write(path, pixels, level)
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def memory(bench: Bench) -> Iterator[Row]:
    """Peak memory of the converting process, and its growth from a quarter of the source to the whole.

    The conversion uses all cores: a single unit runs in the main process, and more threads need more memory. The
    highest peak of all runs counts.
    """
    for suffix in ("zarr", "h5"):
        for order in ("groups together", "shuffled"):
            sources = {f"{4 // part}x": _ordered(bench, part, order) for part in (4, 2, 1)}
            measures = {name: partial(_peak_mb, bench, source, suffix) for name, source in sources.items()}
            runs = in_turn(bench.repeat, **measures)
            peaks = {name: statistics.median(values) for name, values in runs.items()}
            detail = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items()) + " MB"
            kept = {f"{name} MB": values for name, values in runs.items()}
            name, worst = f"peak memory to {suffix}, {order}", max(map(max, runs.values()))
            yield Row(name, f"{MEMORY_LIMIT_MB} MB", worst / MEMORY_LIMIT_MB, ("<", 1), detail, kept)
            yield Row("... as the source grows 4 times", "1x", peaks["4x"] / peaks["1x"], runs=kept)


def _ordered(bench: Bench, part: int, order: str) -> Path:
    source = bench.source(part)
    return bench_input.shuffled(source, bench.work / f"shuffled-{part}") if order == "shuffled" else source


def _peak_mb(bench: Bench, source: Path, suffix: str) -> float:
    return convert(bench, source, suffix).peak_bytes / 1e6
