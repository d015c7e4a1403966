"""Speed and memory as ratios, each to a named peer in the same run: one command, a table and JSON.

What is compared runs alternately, ``--repeat`` times; ratios are of medians. Input is generated (bench_input.py) and
warm in the page cache. TensorFlow runs in an environment of its own (``--tensorflow PYTHON``); without it its row is
empty and says so.

usage: python scripts/bench.py [--size 500] [--repeat 3] [--only zarr,parse] [--json FILE] [--tensorflow PYTHON]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bench_codecs
import bench_input
import google_crc32c
import numpy as np

import s2ct_convert
from s2ct_convert.store.codecs import CHUNK_BYTES, find_codec, zarr_chunk_codec
from s2ct_convert.store.layout import CHUNK_OBS, OBS_BYTES

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
MEMORY_LIMIT = 600e6
CODEC_BYTES = 100_000_000  # pixels enough for the codecs, of which some are slow


@dataclass
class Row:
    """One figure: a ratio, or why there is none; ``target`` is what it is to reach, None where nothing was promised."""

    name: str
    peer: str
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    detail: str = ""
    runs: dict[str, list[float]] = field(default_factory=dict)


# Runs a command and prints the peak of its memory. In a small process: what a child is forked from counts as its own.
_PEAK = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Bench:
    """Where and how much."""

    work: Path
    size: int
    repeat: int
    tensorflow: str | None

    def source(self, part: int = 1) -> Path:
        """A TFRecord of the whole size, or of a part of it."""
        return bench_input.make_input(self.work / f"input-{part}", self.size // part)

    def convert(self, source: Path, suffix: str, jobs: int = CORES) -> tuple[float, float, int]:
        """A whole process of ``s2ct convert``: wall time, its own account of the time, peak bytes of memory."""
        store = self.work / f"out.{suffix}"
        self.clear(store)
        source.read_bytes()  # warm
        command = [
            sys.executable,
            "-m",
            "s2ct_convert",
            "convert",
            str(source),
            str(store),
            "-j",
            str(jobs),
            "--json",
            "-q",
        ]
        began = time.perf_counter()
        out = subprocess.run(
            [sys.executable, "-c", _PEAK, *command], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        seconds = time.perf_counter() - began
        self.clear(store)
        result, _, peak = out.rstrip().rpartition("\n")
        return seconds, float(json.loads(result)["seconds"]), int(peak) * (1 if sys.platform == "darwin" else 1024)

    def clear(self, store: Path) -> None:
        for path in (store, store.with_name(f"{store.name}.s2ct")):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)


def to_zarr(bench: Bench) -> Iterator[Row]:
    """TFRecord to Zarr, against the codec alone on the same chunks, and against the codec with the checksums."""
    source = bench.source()
    chunks = bench_codecs.chunks(source, bench.size)
    encode, _ = zarr_chunk_codec(find_codec("zarr", None).parameters)  # type: ignore[arg-type]
    pixels = sum(len(e["imgs"]) for e in s2ct_convert.read_examples(source)) * OBS_BYTES / 1e6

    def checked(chunk: np.ndarray) -> None:
        encode(chunk)
        hashlib.sha256(chunk.data).digest()  # content digest
        for _ in range(2):  # CRC-32C of the record, and of each observation
            google_crc32c.value(chunk.tobytes())

    def rate(work: Callable[[np.ndarray], Any], threads: int) -> float:
        some = chunks[: max(1, len(chunks) // (1 if threads > 1 else 2))]
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, some))
        return len(some) * CHUNK_BYTES / 1e6 / (time.perf_counter() - began)

    runs: dict[str, list[float]] = {name: [] for name in ("codec", "all cores", "checked", "process", "inside")}
    for _ in range(bench.repeat):
        runs["codec"].append(rate(encode, 1))
        seconds, inside, _ = bench.convert(source, "zarr")
        runs["process"].append(pixels / seconds)
        runs["inside"].append(pixels / inside)
        runs["all cores"].append(rate(encode, CORES))
        runs["checked"].append(rate(checked, CORES))
    median = {name: statistics.median(values) for name, values in runs.items()}
    peer = f"{CORES} x codec, one thread ({median['codec']:.0f} MB/s)"
    for name, label in (
        ("inside", "TFRecord to Zarr"),
        ("process", "... with the start of the process"),
        ("all cores", "bound: the codec alone on all cores"),
        ("checked", "bound: codec and checksums, no I/O"),
    ):
        ratio = median[name] / CORES / median["codec"]
        row = Row(
            label, peer, ratio, detail=f"{median[name]:.0f} MB/s", runs={name: runs[name], "codec": runs["codec"]}
        )
        if name == "inside":
            row.target, row.met = ">= 0.8", ratio >= 0.8
        yield row


def parse(bench: Bench) -> Iterator[Row]:
    """Reading examples with both CRCs, against tf.data doing what the authors' parser does."""
    name, peer = "parse TFRecord, both CRCs", "tf.data, authors' parser"
    if bench.tensorflow is None:
        yield Row(name, peer, target=">= 2", detail="not measured: no TensorFlow, see --tensorflow")
        return
    source = bench.source()

    def ours() -> float:
        began = time.perf_counter()
        n = sum(len(example["dates"]) for example in s2ct_convert.read_examples(source))
        assert n
        return time.perf_counter() - began

    ours()
    runs: dict[str, list[float]] = {"ours": [], "plain": [], "parallel": []}
    script = Path(__file__).with_name("bench_tensorflow.py")
    for _ in range(bench.repeat):
        runs["ours"].append(ours())
        command = [bench.tensorflow, str(script), str(source), "1"]
        theirs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        for how in ("plain", "parallel"):
            runs[how] += theirs[how]
    ours_median = statistics.median(runs["ours"])
    for how in ("plain", "parallel"):
        ratio = statistics.median(runs[how]) / ours_median
        row = Row(name, f"{peer}, {how} ({theirs['version']})", ratio, ">= 2", ratio >= 2, runs=runs)
        row.detail = f"{source.stat().st_size / 1e6 / ours_median:.0f} MB/s"
        yield row


