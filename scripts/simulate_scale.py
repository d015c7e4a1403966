"""Simulates the conversion of records of any size: units of skewed sizes on workers with one scheduler.

A unit costs a constant plus seconds per GB of its archive. Finalise is one process and costs seconds per unit and per
sample. This script measures nothing; its defaults come from docs/performance.md (an archive of one block, one core) and
docs/scale.md (Zarr).

usage: python scripts/simulate_scale.py [--scale 1,10,1000,100000] [--workers 1,8,64,1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Costs:
    """Measured costs: seconds of one worker with one core, sizes in bytes."""

    unit_seconds: float = 1.0  # start of a process, sync, record
    gb_seconds: float = 66.0  # per GB of archive: unpack, check, pack
    scheduler_seconds: float = 0.01  # to assign a unit, by a batch system or Dask
    finalise_unit: float = 0.015  # Zarr: columns, digest and metadata of a unit
    finalise_sample: float = 2e-6
    names_unit: int = 53  # files and folders of a unit in a Zarr store
    names_shard: int = 5
    metadata_unit: int = 19_000  # bytes per unit in the consolidated metadata
    index_sample: int = 45  # bytes per sample in the index, before compression


@dataclass(frozen=True)
class Record:
    """The record as published; the sizes of its archives follow a log-normal distribution with ``sigma``."""

    units: int = 72
    bytes: float = 40e9
    sigma: float = 0.82
    samples: int = 32_000
    observations: int = 4_600_000
    shard: int = 4096


@dataclass(frozen=True)
class Outcome:
    """Result for a record of ``scale`` times the size with ``workers`` workers."""

    scale: int
    workers: int
    units: int
    largest_gb: float
    seconds: float
    random_order_seconds: float
    efficiency: float
    finalise_seconds: float
    names: int
    metadata_bytes: int
    index_bytes: int
    breaks: str


def sizes(record: Record, scale: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Bytes of each archive: ``scale`` times the units, with the same distribution."""
    drawn = rng.lognormal(0, record.sigma, record.units * scale)
    return drawn / drawn.mean() * (record.bytes / record.units)


def makespan(seconds: Sequence[float], workers: int, scheduler: float) -> float:
    """Seconds until the last unit is done, if units are assigned in order to the next free worker."""
    free = [0.0] * min(workers, len(seconds))
    handed, last = 0.0, 0.0
    for cost in seconds:
        start = max(heapq.heappop(free), handed)
        handed = start + scheduler
        last = max(last, handed + cost)
        heapq.heappush(free, handed + cost)
    return last


def simulate(scale: int, workers: int, costs: Costs, record: Record, seed: int = 1) -> Outcome:
    """Simulate one record of ``scale`` times the size on ``workers`` workers."""
    rng = np.random.default_rng([seed, scale])
    archives = sizes(record, scale, rng)
    seconds = costs.unit_seconds + archives / 1e9 * costs.gb_seconds
    largest_first = makespan(np.sort(seconds)[::-1].tolist(), workers, costs.scheduler_seconds)
    as_drawn = makespan(seconds.tolist(), workers, costs.scheduler_seconds)
    units, samples = len(archives), record.samples * scale
    shards = int(np.ceil(archives / record.bytes * record.observations / record.shard).sum())
    finalise = units * costs.finalise_unit + samples * costs.finalise_sample
    names, metadata = units * costs.names_unit + shards * costs.names_shard, units * costs.metadata_unit
    return Outcome(
        scale=scale,
        workers=workers,
        units=units,
        largest_gb=float(archives.max() / 1e9),
        seconds=largest_first,
        random_order_seconds=as_drawn,
        efficiency=float(seconds.sum() / workers / largest_first),
        finalise_seconds=finalise,
        names=names,
        metadata_bytes=metadata,
        index_bytes=samples * costs.index_sample,
        breaks=_breaks(largest_first, finalise, float(seconds.max()), names, metadata, samples, costs, units),
    )


def _breaks(
    seconds: float, finalise: float, longest: float, names: int, metadata: int, samples: int, costs: Costs, units: int
) -> str:
    """The limits that are exceeded, the worst first."""
    troubles = [
        ("metadata in one document", metadata / 100e6),  # each opening parses it; 100 MB of JSON take seconds
        ("the index in one process", samples * costs.index_sample / 8e9),
        ("inodes", names / 1e6),  # the limit per user on many clusters
        ("finalise in one process", finalise / max(3600.0, 0.1 * seconds)),
        ("one scheduler", units * costs.scheduler_seconds / seconds / 0.5),
        ("the largest archive", longest / seconds / 0.5),
    ]
    met = sorted(((excess, name) for name, excess in troubles if excess >= 1), reverse=True)
    return ", ".join(f"{name} ({excess:.1f} x)" for excess, name in met) or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", default="1,10,1000,100000")
    parser.add_argument("--workers", default="1,8,64,1000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    for field in fields(Costs):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    options = parser.parse_args()
    costs = Costs(**{field.name: getattr(options, field.name) for field in fields(Costs)})
    scales, workers = ([int(part) for part in text.split(",")] for text in (options.scale, options.workers))
    outcomes = [simulate(scale, n, costs, Record(), options.seed) for scale in scales for n in workers]
    table = Table("x record", "units", "workers", "time", "random order", "efficiency", "finalise", "names", "metadata")
    table.add_column("index")
    table.add_column("breaks first")
    for one in outcomes:
        table.add_row(
            f"{one.scale:,}", f"{one.units:,}", f"{one.workers:,}", _time(one.seconds), _time(one.random_order_seconds),
            f"{one.efficiency:.2f}", _time(one.finalise_seconds), f"{one.names:,}", _size(one.metadata_bytes),
            _size(one.index_bytes), one.breaks,
        )  # fmt: skip
    Console(width=190).print(table)
    if options.json:
        document = {"costs": asdict(costs), "record": asdict(Record()), "outcomes": [asdict(one) for one in outcomes]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def _time(seconds: float) -> str:
    for size, unit in ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _size(n: float) -> str:
    power = min(4, int(math.log10(max(n, 1)) // 3))
    return f"{n / 1000**power:.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


if __name__ == "__main__":
    main()
