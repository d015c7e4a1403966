"""Finalise, status and info take four times the steps for four times the units, not sixteen times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twins import first_quick

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
FEW = {"zarr": 20, "hdf5": 20, "linked": 100}  # quadratic growth shows only with many units
MORE, TOLERANCE = 4, 1.05
SLACK = (50_000, 50_000, 100, 100, 0)  # bytes read, bytes written, reads, writes, function calls

COUNT = """
import sys
from pathlib import Path
from s2ct_convert.conversion.batch_finalise import finalise_batch
from s2ct_convert.conversion.batch_status import batch_status
from s2ct_convert.conversion.describe import describe

calls = 0

def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")

def steps():
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return {**{name: int(io[name]) for name in ("rchar", "wchar", "syscr", "syscw")}, "calls": calls}

store = Path(sys.argv[1])
for work in (lambda: finalise_batch(store, command="a test"), lambda: batch_status(store), lambda: describe(store)):
    before = steps()
    sys.setprofile(count)
    work()
    sys.setprofile(None)
    print(*(steps()[name] - before[name] for name in before))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts reads and writes in /proc")
@pytest.mark.parametrize("kind", first_quick(list(FEW)))
def test_four_times_the_units_take_four_times_the_steps(tmp_path, monkeypatch, kind):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from scale_store import make_store

    counted = []
    for n in (FEW[kind], MORE * FEW[kind]):
        store = make_store(tmp_path / str(n), kind, n)
        done = subprocess.run([sys.executable, "-c", COUNT, str(store)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        counted.append([list(map(int, line.split())) for line in done.stdout.splitlines()])
    for few, many in zip(*counted, strict=True):
        for one, other, slack in zip(few, many, SLACK, strict=True):
            assert other <= TOLERANCE * MORE * one + slack, (kind, counted)
