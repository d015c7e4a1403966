"""The example script learns on the bundled sample, and resumes.

The sample is synthetic, so the figures say nothing about real clouds.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_classifier.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_classifier", SCRIPT)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*options: object) -> str:
    command = [sys.executable, SCRIPT, "--device", "cpu", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def losses(out: str) -> list[str]:
    return re.findall(r"epoch +\d+: loss (\d\.\d{3})", out)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_classifier_beats_the_majority_class_for_each_seed(script, sample_stores, seed):
    """38 % of the labels are clear, so a constant answer is right in 38 %, and its balanced accuracy is 1/6."""
    result = script.train(sample_stores["zarr"], script.Options(seed=seed, device="cpu"))
    assert result.accuracy > result.majority + 0.2
    assert result.balanced > 0.5
    assert result.macro_f1 > 0.4


@pytest.mark.slow
def test_the_script_prints_each_loss_and_is_the_same_for_a_seed():
    first = run("--epochs", 3, "--seed", 4)
    assert len(losses(first)) == 3
    assert float(losses(first)[2]) < float(losses(first)[0])
    assert re.search(r"^val accuracy 0\.\d\d, majority class 0\.38$", first, re.MULTILINE)
    assert max(map(len, first.splitlines())) <= 80
    assert run("--epochs", 3, "--seed", 4) == first


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_training_ends_like_an_uninterrupted_one(script, sample_stores, tmp_path, workers):
    store, checkpoint = sample_stores["zarr"], tmp_path / "checkpoint.pt"
    whole = run(store, "--epochs", 3)
    options = script.Options(epochs=3, workers=workers, device="cpu", checkpoint=checkpoint)
    stopped = script.Training(store, options)
    first = stopped.epoch(0)
    stopped.save(checkpoint)
    rest = run(store, "--epochs", 3, "--workers", workers, "--checkpoint", checkpoint)
    assert [f"{first:.3f}", *losses(rest)] == losses(whole)
    assert rest.partition("val")[2] == whole.partition("val")[2]


def test_the_scores_do_not_depend_on_the_padding(script):
    """A series gets the same scores alone and beside a longer one."""
    torch.manual_seed(0)
    model = script.Classifier(torch.full((4,), 2000.0), torch.full((4,), 1000.0)).eval()
    image, days = torch.rand(2, 5, 4, 42, 42) * 4000, torch.arange(17500, 17550, 10).reshape(1, 5).repeat(2, 1)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    with torch.no_grad():
        both = model(image, days * mask, mask)
        alone = model(image[1:, :3], days[1:, :3], mask[1:, :3])
    assert torch.allclose(both[1, :3], alone[0], atol=1e-5)


def test_the_result_has_the_usual_measures(script):
    """Worked by hand: class 0 has 3 of 4 found, class 1 has 1 of 2 found, the others do not occur."""
    confusion = torch.zeros(6, 6, dtype=torch.int64)
    confusion[0, 0], confusion[0, 1], confusion[1, 1], confusion[1, 0] = 3, 1, 1, 1
    found: Any = script.Result(confusion)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.majority == pytest.approx(4 / 6)
    assert found.balanced == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found.macro_f1 == pytest.approx((6 / 8 + 2 / 4) / 2)
