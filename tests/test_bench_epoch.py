"""The benchmark of epochs completes, and every reader reads the same; the tests do not check its figures."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "bench_epoch.py"
PEERS = ("zarr-python", "tensorstore", "webdataset", "litdata")


@pytest.mark.slow
def test_every_reader_has_wall_and_cpu_time_or_a_reason(tmp_path):
    options = ["--size", "4MB", "--repeat", "1", "--work", tmp_path, "--json", tmp_path / "b.json"]
    done = subprocess.run(list(map(str, [sys.executable, SCRIPT, *options])), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    rows = report["rows"]
    assert [(row["peer"], row["name"].rpartition(": ")[2]) for row in rows] == [
        (peer, kind) for _ in ("loop", "DataLoader") for peer in PEERS for kind in ("wall time", "CPU time")
    ]
    there = {peer: importlib.util.find_spec(peer.replace("zarr-python", "zarr")) is not None for peer in PEERS}
    for row in rows:
        if there[row["peer"]]:
            assert row["ratio"] > 0 and len(row["runs"]) == 2
        else:
            assert row["detail"] == f"not measured: {row['peer']} is not installed"
    missing = [peer for peer in PEERS if not there[peer]]
    assert report["not installed"] == (", ".join(missing) or "none")
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"], "nothing is left behind"


@pytest.mark.slow
def test_a_reader_of_other_pixels_ends_the_benchmark(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import bench_epoch

    answers = iter([5, 5, 6])
    monkeypatch.setattr(
        bench_epoch, "_child", lambda *_: json.dumps({"wall": 1.0, "cpu": 1.0, "pixels": next(answers)})
    )
    with pytest.raises(SystemExit, match="tensorstore has read other pixels"):
        bench_epoch.run_all(tmp_path, Path(sys.executable), ["zarr-python", "tensorstore"], 1)
