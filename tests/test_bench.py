"""The benchmark runs to its end and gives ratios; what the ratios are is not a test."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

import s2ct_convert

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.mark.slow
def test_every_benchmark_gives_a_ratio_or_says_why_not(tmp_path):
    command = [sys.executable, str(SCRIPTS / "bench.py"), "--size", "8", "--repeat", "1", "--work", str(tmp_path)]
    done = subprocess.run([*command, "--json", str(tmp_path / "b.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    assert report["cores"] > 0
    assert report["source_bytes"] > 4_000_000
    names = " ".join(row["name"] for row in report["rows"])
    for word in ("TFRecord to Zarr", "parse", "TFRecord to HDF5", "memory", "s2ct --help"):
        assert word in names
    for row in report["rows"]:
        if row["ratio"] is None:
            assert row["detail"].startswith("not measured: ")
        else:
            assert math.isfinite(row["ratio"])
            assert row["ratio"] > 0
        assert row["name"] in done.stdout
    assert not list(tmp_path.glob("s2ct-bench-*"))


@pytest.mark.parametrize("real", [True, False])
def test_the_input_is_the_same_each_time_and_can_be_read(tmp_path, monkeypatch, real):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import bench_input

    if real and not bench_input.MAKER.exists():
        pytest.skip("the maker of data from real pixels is not here")
    if not real:
        monkeypatch.setattr(bench_input, "MAKER", tmp_path / "nowhere")
    one, two = (bench_input.make_input(tmp_path / folder, 4_000_000) for folder in ("a", "b"))
    assert one.read_bytes() == two.read_bytes()
    mixed = bench_input.shuffled(one, tmp_path / "mixed")
    assert mixed.read_bytes() != one.read_bytes()
    for path in (one, mixed):
        assert len(list(s2ct_convert.read_examples(path))) == int(path.name.split("_")[2])
