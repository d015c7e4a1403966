"""Benchmarks of archives: to Zarr against ``7zz t``, against ``7zz x`` with a user script, and against py7zr.

7-Zip packs the archives at its default level: one with several LZMA2 blocks, one with a single block, and eight small
ones. Without 7-Zip or TensorFlow, rows are marked as not measured.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, run

import bench_input
from bench_conversion import Bench, convert, images, warm
from bench_report import CORES, Row, in_turn

import s2ct_convert
from s2ct_convert.archives.unpackers import find_unpacker
from s2ct_convert.store.layout import OBS_BYTES

SCRIPT = Path(__file__).with_name("bench_user_script.py")
UNPACKER = find_unpacker("auto")  # the fastest 7-Zip program of this machine, which s2ct takes too
PROGRAM = UNPACKER.program
SMALLEST = min(s2ct_convert.sample_sources(), key=lambda path: path.stat().st_size)
SMALL = 8  # archives, or TFRecords of equal size
BLOCKS = {
    "several blocks": "-mmt=4",
    "one block": "-mmt=1",
}  # 7-Zip makes several blocks if it packs with several threads
TARGETS = {("several blocks", "7zz"): 1.35, ("one block", "7zz"): 1.05}
# Seconds of CPU beside 7-Zip for each GB of pixels: those of s2ct and of the 7-Zip that it runs, less those of
# ``7zz t``. So the start of the process counts, and all that 7-Zip takes longer than ``7zz t``: it writes into a pipe,
# and shares caches and cores with s2ct.
CPU_TARGET = 6

_PY7ZR = """
import sys, py7zr
from py7zr.io import NullIO, WriterFactory
class Factory(WriterFactory):
    def create(self, filename):
        return NullIO()
with open(sys.argv[1], "rb") as file, py7zr.SevenZipFile(file) as archive:
    archive.extractall(factory=Factory())
