"""The scripts of docs/training.md run as they are: on one device, on two ranks, and after a stop."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import s2ct_convert

pytest.importorskip("torch", reason="PyTorch is not installed")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def script(folder: Path, name: str) -> Path:
    """A script of the page, in a folder with a store."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (code,) = [block for block in blocks if name in block.partition("\n")[0]]
    (folder / "script.py").write_text(code)
    return folder / "script.py"


@pytest.fixture
def folder(tmp_path, sample_stores) -> Path:
    (tmp_path / "clouds.zarr").symlink_to(sample_stores["zarr"])
    return tmp_path


def run(path: Path, *before: str) -> str:
    done = subprocess.run(
        [sys.executable, *before, path.name], cwd=path.parent, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_script_for_one_gpu_trains(folder):
    assert len(re.findall(r"epoch \d: 4 batches, last loss \d+\.\d+", run(script(folder, "# train.py")))) == 2


@pytest.mark.slow
def test_the_script_for_several_gpus_evaluates_every_observation_once(folder):
    out = run(script(folder, "# train_ddp.py"), "-m", "torch.distributed.run", "--nproc-per-node", "2")
    with s2ct_convert.open_store(folder / "clouds.zarr") as store:
        known = sum(int((unit.label >= 0).sum()) for name, unit in store.units.items() if name.startswith("val"))
    assert re.search(rf"^\d+ of {known} observations right$", out, re.MULTILINE), out


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_script_ends_like_an_uninterrupted_one(folder, stop):
    """It saves a checkpoint after two and after four batches; the latter is the end of an epoch."""
    path = script(folder, "# train_resume.py")
    text = path.read_text()
    whole = run(path).splitlines()
    (folder / "checkpoint.pt").unlink()
    stopping = "CHECKPOINT); EVERY -= 1; EVERY or sys.exit()"
    changed = text.replace("def main():", f"import sys\nSAVES = {stop}\n\ndef main():\n    global SAVES", 1)
    changed = changed.replace("CHECKPOINT)\n", stopping.replace("EVERY", "SAVES") + "\n")
    path.write_text(changed)
    first = run(path).splitlines()
    path.write_text(text)
    words, *rest = run(path).splitlines()
    assert words == f"resumes in epoch 0 after {2 * stop} batches"
    assert len(first) == 2 * stop
    assert first + rest == whole


@pytest.mark.slow
def test_the_script_that_selects_and_prepares_runs(folder):
    out = run(script(folder, "from functools"))
    assert "float32" in out
    assert re.search(r"torch.Size\(\[4, \d+, 4, 6, 6\]\) torch.Size\(\[4, \d+, 6, 6\]\)", out), out


@pytest.mark.slow
def test_the_script_for_batches_by_length_keeps_its_limit(folder):
    lines = run(script(folder, "# train_by_length.py")).splitlines()
    found = [[int(a) * int(b) for a, b in re.findall(r"\((\d+), (\d+)\)", line)] for line in lines[:2]]
    assert max(map(max, found)) <= 200
    assert lines[2] == f"steps of a schedule: {sum(map(len, found))}"
    for line, sizes in zip(lines, found, strict=False):
        assert f": {len(sizes)} batches" in line


@pytest.mark.slow
def test_the_script_for_single_images_draws_classes_equally_often(folder):
    out = run(script(folder, "# train_images.py"))
    drawn = [int(one) for one in re.findall(r"images, (\d+) an epoch", out)]
    assert len(drawn) > 2
    assert max(drawn) - min(drawn) <= 1
    assert len(re.findall(r"epoch \d: \d+ batches, last loss \d+\.\d+", out)) == 2


@pytest.mark.slow
def test_the_script_that_chooses_samples_runs(folder):
    (line,) = run(script(folder, "import s2ct_convert")).splitlines()
    assert re.fullmatch(r"\d+ \d+ \d+ \[86, 90\]", line)
