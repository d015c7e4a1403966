"""``run`` runs ``s2ct`` as the ``s2ct`` of the conftest above does, only sooner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .forkserver import ForkServer


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Run ``s2ct`` in a process of its own that has its imports already; no terminal."""
    server = ForkServer(tmp_path_factory.mktemp("forked"))
    yield server
    server.close()
