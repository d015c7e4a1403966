"""Files that tests put into a folder are new; looking whether they grow takes no second here."""

from __future__ import annotations

import pytest

from s2ct_convert.record import others


@pytest.fixture(autouse=True)
def _short_look(monkeypatch):
    monkeypatch.setattr(others, "WATCH_SECONDS", 0.02)
