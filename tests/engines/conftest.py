"""Dask processes for tests. Without Dask, these tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


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
    """A scheduler with two workers, one with a nanny, for tests that do not stop them."""
    pytest.importorskip("distributed")
    from .dask_processes import DaskProcesses

    processes = DaskProcesses(tmp_path_factory.mktemp("crew"))
    processes.start_worker(nanny=True)
    processes.start_worker()
    processes.admin.wait_for_workers(2, timeout=60)
    yield processes
    processes.close()
