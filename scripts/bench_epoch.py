"""Measures a shuffled epoch, wall and CPU time, against other readers of the same pixels, in one run.

zarr-python and tensorstore read the store of s2ct. WebDataset reads the tar files of ``s2ct export --to webdataset``,
and litData what its own writer makes of them; both are not compressed. Every reader gives pixels and labels, a sample
at a time: in a plain loop, and through a DataLoader of PyTorch without workers. Each runs in a fresh process, from a
warm page cache. Readers that are not installed are named and left out. Nothing is downloaded.

usage: python scripts/bench_epoch.py [--size 300MB] [--repeat 3] [--python PYTHON] [--json FILE] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bench_input
from bench_report import Row, Runs, in_turn, machine, print_report, write_json

import s2ct_convert

OURS, PEERS = "s2ct", ("zarr-python", "tensorstore", "webdataset", "litdata")
MODULES = {"s2ct": "s2ct_convert", "zarr-python": "zarr"}  # others are called as their readers
MODES = {"loop": "in a loop", "loader": "DataLoader, 0 workers"}
SHARD_BYTES = 64 << 20  # of the tar files, as the chunks of litdata
CHILD = Path(__file__).with_name("bench_epoch_child.py")


def versions(python: Path) -> dict[str, str]:
    """The readers that this Python has, and torch, with their versions."""
    names = {reader: MODULES.get(reader, reader) for reader in (*PEERS, "torch")}
    code = (
        "import importlib.util as u, importlib.metadata as m, json;"
        f"print(json.dumps({{r: m.version(n) for r, n in {names}.items() if u.find_spec(n)}}))"
    )
    found: dict[str, str] = json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True).stdout)
    return found


def prepare(folder: Path, size: int, python: Path, there: Sequence[str]) -> int:
    """The store, the tar files, and the chunks of litdata. Returns the size of the source."""
    source = bench_input.make_input(folder / "source", size)
    s2ct_convert.convert([source], folder / "store.zarr")
    if "webdataset" in there or "litdata" in there:
        s2ct_convert.export_webdataset(folder / "store.zarr", folder / "webdataset", shard_size=SHARD_BYTES)
    if "litdata" in there:
        _child(python, "litdata-write", "", folder)
    return source.stat().st_size


def _child(python: Path | str, reader: str, mode: str, folder: Path) -> str:
    command = [str(python), str(CHILD), reader, mode, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{reader} failed:\n{done.stderr}")
    return done.stdout


def run_all(folder: Path, python: Path, there: Sequence[str], repeat: int) -> tuple[Runs, dict[str, Any]]:
    """Wall and CPU seconds of all runs by reader and mode, and what every reader has read."""
    runs, read = dict[str, list[float]](), dict[str, Any]()

    def run(reader: str, mode: str) -> float:
        found = json.loads(_child(sys.executable if reader == OURS else python, reader, mode, folder).splitlines()[-1])
        runs.setdefault(f"{reader} {mode} cpu", []).append(found.pop("cpu"))
        wall = float(found.pop("wall"))
        if read.setdefault("same", found) != found:
            raise SystemExit(f"{reader} has read other pixels: {found}, not {read['same']}")
        return wall

    modes = [mode for mode in MODES if mode == "loop" or "torch" in there]
    readers = [OURS, *(peer for peer in PEERS if peer in there)]
    wanted = {f"{reader} {mode} wall": partial(run, reader, mode) for mode in modes for reader in readers}
    return {**in_turn(repeat, **wanted), **runs}, read["same"]


def rows(runs: Runs, megabytes: float, there: Sequence[str]) -> Iterator[Row]:
    """A row of wall time and one of CPU time for each mode and peer."""
    for mode, words in MODES.items():
        for peer in PEERS:
            missing = next((one for one in (peer, *(["torch"] if mode == "loader" else [])) if one not in there), None)
            for kind in ("wall", "cpu"):
                name = f"shuffled epoch, {words}: {'wall' if kind == 'wall' else 'CPU'} time"
                if missing:
                    yield Row(name, peer, detail=f"not measured: {missing} is not installed")
                    continue
                ours, theirs = (f"{one} {mode} {kind}" for one in (OURS, peer))
                a, b = statistics.median(runs[ours]), statistics.median(runs[theirs])
                detail = f"{a:.2f} against {b:.2f} s for {megabytes:.0f} MB of pixels"
                yield Row(name, peer, b / a, None, detail, {f"{one} s": runs[one] for one in (ours, theirs)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=bench_input.parse_size, default="300MB", help="size of the source")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each reader (default: 3)")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="Python that has the other readers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results, with every run, to FILE")
    parser.add_argument("--work", type=Path, metavar="DIR", help="a folder on the disk to measure on")
    given = parser.parse_args()
    there = versions(given.python)
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        folder = Path(name)
        size = prepare(folder, given.size, given.python, list(there))
        runs, read = run_all(folder, given.python, list(there), given.repeat)
        kept = {one.name: _bytes(one) for one in (folder / "store.zarr", folder / "webdataset", folder / "litdata")}
    facts = {**machine(), "command": " ".join(["python", *sys.argv]), "pixels": bench_input.pixels()}
    facts |= {"source_bytes": size, "readers": there, "bytes on disk": kept}
    facts |= {"not installed": ", ".join(one for one in (*PEERS, "torch") if one not in there) or "none"}
    found = list(rows(runs, read["observations"] * 14112 / 1e6, list(there)))
    print_report(facts, found)
    if given.json:
        write_json(given.json, facts, found)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
