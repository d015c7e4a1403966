"""The arithmetic of scripts/simulate_scale.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def simulation(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import simulate_scale

    return simulate_scale


def test_no_schedule_beats_the_largest_unit_or_all_workers_together(simulation):
    rng = np.random.default_rng(3)
    for workers in (1, 3, 50, 500):
        seconds = rng.lognormal(0, 1, 200)
        ordered = np.sort(seconds)[::-1].tolist()
        took = simulation.makespan(ordered, workers, 0.0)
        bound = max(seconds.max(), seconds.sum() / workers)
        assert bound <= took * (1 + 1e-9)
        assert took <= bound * (4 / 3) + 1e-9, "largest first is at most a third worse (Graham 1969)"
    assert simulation.makespan(ordered, 1, 0.0) == pytest.approx(sum(ordered))


def test_a_slow_scheduler_sets_the_time(simulation):
    assert simulation.makespan([1.0] * 100, 100, 0.5) == pytest.approx(51.0)


def test_the_same_seed_gives_the_same_result_and_sizes_add_up(simulation):
    record, costs = simulation.Record(), simulation.Costs()
    one, two = (simulation.simulate(10, 8, costs, record) for _ in range(2))
    assert one == two
    assert one != simulation.simulate(10, 8, costs, record, seed=2)
    sizes = simulation.sizes(record, 10, np.random.default_rng(1))
    assert len(sizes) == 720
    assert sizes.sum() == pytest.approx(10 * record.bytes)


def test_the_script_prints_one_row_per_case():
    command = [sys.executable, str(SCRIPTS / "simulate_scale.py"), "--scale", "1,10", "--workers", "2,8"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert out.count("│ 72 ") == out.count("│ 720 ") == 2
