"""A store of many short samples for the tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 37 samples of 1 to 8 observations in two units. Not to be changed by a test."""
    rng, folder = np.random.default_rng(8), tmp_path_factory.mktemp("many")
    sources = [
        write_tfrecord(folder, [random_group(rng, i, int(rng.integers(1, 9))) for i in range(n)], unit=unit)
        for unit, n in (("train_50SMG", 30), ("train_31TCJ", 7))
    ]
    s2ct_convert.convert(sources, folder / "many.zarr")
    return folder / "many.zarr"
