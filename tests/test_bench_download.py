"""The benchmark of downloads completes and gives ratios; the tests do not check their values."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "bench_download.py"


def bench(*options: object, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("md5sum")), reason="it needs curl and md5sum")
@pytest.mark.slow
def test_the_benchmark_gives_ratios_and_leaves_no_files(tmp_path):
    output = tmp_path / "b.json"
    done = bench("--size", "300kB", "--files", 3, "--repeat", 2, "--work", tmp_path, "--json", output)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert {"date", "cpu", "python", "s2ct"} <= report.keys()
    assert (report["size"], report["files"], report["repeat"]) == (300_000, 3, 2)
    speed, memory = report["rows"]
    assert set(speed["runs"]) == {"ours_seconds", "curl_seconds"}
    assert set(memory["runs"]) == {"peak_mb"}
    for row in (speed, memory):
        assert math.isfinite(row["ratio"])
        assert row["ratio"] > 0
        assert row["met"] in (True, False)
        for name, values in row["runs"].items():
            assert len(values) == 2
            assert min(values) > 0
            assert row["medians"][name] == statistics.median(values)
    ours, curl = (speed["medians"][name] for name in ("ours_seconds", "curl_seconds"))
    assert speed["ratio"] == pytest.approx(ours / curl)
    assert memory["ratio"] == pytest.approx(max(memory["runs"]["peak_mb"]) / 120)
    assert "curl and md5sum" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_without_curl_the_benchmark_gives_a_reason(tmp_path):
    done = bench("--size", "1kB", "--work", tmp_path, env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr == "not measured: this needs curl and md5sum\n"