"""


def archives(bench: Bench, tensorflow: Path | None) -> Iterator[Row]:
    """One archive to Zarr, with each unpacker, against each peer; then eight archives."""
    if PROGRAM is None:
        yield Row(".7z to Zarr", "7zz t", None, ("<=", 1.3), "not measured: no 7-Zip here")
        return
    for kind, threads in BLOCKS.items():
        yield from _one(bench, kind, _pack(bench.source(), bench.work / kind, threads), tensorflow)
    yield from _eight(bench)
    yield from _verify(bench)


def _one(bench: Bench, kind: str, archive: Path, tensorflow: Path | None) -> Iterator[Row]:
    cpu: dict[str, list[float]] = {"7zz": [], "7zz t": [], "start": []}

    def with_program() -> float:
        done = convert(bench, archive, "zarr", options=("--unpacker", "7zz"))
        cpu["7zz"].append(done.cpu)
        return done.process

    def test() -> float:
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = _seconds([PROGRAM, "t", f"-mmt={CORES}", archive])
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu["7zz t"].append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
        return seconds

    def start() -> float:
        done = convert(bench, SMALLEST, "zarr", options=("--unpacker", "7zz"))
        cpu["start"].append(done.cpu)
        return done.process

    measures = {
        "7zz t": test,
        "start": start,
        "python": lambda: convert(bench, archive, "zarr", options=("--unpacker", "python")).process,
        "7zz": with_program,
        "py7zr": lambda: _seconds([sys.executable, "-c", _PY7ZR, archive]),
    }
    if tensorflow is not None:
        measures["7zz x and a script"] = lambda: _by_hand(bench, archive, tensorflow)
    runs = in_turn(bench.repeat, **measures)
    median = {name: statistics.median(values) for name, values in runs.items()}
    for ours in ("python", "7zz"):
        for peer in ("7zz t", "7zz x and a script", "py7zr"):
            name = f".7z of {kind} to Zarr, --unpacker {ours}"
            if peer not in runs:
                yield Row(name, peer, None, None, "not measured: no TensorFlow here, see --tensorflow")
                continue
            target = ("<=", TARGETS[kind, ours]) if peer == "7zz t" and (kind, ours) in TARGETS else None
            label = {"py7zr": "py7zr, unpacking alone", "7zz x and a script": "7zz x, then TensorFlow and zarr-python"}
            yield Row(
                name, label.get(peer, peer), median[ours] / median[peer], target,
                f"{median[ours]:.1f} against {median[peer]:.1f} s", {f"{one} s": runs[one] for one in (ours, peer)},
            )  # fmt: skip
    yield from _beside(kind, cpu, len(images(bench.source())) * OBS_BYTES / 1e9)


def _beside(kind: str, cpu: dict[str, list[float]], gigabytes: float) -> Iterator[Row]:
    """Our own CPU time beside 7-Zip: all of it, and without that of converting the smallest bundled archive."""
    ours, theirs, start = (statistics.median(cpu[one]) for one in ("7zz", "7zz t", "start"))
    kept = {f"{one} CPU s": values for one, values in cpu.items()}
    name, peer = f".7z of {kind} to Zarr, CPU s per GB of pixels beside 7-Zip", f"1 s a GB ({gigabytes:.2f} GB)"
    beside, detail = (ours - theirs) / gigabytes, f"{ours:.1f} against {theirs:.1f} s of CPU"
    yield Row(name, peer, beside, ("<=", CPU_TARGET), detail, kept)
    without = beside - start / gigabytes
    yield Row(f"{name}, without the start", peer, without, None, f"the start takes {start:.2f} s of CPU", kept)


def _eight(bench: Bench) -> Iterator[Row]:
    """Eight archives with one block each, one per core at a time."""
    folder = bench.work / "eight archives"
    with ThreadPoolExecutor(CORES) as pool:
        paths = list(pool.map(lambda path: _pack(path, folder, "-mmt=1"), _small(bench)))

    def test_all() -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(lambda path: _seconds([PROGRAM, "t", "-mmt=1", path]), paths))
        return time.perf_counter() - began

    measures = {"7zz t": test_all}
    for unpacker in ("python", "7zz"):
        options = ("--unpacker", unpacker)
        measures[unpacker] = lambda options=options: convert(bench, folder, "zarr", options=options).process
    runs = in_turn(bench.repeat, **measures)
    median = {name: statistics.median(values) for name, values in runs.items()}
    for ours in ("python", "7zz"):
        name = f"{SMALL} archives to Zarr, -j {CORES}, --unpacker {ours}"
        detail = f"{median[ours]:.1f} against {median['7zz t']:.1f} s"
        kept = {f"{one} s": runs[one] for one in (ours, "7zz t")}
        target = ("<=", 1.3) if ours == "7zz" else None
        yield Row(name, f"7zz t, {CORES} at a time", median[ours] / median["7zz t"], target, detail, kept)


def _verify(bench: Bench) -> Iterator[Row]:
    """Eight archives: ``verify store --against`` them, and ``verify sources``, against their conversion."""
    folder, store = bench.work / "eight archives", bench.work / "verified.zarr"
    command = [sys.executable, "-m", "s2ct_convert"]
    run([*command, "convert", "-q", folder, store], check=True, stdout=DEVNULL)
    runs = in_turn(
        bench.repeat,
        convert=lambda: convert(bench, folder, "zarr").process,
        against=lambda: _seconds([*command, "verify", "store", "-q", store, "--against", folder]),
        sources=lambda: _seconds([*command, "verify", "sources", "-q", folder]),
    )
    shutil.rmtree(store)
    median = {name: statistics.median(values) for name, values in runs.items()}
    for name, label in (("against", "verify store --against"), ("sources", "verify sources")):
        detail = f"{median[name]:.1f} against {median['convert']:.1f} s"
        kept = {f"{one} s": runs[one] for one in (name, "convert")}
        target = ("<=", 1.2) if name == "against" else None
        yield Row(
            f"{label}, {SMALL} archives", "their conversion", median[name] / median["convert"], target, detail, kept
        )


def user_script(bench: Bench, tensorflow: Path | None) -> Iterator[Row]:
    """TFRecord to Zarr against TensorFlow and zarr-python with the same chunks, shards and codec."""
    name, peer = "TFRecord to Zarr, whole process", "TensorFlow and zarr-python, whole process"
    if tensorflow is None:
        yield Row(name, peer, None, (">=", 4), "not measured: no TensorFlow here, see --tensorflow")
        return
    source = bench.source()
    runs = in_turn(
        bench.repeat,
        ours=lambda: convert(bench, source, "zarr").process,
        theirs=lambda: _script(bench, source, tensorflow),
    )
    ours, theirs = (statistics.median(runs[one]) for one in ("ours", "theirs"))
    kept = {f"{one} s": values for one, values in runs.items()}
    yield Row(name, peer, theirs / ours, (">=", 4), f"times as fast: {ours:.1f} against {theirs:.1f} s", kept)


def growth(bench: Bench) -> Iterator[Row]:
    """Time by size of the source and number of cores."""
    sources = {4 // part: bench.source(part) for part in (4, 2, 1)}
    measures = {
        f"{times}x on {cores}": lambda source=source, cores=cores: convert(bench, source, "zarr", cores=cores).inside
        for times, source in sources.items()
        for cores in sorted({1, CORES})
    }
    runs = in_turn(bench.repeat, **measures)
    median = {name: statistics.median(values) for name, values in runs.items()}
    kept = {f"{name} s": values for name, values in runs.items()}
    bytes_of = {times: source.stat().st_size for times, source in sources.items()}
    for times in (2, 4):
        name = f"TFRecord to Zarr, {times} times the size: time"
        ratio = median[f"{times}x on {CORES}"] / median[f"1x on {CORES}"]
        yield Row(name, f"1x, of {bytes_of[times] / bytes_of[1]:.2f} times fewer bytes", ratio, runs=kept)
    if CORES > 1:
        speedup = median["4x on 1"] / median[f"4x on {CORES}"]
        yield Row("TFRecord to Zarr, one unit: speed", "pinned to one core", speedup, runs=kept)


def jobs(bench: Bench) -> Iterator[Row]:
    """Equal TFRecords with two jobs against one job."""
    folder = _links(bench.source(), bench.work / "eight of all")  # as large as the units of the record
    runs = in_turn(
        bench.repeat,
        one=lambda: convert(bench, folder, "zarr", cores=1, pinned=False).inside,
        two=lambda: convert(bench, folder, "zarr", cores=2).inside,
    )
    one, two = (statistics.median(runs[key]) for key in ("one", "two"))
    kept = {f"{key} s": values for key, values in runs.items()}
    detail = f"of twice the speed: {two:.1f} against {one:.1f} s"
    yield Row(f"{SMALL} equal TFRecords, -j 2", "-j 1", one / two / 2, (">=", 0.92), detail, kept)


def _small(bench: Bench) -> Sequence[Path]:
    """Small TFRecords with the same number of examples, each its own unit."""
    source = bench_input.make_input(bench.work / "small", bench.size // SMALL)
    return sorted(_links(source, bench.work / "eight").iterdir())


def _links(source: Path, folder: Path) -> Path:
    """A folder with one TFRecord under the names of ``SMALL`` tiles."""
    if not folder.exists():
        folder.mkdir()
        for letter in "ABCDEFGH"[:SMALL]:
            os.link(source, folder / source.name.replace("50SMG", f"50S{letter}G"))
    return folder


def _pack(source: Path, folder: Path, threads: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{source.name}.7z"
    if not path.exists():
        run([str(PROGRAM), "a", "-mx=5", threads, str(path), str(source)], check=True, stdout=DEVNULL)
    return path


def _seconds(command: Sequence[object]) -> float:
    """Wall time in seconds of a command on an archive that is warm in the page cache."""
    warm(Path(str(command[-1])))
    began = time.perf_counter()
    run([*map(str, command)], check=True, stdout=DEVNULL)
    return time.perf_counter() - began


def _by_hand(bench: Bench, archive: Path, tensorflow: Path) -> float:
    out = bench.work / "unpacked"
    began = time.perf_counter()
    run([str(PROGRAM), "x", f"-mmt={CORES}", "-y", f"-o{out}", str(archive)], check=True, stdout=DEVNULL)
    unpacked = time.perf_counter() - began
    (path,) = out.iterdir()
    seconds = unpacked + _script(bench, path, tensorflow)
    shutil.rmtree(out)
    return seconds


def _script(bench: Bench, source: Path, tensorflow: Path) -> float:
    store = bench.work / "by-hand.zarr"
    warm(source)
    began = time.perf_counter()
    run([str(tensorflow), str(SCRIPT), str(source), str(store)], check=True, stdout=DEVNULL, stderr=DEVNULL)
    seconds = time.perf_counter() - began
    shutil.rmtree(store)
    return seconds
