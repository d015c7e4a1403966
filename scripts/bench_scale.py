"""Measures how finalise, opening and status grow with the number of units: time, memory and files, by kind of store.

The units have one sample each (scale_store.py). Each measurement is a separate process. Linear growth shows as constant
seconds per unit.

usage: python scripts/bench_scale.py [--units 100,1000,10000] [--kinds zarr,linked,hdf5] [--work DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_report import machine
from rich.console import Console
from rich.table import Table
from scale_store import KINDS, make_store

_CHILD = Path(__file__).with_name("bench_child.py")
PROGRAMS = {
    "finalise": "from pathlib import Path; from s2ct_convert.conversion.batch_finalise import finalise_batch; "
    "finalise_batch(Path({store!r}), command='bench')",
    "open": "import s2ct_convert; s = s2ct_convert.open_store({store!r}); assert len(s.samples) == {n}",
    "a sample": "import s2ct_convert; s = s2ct_convert.open_store({store!r}); u = s[list(s.units)[{n} // 2]]; "
    "assert len(u.sample(u.localid[0]).image)",
    "status": "from pathlib import Path; from s2ct_convert.conversion.batch_status import batch_status; "
    "assert batch_status(Path({store!r})).finished",
    "info": "import sys; from s2ct_convert.cli import main; sys.argv = ['s2ct', 'info', {store!r}]; main()",
}


def measure(store: Path, n: int) -> dict[str, Any]:
    """Seconds and peak memory of each program, and the number of files and bytes of the store."""
    out: dict[str, Any] = {}
    for name, program in PROGRAMS.items():
        code = program.format(store=str(store), n=n)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-I", str(_CHILD), "0", sys.executable, "-c", code], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{name} of {store.name} failed:\n{done.stderr}")
        usage = json.loads(done.stdout)
        out[name] = {"seconds": round(usage["seconds"], 3), "mb": round(usage["peak_bytes"] / 1e6)}
        print(f"{store.name}: {name} {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    out["names"], out["bytes"] = _disk(store)
    return out


def _disk(store: Path) -> tuple[int, int]:
    names = size = 0
    for root in store.parent.glob(f"{store.name}*"):
        for path in (root, *root.rglob("*")):
            names += 1
            size += path.stat().st_size if path.is_file() else 0
    return names, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", default="100,1000,10000")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--work", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    counts = [int(text) for text in options.units.split(",")]
    report: dict[str, Any] = {**machine(), "command": " ".join(["python scripts/bench_scale.py", *sys.argv[1:]])}
    rows = []
    with tempfile.TemporaryDirectory(dir=options.work, prefix="s2ct-scale-") as work:
        for kind in options.kinds.split(","):
            for n in counts:
                folder = Path(work) / f"{kind}-{n}"
                store = make_store(folder, kind, n)
                rows.append({"kind": kind, "units": n, **measure(store, n)})
                shutil.rmtree(folder)
    report["rows"] = rows
    for key in ("date", "cpu", "cores", "command"):
        print(f"{key}: {report[key]}")
    table = Table("store", "units", *(f"{name} s" for name in PROGRAMS), "finalise us/unit", "most MB", "names", "MB")
    for row in rows:
        seconds = [f"{row[name]['seconds']:.2f}" for name in PROGRAMS]
        most = max(row[name]["mb"] for name in PROGRAMS)
        each = f"{row['finalise']['seconds'] / row['units'] * 1e6:,.0f}"
        columns = (each, f"{most:,}", f"{row['names']:,}", f"{row['bytes'] / 1e6:,.0f}")
        table.add_row(row["kind"], f"{row['units']:,}", *seconds, *columns)
    Console(width=160).print(table)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
