"""The benchmark of buckets completes and gives ratios; the tests check the requests, and not the times."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("obstore")
SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "bench_cloud.py"


@pytest.mark.slow
def test_samples_from_a_bucket_take_few_requests(tmp_path):
    words = ["--size", "12MB", "--repeat", "1", "--samples", "5", "--delay", "1", "--json", tmp_path / "b.json"]
    done = subprocess.run(list(map(str, [sys.executable, SCRIPT, *words])), capture_output=True, text=True)
    if done.stderr.startswith("not measured"):
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert len(rows) == 3
    for row in rows:
        assert row["ratio"] > 0 or row["detail"].startswith("not measured: ")
    requests = [re.search(r"(\d+) against (\d+) requests", row["detail"]) for row in rows]
    ours = [int(found[1]) for found in requests if found]
    assert max(ours[:2]) <= 1 + 5, "the index of the one shard, and at most one for each sample"
