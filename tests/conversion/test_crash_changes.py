"""A conversion killed while it replaces units of a complete store leaves the old store, the new one, or none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert

DRIVER = Path(__file__).with_name("crash_changes.py")
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    """Sources of a unit, of the same unit with other content, and of another unit."""
    rng = np.random.default_rng(37)
    folder = tmp_path_factory.mktemp("in")
    return [
        write_tfrecord(folder / "old", [random_group(rng, i, 2) for i in (1, 2)]),
        write_tfrecord(folder / "new", [random_group(rng, i, 3) for i in (4, 2)]),
        write_tfrecord(folder / "old", [random_group(rng, 1, 3)], unit="val_50SMG"),
    ]


@pytest.mark.parametrize(
    ("suffix", "linked", "how", "stride"),
    [
        ("zarr", "whole", "changed", 97),
        ("h5", "whole", "overwrite", 31),
        pytest.param("h5", "whole", "overwrite", 5, marks=slow),
        pytest.param("zarr", "whole", "overwrite", 23, marks=slow),
        pytest.param("zarr", "whole", "changed", 5, marks=slow),
        pytest.param("zarr", "whole", "reverted", 5, marks=slow),
        pytest.param("h5", "whole", "changed", 1, marks=slow),
        pytest.param("h5", "whole", "reverted", 1, marks=slow),
        pytest.param("h5", "linked", "changed", 1, marks=slow),
        pytest.param("h5", "linked", "reverted", 1, marks=slow),
        pytest.param("h5", "linked", "overwrite", 3, marks=slow),
    ],
)
@pytest.mark.slow
def test_a_kill_while_replacing_units_loses_only_unfinished_work(tmp_path, sources, suffix, linked, how, stride):
    command = [sys.executable, str(DRIVER), suffix, linked, how, str(stride), str(tmp_path), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) > 20


DIE_BEFORE_THE_ENTRY = """
import os, signal, sys
import s2ct_convert
real = os.rename
def replace(old, new):
    if os.path.basename(new) == "train_50SMG.json":
        os.kill(os.getpid(), signal.SIGKILL)
    real(old, new)
os.rename = replace
s2ct_convert.convert(sys.argv[2:], sys.argv[1], linked=sys.argv[1].endswith(".h5"))
"""


@pytest.mark.parametrize("name", ["x.zarr", "x.h5"])
def test_a_new_unit_without_an_entry_is_not_taken_for_the_old_one(tmp_path, sources, name):
    """The old entry must be deleted before the old unit: it would match the new unit once the old source is back."""
    old = Path(shutil.copy2(sources[0], tmp_path))
    _, new, other = sources
    store, linked = tmp_path / name, name.endswith(".h5")
    right = s2ct_convert.convert([old, other], store, linked=linked).digest
    shutil.copy2(new, old)
    command = [sys.executable, "-c", DIE_BEFORE_THE_ENTRY, str(store), str(old), str(other)]
    died = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert died.returncode == -9, died.stderr
    shutil.copy2(sources[0], old)
    summary = s2ct_convert.convert([old, other], store, linked=linked)
    assert [entry.unit for entry in summary.converted] == ["train/50SMG"]
    assert summary.digest == right == plain.store_digest(store)
