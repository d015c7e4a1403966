"""Measures verification as multiples of the conversion of the same archives, in one run.

The archives are small and many, as tiles and splits of a record are. The work folder should be in memory
(``--work /dev/shm``): otherwise the disk is measured.

usage: python scripts/bench_verify.py [--archives 72] [--size 7.3MB] [--repeat 3] [--json FILE] [--work DIR]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import rmtree
from subprocess import DEVNULL, run
from time import perf_counter

import bench_input
from bench_archives import PROGRAM
from bench_report import CORES, Row, in_turn, machine, print_report, write_json

TARGET = ("<=", 1.2)  # times the conversion, for a comparison with the archives


def make_archives(folder: Path, number: int, size: int) -> None:
    """Archives of ``size`` bytes unpacked, half of them of the split train."""
    folder.mkdir()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(partial(_make_archive, folder, size), range(number)))


def _make_archive(folder: Path, size: int, number: int) -> None:
    work = folder.with_name(f"{folder.name}-{number}")
    source = bench_input.make_input(work, size, seed=number)
    name = source.name.replace("train", "val") if number % 2 else source.name
    source = source.rename(work / name.replace("50SMG", f"{10 + number // 2}SMG"))
    run([str(PROGRAM), "a", "-mmt=1", str(folder / f"{source.name}.7z"), str(source)], check=True, stdout=DEVNULL)
    rmtree(work)


def verification(work: Path, archives: Path, repeat: int) -> Iterator[Row]:
    """A row for each kind of verification."""
    store = work / "x.zarr"
    commands = {
        "s2ct verify store": ["verify", "store", store],
        "s2ct verify sources": ["verify", "sources", archives],
        "s2ct verify store --against": ["verify", "store", store, "--against", archives],
    }

    def measure(command: list[object]) -> float:
        began = perf_counter()
        run([sys.executable, "-m", "s2ct_convert", *map(str, command), "-q"], check=True, stdout=DEVNULL)
        return perf_counter() - began

    def convert() -> float:
        for path in (store, store.with_name("x.zarr.s2ct")):
            rmtree(path, ignore_errors=True)
        return measure(["convert", archives, store])

    runs = in_turn(repeat, convert=convert, **{name: partial(measure, command) for name, command in commands.items()})
    median = {name: statistics.median(seconds) for name, seconds in runs.items()}
    for name in commands:
        target = TARGET if "--against" in name else None
        detail = f"times as long: {median[name]:.1f} against {median['convert']:.1f} s"
        kept = {f"{one} s": runs[one] for one in (name, "convert")}
        yield Row(name, "s2ct convert", median[name] / median["convert"], target, detail, kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", type=int, default=72)
    parser.add_argument("--size", type=bench_input.parse_size, default=7_300_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    if PROGRAM is None:
        sys.exit("bench_verify.py: 7-Zip is not installed")
    with tempfile.TemporaryDirectory(dir=given.work, prefix="s2ct-bench-") as work:
        archives = Path(work, "archives")
        make_archives(archives, given.archives, given.size)
        rows = list(verification(Path(work), archives, given.repeat))
    facts = {**machine(), "archives": given.archives, "source_bytes": given.size, "repeat": given.repeat}
    print_report(facts, rows)
    if given.json:
        write_json(given.json, facts, rows)


if __name__ == "__main__":
    main()
