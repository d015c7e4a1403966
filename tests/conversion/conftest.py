"""An empty bucket for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.made_bucket import environment
from servers.objects import Bucket, serve

from s2ct_convert.objects import service


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket ``b`` in the environment, and a current folder to work in."""
    with serve(tmp_path / "served") as served:
        for name, value in environment(served).items():
            monkeypatch.setenv(name, value)
        service._client.cache_clear()
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        yield served
