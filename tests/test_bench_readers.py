"""The benchmark of readers completes and gives ratios; the tests do not check their values."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "bench_readers.py"


def test_every_row_has_a_ratio_or_a_reason(tmp_path):
    options = ["--size", "4MB", "--repeat", "1", "--samples", "2", "--work", tmp_path, "--json", tmp_path / "b.json"]
    done = subprocess.run(list(map(str, [sys.executable, SCRIPT, *options])), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    assert len(report["rows"]) == 11
    for row in report["rows"]:
        if row["ratio"] is None:
            assert row["detail"].startswith("not measured: ")
        else:
            assert math.isfinite(row["ratio"])
            assert row["ratio"] > 0
            assert row["runs"]
    assert "not measured: no TensorFlow here" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]
