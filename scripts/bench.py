"""Measures speed and memory as ratios to named peers in the same run; prints a table and writes JSON.

The input is generated (bench_input.py) and warm in the page cache. TensorFlow runs in its own environment; without one,
its rows are marked as not measured.

usage: python scripts/bench.py [--size 500MB] [--repeat 3] [--only parse,zarr] [--json FILE] [--work DIR]
                               [--picture FILE] [--tensorflow PYTHON | --make-tensorflow-venv]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench_archives
import bench_codecs
import bench_conversion
import bench_input
import bench_picture
import bench_reading
from bench_conversion import Bench
from bench_report import Row, in_turn, machine, print_report, write_json

NAMES = ("parse", "zarr", "script", "archives", "growth", "jobs", "hdf5", "memory", "startup", "codecs")
CODEC_BYTES = 32_000_000  # of pixels, 71 chunks; level 9 of zstd packs about 5 MB/s


def startup(repeat: int) -> Iterator[Row]:
    """Time of ``s2ct --help``."""
    ours = "s2ct --help"
    commands = {ours: ["-m", "s2ct_convert", "--help"], "python -c pass": ["-c", "pass"]}
    commands["import zarr"] = ["-c", "import zarr"]

    def seconds(arguments: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    measures = {name: lambda arguments=arguments: seconds(arguments) for name, arguments in commands.items()}
    runs = in_turn(max(5, repeat), **measures)
    median = {name: statistics.median(values) for name, values in runs.items()}
    for peer in ("python -c pass", "import zarr"):
        detail = f"times as long: {median[ours]:.2f} s against {median[peer]:.2f} s"
        kept = {f"{name} s": runs[name] for name in (ours, peer)}
        yield Row(ours, peer, median[ours] / median[peer], detail=detail, runs=kept)


def rows_of(name: str, bench: Bench, tensorflow: Path | None) -> Iterator[Row]:
    """Rows of the benchmark with this name; ``codecs`` has its own table."""
    if name == "parse":
        return bench_reading.parse(bench.source(), bench.repeat, tensorflow)
    if name == "startup":
        return startup(bench.repeat)
    if name == "script":
        return bench_archives.user_script(bench, tensorflow)
    if name == "archives":
        return bench_archives.archives(bench, tensorflow)
    benchmarks = {
        "zarr": bench_conversion.to_zarr,
        "growth": bench_archives.growth,
        "jobs": bench_archives.jobs,
        "hdf5": bench_conversion.to_hdf5,
        "memory": bench_conversion.memory,
    }
    return benchmarks[name](bench)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(NAMES):
        raise argparse.ArgumentTypeError(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return names


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--size", type=bench_input.parse_size, default="500MB", help="size of the source (default: 500MB)"
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each side (default: 3)")
    parser.add_argument("--only", type=_names, default=list(NAMES), metavar="NAMES", help=f"some of {','.join(NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results, with every run, to FILE")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the ratios against their targets")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder on the disk to measure on")
    parser.add_argument("--tensorflow", type=Path, metavar="PYTHON", help="Python of an environment with TensorFlow")
    parser.add_argument("--make-tensorflow-venv", action="store_true", help="make .venv-tensorflow")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    if options.make_tensorflow_venv:
        bench_reading.make_tensorflow_venv()
    command = " ".join(["python scripts/bench.py", *sys.argv[1:]])
    facts: dict[str, Any] = {**machine(), "command": command, "repeat": options.repeat, "pixels": bench_input.pixels()}
    rows: list[Row] = []
    codecs = ""
    with tempfile.TemporaryDirectory(dir=options.work, prefix="s2ct-bench-") as work:
        bench = Bench(Path(work), options.size, options.repeat)
        facts["source_bytes"] = bench.source().stat().st_size
        for name in options.only:
            print(f"{name} ...", file=sys.stderr, flush=True)
            if name == "codecs":
                limit = min(options.size, CODEC_BYTES)
                codecs, facts["codecs"] = bench_codecs.run(bench.source(), limit, options.repeat)
            else:
                rows += rows_of(name, bench, bench_reading.find_tensorflow(options.tensorflow))
    print_report({key: value for key, value in facts.items() if key != "codecs"}, rows)
    if codecs:
        print("\n" + codecs)
    if options.json:
        write_json(options.json, facts, rows)
    if options.picture:
        bench_picture.draw({**facts, "rows": [row.document() for row in rows]}, options.picture)


if __name__ == "__main__":
    main()
