"""The benchmark of mending completes, and every md5 is right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from archives.sevenzip import needs_7zip

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "bench_mend.py"


@pytest.mark.slow
@needs_7zip
def test_the_benchmark_of_mending_counts_requests_and_bytes(tmp_path):
    output = tmp_path / "mend.json"
    command = [sys.executable, str(SCRIPT), "--examples", "4", "--json", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())
    assert len(rows) == 27
    assert {row["right"] for row in rows} == {"yes"}
    assert all(row["requests"] >= 1 and row["bytes"] > 0 for row in rows)
    assert done.stdout.count("\n| ") == 27
