"""The benchmark completes and gives ratios; the tests do not check their values."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from twins import first_quick

import s2ct_convert
from s2ct_convert.archives.unpackers import find_programs
from s2ct_convert.threads import cores

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def bench_input(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import bench_input

    return bench_input


def run_bench(folder, *options):
    command = [sys.executable, SCRIPTS / "bench.py", "--size", "4MB", "--repeat", "1", "--work", folder, *options]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=280)


@pytest.mark.slow
def test_every_benchmark_gives_a_ratio_or_a_reason(tmp_path):
    if (SCRIPTS.parent / ".venv-tensorflow").exists():
        pytest.skip("TensorFlow is installed")
    done = run_bench(tmp_path, "--json", tmp_path / "b.json", "--picture", tmp_path / "b.png")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    assert report["cores"] > 0
    assert report["source_bytes"] >= 4_000_000
    assert {"cpu", "memory_gb", "load_at_start", "python", "packages", "date", "command", "pixels"} <= report.keys()
    beginnings = Counter(row["name"].split()[0] for row in report["rows"])
    archives = {".7z": 16, "8": 3, "verify": 2} if find_programs() else {".7z": 1, "8": 1}
    assert beginnings == {"read": 1, "TFRecord": 9, "...": 6, "bound:": 2, "peak": 4, "s2ct": 2, **archives}
    for row in report["rows"]:
        if row["ratio"] is None:
            assert row["name"].startswith(("read examples", "TFRecord to Zarr, whole", ".7z"))
            assert row["detail"].startswith("not measured: no ")
        else:
            assert math.isfinite(row["ratio"])
            assert row["ratio"] > 0 or row["name"].endswith("without the start")  # a difference of times; small here
            assert row["runs"]
        for name, values in row["runs"].items():
            assert min(values) > 0
            assert row["medians"][name] == statistics.median(values)
        assert (row["met"] is None) == (row["target"] is None or row["ratio"] is None)
    assert "not measured: no TensorFlow here" in done.stdout
    assert all(0 < one["ratio"] < 1.001 and min(one["encode"], one["decode"]) > 0 for one in report["codecs"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json", "b.png"]
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_child_does_not_inherit_the_memory_of_the_benchmark(tmp_path):
    held = np.ones(400 << 20, np.uint8)
    command = [sys.executable, "-I", str(SCRIPTS / "bench_child.py"), "0", sys.executable, "-c", "print('said')"]
    usage = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert usage["peak_bytes"] < 100e6 < held.nbytes
    assert usage["stdout"] == "said\n"
    assert usage["seconds"] > 0


def test_an_unknown_benchmark_is_refused_with_the_known_names(tmp_path):
    done = run_bench(tmp_path, "--only", "zarr,speed")
    assert done.returncode == 2
    assert "no benchmark speed; there are parse, zarr" in done.stderr


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("1.5 GB", 1_500_000_000), ("4", 4_000_000), ("20kb", 20_000)]
)
def test_sizes_are_decimal_and_mean_megabytes_without_a_unit(bench_input, text, size):
    assert bench_input.parse_size(text) == size


@pytest.mark.parametrize("real", first_quick([True, False]), ids=["real", "synthetic"])
def test_the_input_is_reproducible_and_has_the_published_form(tmp_path, monkeypatch, bench_input, real):
    if real and not bench_input.SCENES.exists():
        pytest.skip("the scenes are not available")
    if not real:
        monkeypatch.setattr(bench_input, "SCENES", tmp_path / "nowhere")
    one, two = (bench_input.make_input(tmp_path / folder, 6_000_000) for folder in ("a", "b"))
    other = bench_input.make_input(tmp_path / "c", 6_000_000, seed=1)
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    assert one.stat().st_size >= 6_000_000
    examples = list(s2ct_convert.read_examples(one))
    assert one.name == f"train_50SMG_{len(examples)}"
    ids = [int(example["localid"]) for example in examples]
    assert ids == sorted(ids)
    assert all(1 <= n <= 3 for n in Counter(ids).values())
    for example in examples:
        n = len(example["dates"])
        assert 0 < n <= 100
        assert example["imgs"].shape == (n, 4, 42, 42)
        assert example["labels"].shape == example["weights"].shape == (n,)
        assert np.isin(example["labels"], range(6)).all()
        assert (np.diff(example["dates"]) > 0).all()
    observations = np.concatenate([example["imgs"] for example in examples]).reshape(-1, 4 * 42 * 42)
    assert len(np.unique(observations, axis=0)) == len(observations)


@pytest.mark.slow
def test_shuffled_input_has_the_same_records_in_another_order(tmp_path, bench_input):
    whole = bench_input.make_input(tmp_path / "whole", 6_000_000)
    mixed = bench_input.shuffled(whole, tmp_path / "mixed")
    assert mixed.name == whole.name

    def keys(path):
        return [(int(e["localid"]), e["imgs"].tobytes()) for e in s2ct_convert.read_examples(path)]

    assert keys(mixed) != keys(whole)
    assert sorted(keys(mixed)) == sorted(keys(whole))


@pytest.mark.slow
def test_the_benchmark_of_cores_gives_ratios(tmp_path):
    command = [sys.executable, SCRIPTS / "bench_cores.py", "--size", "1MB", "--cores", "1,2", "--repeat", "1"]
    done = subprocess.run([*command, "--work", tmp_path, "--json", tmp_path / "c.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "c.json").read_text())["rows"]
    assert len(rows) == (1 + bool(find_programs()) if cores() > 1 else 0)
    assert all(row["ratio"] > 0 for row in rows)
