"""A service that counts requests and refuses what passes its limit: a run makes it refuse none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers.zenodo import RECORD, Handler, Limit, StandIn, good, serving
from twins import first_quick

from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import download

from .test_fetching import QUICK

COUNTED, WINDOW = 0.3, 0.9  # seconds: of the service, and of the budget; a busy machine is late
FILES = {f"train_{zone:02}SMG_1.7z": np.random.default_rng(zone).bytes(50 + zone) for zone in range(1, 27)}


@pytest.fixture
def zenodo() -> Iterator[StandIn]:
    with serving(FILES) as stand_in:
        yield stand_in


def fetch(zenodo: StandIn, folder: Path, *, lanes: int = 6) -> float:
    """All files, with a budget that knows of no limit but what it is told; the seconds it took."""
    began = time.monotonic()
    download(
        folder,
        record=RECORD,
        base_url=zenodo.url,
        policy=QUICK,
        lanes=lanes,
        budget=Budget(limit=100_000, window=WINDOW),
    )
    assert {path.name: path.read_bytes() for path in folder.glob("*.7z")} == zenodo.files
    return time.monotonic() - began


@pytest.mark.parametrize("lanes", first_quick([16, 1, 6]))
def test_a_limit_that_is_told_is_never_passed(zenodo, tmp_path, lanes):
    zenodo.limit = Limit(12, COUNTED)
    seconds = fetch(zenodo, tmp_path, lanes=lanes)
    assert zenodo.limit.refused == 0
    assert zenodo.limit.most <= 12
    assert len(zenodo.requests) == 1 + 26
    assert seconds > 2 * WINDOW  # 27 requests are three windows of 12


def test_the_stand_in_refuses_what_passes_its_limit(zenodo, tmp_path):
    """Or the tests here would prove nothing."""
    zenodo.limit = Limit(12, COUNTED, told=False)
    fetch(zenodo, tmp_path)
    assert zenodo.limit.refused > 0
    assert len(zenodo.requests) == 1 + 26 + zenodo.limit.refused


def elsewhere_first(handler: Handler, data: bytes, start: int) -> None:
    """A redirect to the same host."""
    path = handler.path.replace("/api", "").removesuffix("/content")
    handler.answer(302, b"", {"Location": f"{path}?download=1"})


def test_redirects_are_requests_too(zenodo, tmp_path):
    zenodo.limit = Limit(12, COUNTED)
    zenodo.vices = {key: [elsewhere_first, good] for key in FILES}
    fetch(zenodo, tmp_path)
    assert len(zenodo.requests) == 1 + 2 * 26
    assert zenodo.limit.refused == 0


def test_so_are_requests_that_fail(zenodo, tmp_path):
    def busy(handler: Handler, data: bytes, start: int) -> None:
        handler.answer(500, b"")

    zenodo.limit = Limit(12, COUNTED)
    zenodo.vices = {key: [busy, good] for key in FILES}
    fetch(zenodo, tmp_path)
    assert len(zenodo.requests) == 1 + 2 * 26
    assert zenodo.limit.refused == 0


def test_when_others_at_the_same_address_have_used_it_up_nothing_is_asked_until_the_reset(zenodo, tmp_path):
    zenodo.limit = Limit(30, COUNTED)
    zenodo.limit.others(29)
    assert fetch(zenodo, tmp_path) > COUNTED
    assert zenodo.limit.refused == 0


def test_when_it_refuses_without_having_told_each_lane_learns_it_once(zenodo, tmp_path):
    zenodo.limit = Limit(60, seconds=0.8, told=False)
    zenodo.limit.others(59)
    fetch(zenodo, tmp_path, lanes=4)
    assert 1 <= zenodo.limit.refused <= 4
    assert all(len(zenodo.asked(key)) <= 2 for key in FILES)


def test_what_is_here_is_not_asked_for_again(zenodo, tmp_path):
    fetch(zenodo, tmp_path)
    zenodo.requests.clear()
    for key in list(FILES)[:3]:
        (tmp_path / key).unlink()
    fetch(zenodo, tmp_path)
    assert len(zenodo.requests) == 1 + 3
