"""Results of a benchmark: figures with peers and targets, a description of the machine, output as table and JSON.

A figure is the ratio of two medians, measured in turn in the same run. Seconds depend on the machine; a ratio to a
named peer depends on it much less.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import s2ct_convert
from s2ct_convert.archives.unpackers import find_unpacker

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PACKAGES = ("numpy", "zarr", "numcodecs", "h5py", "protobuf", "google-crc32c", "isal", "deflate", "hdf5plugin", "py7zr")

Runs = dict[str, list[float]]


@dataclass(frozen=True)
class Row:
    """One figure, or the reason why it was not measured.

    Attributes
    ----------
    name, peer : str
        The measured operation, and the one it is compared with.
    ratio : float or None
    target : tuple of str and float, optional
        ``>=``, ``<=`` or ``<`` and the bound of the ratio; None without a target.
    detail : str
        Explanation; starts with "not measured: " if there is no ratio.
    runs : dict
        All runs of both sides by name; the name includes the unit.
    """

    name: str
    peer: str
    ratio: float | None = None
    target: tuple[str, float] | None = None
    detail: str = ""
    runs: Runs = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target or a ratio."""
        if self.target is None or self.ratio is None:
            return None
        sign, bound = self.target
        return {">=": self.ratio >= bound, "<=": self.ratio <= bound, "<": self.ratio < bound}[sign]

    def document(self) -> dict[str, Any]:
        """The row for JSON, with medians, and the target as text."""
        medians = {name: statistics.median(values) for name, values in self.runs.items()}
        target = None if self.target is None else f"{self.target[0]} {self.target[1]:g}"
        return {**asdict(self), "target": target, "met": self.met, "medians": medians}


def in_turn(repeat: int, **measures: Callable[[], float]) -> Runs:
    """Run all measures in turn, ``repeat`` times, so that other load on the machine affects them equally."""
    runs: Runs = {name: [] for name in measures}
    for _ in range(repeat):
        for name, measure in measures.items():
            runs[name].append(measure())
    return runs


def machine() -> dict[str, Any]:
    """Description of the machine, the versions and the date."""
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    total = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu or platform.processor(),
        "cores": CORES,
        "memory_gb": round(total * 1024 / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "unpacker": _unpacker(),
        "s2ct": s2ct_convert.__version__,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _unpacker() -> str:
    """The unpacker that s2ct takes, and its program."""
    found = find_unpacker("auto")
    return f"{found.name} ({found.program})" if found.program else found.name


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def print_report(facts: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Print one line per fact, then the figures as a table."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for key, value in facts.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        console.print(f"{key}: {text}", highlight=False, markup=False)
    table = Table("what", "against")
    table.add_column("ratio", justify="right")
    table.add_column("target")
    table.add_column("")
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        target = "" if row.target is None else f"{row.target[0]} {row.target[1]:g}"
        met = {None: "", True: " met", False: " MISSED"}[row.met]
        table.add_row(row.name, row.peer, ratio, target + met, row.detail)
    console.print(table)


def write_json(path: Path, facts: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write facts and rows as JSON, with every run."""
    document = {**facts, "rows": [row.document() for row in rows]}
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
