"""Dask processes for the tests that need them; they are skipped where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import random_group, tfrecord_bytes

UNITS = ("train_31TCJ", "train_34VFN", "train_50SMG", "val_50SMG")


@pytest.fixture
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A scheduler without workers, for one test."""
    pytest.importorskip("distributed")
    from .dask_processes import DaskProcesses

    processes = DaskProcesses(tmp_path_factory.mktemp("dask"))
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A scheduler with two workers, one with a nanny, for tests that leave them as they are."""
    pytest.importorskip("distributed")
    from .dask_processes import DaskProcesses

    processes = DaskProcesses(tmp_path_factory.mktemp("crew"))
    processes.start_worker(nanny=True)
    processes.start_worker()
    processes.admin.wait_for_workers(2, timeout=60)
    yield processes
    processes.close()


@pytest.fixture(scope="session")
def long_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of 17 MB each, whose samples come in pieces, so that a unit takes two passes."""
    rng, folder = np.random.default_rng(61), tmp_path_factory.mktemp("long")
    data = tfrecord_bytes([random_group(rng, localid, 50) for localid in (3, 1, 2, 0)]) * 6
    for unit in UNITS:
        (folder / f"{unit}_24").write_bytes(data)
    return folder
