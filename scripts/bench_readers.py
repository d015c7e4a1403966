"""Measures random access to samples and a whole epoch against other readers of the same store, in one run.

Samples are whole time series of pixels. All readers read them in the same random order, from a warm page cache.
TensorFlow has no random access to a TFRecord: it reads the whole file and keeps the requested samples.

usage: python scripts/bench_readers.py [--size 500MB] [--repeat 5] [--samples 200] [--tensorflow PYTHON] [--json FILE]
       [--work DIR]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bench_input
import google_crc32c
import h5py
import numpy as np
import zarr
from bench_report import CORES, Row, in_turn, machine, print_report, write_json
from numcodecs.blosc import Blosc

import s2ct_convert
from s2ct_convert.reading.epoch import read_epoch

BATCH = 32  # samples per request
NO_TENSORSTORE = "not measured: tensorstore is not installed"
NO_TENSORFLOW = "not measured: no TensorFlow here, see --tensorflow"


def seconds(work: Callable[[], None]) -> float:
    """Wall time of one call in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def batches(localids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the localids in order, ``BATCH`` at a time."""
    for first in range(0, len(localids), BATCH):
        yield localids[first : first + BATCH]


def open_tensorstore(store: s2ct_convert.Store, unit: s2ct_convert.Unit) -> Any:
    """The image array, opened with tensorstore."""
    import tensorstore

    path = str(store.path / str(unit.name) / "image")
    return tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}, read=True).result()


def open_with_library(store: s2ct_convert.Store, unit: s2ct_convert.Unit) -> Any:
    """The image array, opened with zarr-python or h5py."""
    name = f"{unit.name}/image"
    return zarr.open_group(store.path, mode="r")[name] if store.format == "zarr" else h5py.File(store.path)[name]


def random_access(stores: dict[str, s2ct_convert.Store], n: int, repeat: int) -> Iterator[Row]:
    """Random samples, one at a time and ``BATCH`` at once."""
    units = {kind: next(iter(store.units.values())) for kind, store in stores.items()}
    localids = np.random.default_rng(0).permutation(units["zarr"].localid)[:n].tolist()
    rows = [units["zarr"].rows(localid) for localid in localids]
    arrays = {kind: open_with_library(stores[kind], unit) for kind, unit in units.items()}
    observations = sum(one.stop - one.start for one in rows)

    def one_by_one(kind: str) -> None:
        for localid in localids:
            units[kind].sample(localid)

    def together(kind: str) -> None:
        for some in batches(localids):
            units[kind].samples(some)

    def slices(kind: str) -> None:
        for one in rows:
            arrays[kind][one]

    measures: dict[str, Callable[[], float]] = {
        "zarr one": lambda: seconds(lambda: one_by_one("zarr")),
        "zarr many": lambda: seconds(lambda: together("zarr")),
        "zarr-python": lambda: seconds(lambda: slices("zarr")),
        "hdf5 one": lambda: seconds(lambda: one_by_one("hdf5")),
        "hdf5 many": lambda: seconds(lambda: together("hdf5")),
        "h5py": lambda: seconds(lambda: slices("hdf5")),
    }
    if has_tensorstore := importlib.util.find_spec("tensorstore") is not None:
        array = open_tensorstore(stores["zarr"], units["zarr"])

        def futures() -> None:
            for some in batches(range(len(rows))):
                for one in [array[rows[i]].read() for i in some]:
                    one.result()

        measures["tensorstore one"] = lambda: seconds(lambda: [array[one].read().result() for one in rows] and None)
        measures["tensorstore many"] = lambda: seconds(futures)
    runs = in_turn(repeat, **measures)
    rate = {name: n / statistics.median(values) for name, values in runs.items()}

    def row(name: str, ours: str, peer: str, target: tuple[str, float] | None = None) -> Row:
        detail = f"{rate[ours]:.0f} against {rate[peer]:.0f} samples/s of {observations / n:.0f} observations"
        kept = {f"{one} s": runs[one] for one in (ours, peer)}
        return Row(name, peer, rate[ours] / rate[peer], target, detail, kept)

    yield row(f"Zarr, {BATCH} random samples at once", "zarr many", "zarr-python", (">=", 3.0))
    yield row("Zarr, one random sample", "zarr one", "zarr-python", (">=", 3.0))
    for how, bound in (("one", 1.3), ("many", 1.2)):
        name = f"Zarr, {'one random sample' if how == 'one' else f'{BATCH} random samples at once'}"
        peer, target = f"tensorstore {how}", (">=", bound)
        yield row(name, f"zarr {how}", peer, target) if has_tensorstore else Row(name, peer, detail=NO_TENSORSTORE)
    yield row(f"HDF5, {BATCH} random samples at once", "hdf5 many", "h5py")
    yield row("HDF5, one random sample", "hdf5 one", "h5py", (">=", 2.5))


def whole_epoch(store: s2ct_convert.Store, repeat: int) -> Iterator[Row]:
    """Every sample once in shuffled order, against decoding the same chunks with the codecs alone on all cores."""
    unit = next(iter(store.units.values()))
    shards = sorted((store.path / str(unit.name) / "image/c").glob("*/0/0/0"))
    packed = [chunk for path in shards for chunk in shard_chunks(path)]

    def decode(some: Sequence[bytes]) -> None:
        for chunk in some:
            google_crc32c.value(chunk)
            Blosc().decode(memoryview(chunk)[:-4])

    def decode_hot(some: Sequence[bytes]) -> None:
        blosc, out = Blosc(), np.empty((32, 4, 42, 42), np.uint16)
        for chunk in some:
            blosc.decode(memoryview(chunk)[:-4], out)

    def read_and_decode(some: Sequence[Path]) -> None:
        for path in some:
            decode(shard_chunks(path))

    def codecs(how: Callable[[Sequence[Any]], None], what: Sequence[Any]) -> None:
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(how, [what[k::CORES] for k in range(CORES)]))

    def epoch() -> None:
        for _ in read_epoch(store, store.samples):
            pass

    def slices() -> None:
        image, order = open_with_library(store, unit), np.random.default_rng(0).permutation(unit.localid)
        for localid in order.tolist():
            image[unit.rows(localid)]

    peers = {
        "CRC-32C and Blosc on all cores": (lambda: codecs(decode, packed), (">=", 0.8)),
        "... after reading whole shards": (lambda: codecs(read_and_decode, shards), None),
        "Blosc on all cores, always into the same 452 kB": (lambda: codecs(decode_hot, packed), None),
        "zarr-python, sample by sample": (slices, None),
    }
    measures = {name: lambda work=work: seconds(work) for name, (work, _) in peers.items()}
    runs = in_turn(repeat, epoch=lambda: seconds(epoch), **measures)
    size = unit.observations * 14112 / 1e6
    ours = statistics.median(runs["epoch"])
    for name, (_, target) in peers.items():
        theirs = statistics.median(runs[name])
        detail = f"{size / ours:.0f} against {size / theirs:.0f} MB/s of pixels"
        kept = {"epoch s": runs["epoch"], f"{name} s": runs[name]}
        yield Row("an epoch in shuffled order", name, theirs / ours, target, detail, kept)


def shard_chunks(path: Path) -> list[bytes]:
    """Encoded chunks of a shard, each a Blosc frame with its CRC-32C."""
    data = path.read_bytes()
    index = np.frombuffer(data[-2052:-4], "<u8").reshape(-1, 2)
    return [data[offset : offset + size] for offset, size in index.tolist() if offset != 2**64 - 1]


def from_tfrecord(source: Path, store: s2ct_convert.Store, repeat: int, tensorflow: Path | None) -> Iterator[Row]:
    """The same samples, read from the TFRecord with TensorFlow."""
    name, peer = f"Zarr, {BATCH} random samples at once", "TensorFlow reading the TFRecord through"
    if tensorflow is None:
        yield Row(name, peer, detail=NO_TENSORFLOW)
        return
    unit = next(iter(store.units.values()))
    localids = np.random.default_rng(0).permutation(unit.localid)[:BATCH].tolist()
    script = str(Path(__file__).with_name("bench_tensorflow.py"))
    command = [str(tensorflow), script, str(source), "select", ",".join(map(str, localids))]

    def theirs() -> float:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

    runs = in_turn(repeat, ours=lambda: seconds(lambda: unit.samples(localids) and None), tensorflow=theirs)
    ours, other = (statistics.median(runs[one]) for one in ("ours", "tensorflow"))
    detail = f"{ours * 1e3:.0f} ms against {other * 1e3:.0f} ms"
    yield Row(name, peer, other / ours, None, detail, {f"{one} s": values for one, values in runs.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--size", type=bench_input.parse_size, default="500MB", help="size of the source (default: 500MB)"
    )
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each side (default: 5)")
    parser.add_argument("--samples", type=int, default=200, metavar="N", help="random samples (default: 200)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results, with every run, to FILE")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder on the disk to measure on")
    parser.add_argument("--tensorflow", type=Path, metavar="PYTHON", help="Python of an environment with TensorFlow")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        source = bench_input.make_input(Path(folder) / "source", given.size)
        stores = {}
        for kind in ("zarr", "hdf5"):
            path = Path(folder) / f"bench.{kind}"
            s2ct_convert.convert([source], path, format=kind)
            stores[kind] = s2ct_convert.open_store(path)
        facts = {**machine(), "command": " ".join(["python", *sys.argv]), "pixels": bench_input.pixels()}
        facts["source_bytes"] = source.stat().st_size
        rows = [
            *random_access(stores, given.samples, given.repeat),
            *whole_epoch(stores["zarr"], given.repeat),
            *from_tfrecord(source, stores["zarr"], given.repeat, given.tensorflow),
        ]
        for store in stores.values():
            store.close()
    print_report(facts, rows)
    if given.json:
        write_json(given.json, facts, rows)


if __name__ == "__main__":
    main()
