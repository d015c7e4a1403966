"""Measures how the conversion of several sources scales with cores: N sources on N cores against one on one core.

All sources have the same content under the names of different tiles, so each core gets the same work. The work folder
should be in memory (``--work /dev/shm``): otherwise the disk is measured. Archives have one block, so that 7-Zip
uses one core for each.

usage: python scripts/bench_cores.py [--size 60MB] [--cores 1,2,4,8,16] [--repeat 3] [--json FILE] [--work DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import rmtree
from subprocess import DEVNULL, run

import bench_input
from bench_archives import PROGRAM
from bench_conversion import warm
from bench_report import CORES, Row, in_turn, machine, print_report, write_json

TARGET = 0.8  # of N times the speed of one core, at 16 cores


def scaling(work: Path, size: int, cores: list[int], repeat: int) -> Iterator[Row]:
    """The efficiency of each number of cores, for TFRecords and for archives."""
    source = bench_input.make_input(work / "input", size)
    for kind, paths in _sources(source, work, max(cores)).items():
        runs = in_turn(repeat, **{str(n): partial(_convert, paths[:n], work / "out.zarr") for n in cores})
        median = {n: statistics.median(runs[str(n)]) for n in cores}
        for n in cores[1:]:
            detail = f"{median[n]:.2f} against {median[cores[0]]:.2f} s"
            target = (">=", TARGET) if n == 16 else None
            kept = {f"{one} cores s": runs[str(one)] for one in (cores[0], n)}
            yield Row(f"{n} {kind} on {n} cores", "1 on 1 core", median[cores[0]] / median[n], target, detail, kept)


def _sources(source: Path, folder: Path, n: int) -> dict[str, list[Path]]:
    """A TFRecord under the names of ``n`` tiles, and an archive of each."""
    tfrecords = [folder / source.name.replace("50SMG", f"{10 + i}SMG") for i in range(n)]
    for path in tfrecords:
        os.link(source, path)
    if PROGRAM is None:
        return {"TFRecords": tfrecords}
    with ThreadPoolExecutor(CORES) as pool:
        return {"TFRecords": tfrecords, "archives": list(pool.map(_packed, tfrecords))}


def _packed(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.7z")
    run([str(PROGRAM), "a", "-mx=5", "-mmt=1", str(packed), str(path)], check=True, stdout=DEVNULL)
    return packed


def _convert(sources: Sequence[Path], store: Path) -> float:
    """Seconds of the whole process, pinned to one core for each source."""
    for path in sources:
        warm(path)
    n = len(sources)
    mine = sorted(os.sched_getaffinity(0))
    began = time.perf_counter()
    os.sched_setaffinity(0, mine[:n])
    try:
        command = [sys.executable, "-m", "s2ct_convert", "convert", "-q", "-j", str(n), *map(str, sources), str(store)]
        run(command, check=True, stdout=DEVNULL)
    finally:
        os.sched_setaffinity(0, mine)
    seconds = time.perf_counter() - began
    for path in (store, store.with_name(f"{store.name}.s2ct")):
        rmtree(path)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=bench_input.parse_size, default=60_000_000)
    parser.add_argument("--cores", default="1,2,4,8,16")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    cores = [n for n in map(int, given.cores.split(",")) if n <= CORES]
    with tempfile.TemporaryDirectory(dir=given.work, prefix="s2ct-bench-") as work:
        rows = list(scaling(Path(work), given.size, cores, given.repeat))
    facts = {**machine(), "source_bytes": given.size, "repeat": given.repeat}
    print_report(facts, rows)
    if given.json:
        write_json(given.json, facts, rows)


if __name__ == "__main__":
    main()
