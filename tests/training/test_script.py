"""The example script trains with real torch and prints its loss."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_classifier.py"


def losses(*options: str) -> list[float]:
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [float(loss) for loss in re.findall(r"loss (\d+\.\d+)", done.stdout)]


@pytest.mark.slow
def test_one_epoch_on_the_bundled_sample_has_finite_losses():
    train, val = losses()
    assert 0 < train < 5
    assert 0 < val < 5


@pytest.mark.slow
def test_the_loss_falls_and_is_the_same_for_a_seed():
    first = losses("--epochs", "3", "--seed", "4")
    assert first[2] < first[0]
    assert losses("--epochs", "3", "--seed", "4") == first