def to_hdf5(bench: Bench) -> Iterator[Row]:
    """TFRecord to HDF5 against h5py with its own gzip, which packs in one thread."""
    source = bench.source()
    levels = (1, 4)
    runs: dict[str, list[float]] = {name: [] for name in ("ours", *(f"level {level}" for level in levels))}
    for _ in range(bench.repeat):
        runs["ours"].append(bench.convert(source, "h5")[1])
        for level in levels:
            runs[f"level {level}"].append(_plain_h5py(bench, source, level))
    for level in levels:
        ratio = statistics.median(runs[f"level {level}"]) / statistics.median(runs["ours"])
        yield Row("TFRecord to HDF5", f"read_examples and h5py, gzip {level}", ratio, detail="times as fast", runs=runs)


def _plain_h5py(bench: Bench, source: Path, level: int) -> float:
    import h5py

    path = bench.work / "plain.h5"
    path.unlink(missing_ok=True)
    began, n = time.perf_counter(), 0
    with h5py.File(path, "w") as file:
        images = file.create_dataset(
            "image", (0, 4, 42, 42), "u2", maxshape=(None, 4, 42, 42), chunks=(CHUNK_OBS, 4, 42, 42),
            compression="gzip", compression_opts=level, shuffle=True, fletcher32=True,
        )  # fmt: skip
        held: list[np.ndarray] = []
        for example in [*s2ct_convert.read_examples(source), None]:
            if example is not None:
                held.append(example["imgs"])
            if held and (example is None or len(held) == 8):
                block = np.concatenate(held)
                images.resize(n + len(block), axis=0)
                images[n:] = block
                n, held = n + len(block), []
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def memory(bench: Bench) -> Iterator[Row]:
    """Peak memory of the process that converts, as the source grows."""
    for suffix in ("zarr", "h5"):
        for order in ("groups together", "shuffled"):
            peaks = []
            for part in (4, 2, 1):
                source = bench.source(part)
                if order == "shuffled":
                    source = bench_input.shuffled(source, bench.work / f"shuffled-{part}")
                peaks.append(bench.convert(source, suffix)[2] / 1e6)
            row = Row(
                f"memory, {suffix}, {order}", "600 MB", max(peaks) / (MEMORY_LIMIT / 1e6), "< 1", max(peaks) < 600
            )
            row.detail = "1 x, 2 x, 4 x: " + ", ".join(f"{peak:.0f}" for peak in peaks) + " MB"
            row.runs = {"MB": peaks}
            yield row


def startup(bench: Bench) -> Iterator[Row]:
    """What ``s2ct --help`` costs."""
    commands = {
        "s2ct --help": ["-m", "s2ct_convert", "--help"],
        "python -c pass": ["-c", "pass"],
        "import zarr": ["-c", "import zarr"],
    }
    runs: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(max(5, bench.repeat)):
        for name, arguments in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            runs[name].append(time.perf_counter() - began)
    ours = statistics.median(runs["s2ct --help"])
    for peer in ("python -c pass", "import zarr"):
        ratio = ours / statistics.median(runs[peer])
        yield Row("s2ct --help", peer, ratio, detail=f"{ours:.2f} s; times as long", runs=runs)


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "zarr": to_zarr,
    "parse": parse,
    "hdf5": to_hdf5,
    "memory": memory,
    "startup": startup,
}


def machine() -> dict[str, Any]:
    """Where this was measured."""
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    total = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    packages = ("numpy", "zarr", "numcodecs", "h5py", "protobuf", "google-crc32c", "isal")
    return {
        "cpu": cpu or platform.processor(),
        "cores": CORES,
        "memory_gb": round(total / 1e6, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "s2ct": s2ct_convert.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = ["| what | against | ratio | target | |", "|---|---|---|---|---|"]
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        met = "" if row.met is None else " met" if row.met else " missed"
        lines.append(f"| {row.name} | {row.peer} | {ratio} | {row.target}{met} | {row.detail} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=500, metavar="MB", help="size of the source (default: 500)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="zarr,parse,hdf5,memory,startup", help="some of these; and codecs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder on the disk to measure on")
    parser.add_argument("--tensorflow", metavar="PYTHON", help="python of an environment with TensorFlow")
    arguments = parser.parse_args()
    report = {**machine(), "command": " ".join(["python", "scripts/bench.py", *sys.argv[1:]])}
    report["pixels"] = bench_input.pixels()
    with tempfile.TemporaryDirectory(dir=arguments.work, prefix="s2ct-bench-") as work:
        bench = Bench(Path(work), int(arguments.size * 1e6), arguments.repeat, arguments.tensorflow)
        rows: list[Row] = []
        for name in arguments.only.split(","):
            print(f"{name} ...", file=sys.stderr, flush=True)
            if name == "codecs":
                report["codecs"] = bench_codecs.run(bench.source(), min(bench.size, CODEC_BYTES), bench.repeat)
            else:
                rows += BENCHMARKS[name](bench)
        report["source_bytes"] = bench.source().stat().st_size
    report["rows"] = [asdict(row) for row in rows]
    print("\n".join(f"{key}: {value}" for key, value in report.items() if key not in ("rows", "codecs")))
    print("\n" + table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
