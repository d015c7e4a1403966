"""A service that refuses requests above its limit: a run stays below the limit."""

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

COUNTED, WINDOW = 0.3, 0.9  # windows of the service and of the budget, in seconds; a busy machine is late
FILES = {f"train_{zone:02}SMG_1.7z": np.random.default_rng(zone).bytes(50 + zone) for zone in range(1, 27)}


@pytest.fixture
def zenodo() -> Iterator[StandIn]:
    with serving(FILES) as stand_in:
        yield stand_in


def fetch(zenodo: StandIn, folder: Path, *, lanes: int = 6) -> float:
    """Download all files with a budget that knows no limit but that in the headers; returns the seconds."""
    began = time.monotonic()
    download(
        folder,
        record=RECORD,
        base_url=zenodo.url,
        policy=QUICK,
        jobs=lanes,
        budget=Budget(limit=100_000, window=WINDOW),
    )
    assert {path.name: path.read_bytes() for path in folder.glob("*.7z")} == zenodo.files
    return time.monotonic() - began


@pytest.mark.parametrize("lanes", first_quick([16, 1, 6]))
def test_a_limit_in_the_headers_is_never_exceeded(zenodo, tmp_path, lanes):
    zenodo.limit = Limit(12, COUNTED)
    seconds = fetch(zenodo, tmp_path, lanes=lanes)
    assert zenodo.limit.refused == 0
    assert zenodo.limit.most <= 12
    assert len(zenodo.requests) == 1 + 26
    assert seconds > 2 * WINDOW  # 27 requests are three windows of 12


def test_the_stand_in_refuses_requests_above_its_limit(zenodo, tmp_path):
    """Otherwise the tests here prove nothing."""
    zenodo.limit = Limit(12, COUNTED, told=False)
    fetch(zenodo, tmp_path)
    assert zenodo.limit.refused > 0
    assert len(zenodo.requests) == 1 + 26 + zenodo.limit.refused


def elsewhere_first(handler: Handler, data: bytes, start: int) -> None:
    """A redirect to the same host."""
    path = handler.path.replace("/api", "").removesuffix("/content")
    handler.answer(302, b"", {"Location": f"{path}?download=1"})


def test_redirects_count_as_requests(zenodo, tmp_path):
    zenodo.limit = Limit(12, COUNTED)
    zenodo.vices = {key: [elsewhere_first, good] for key in FILES}
    fetch(zenodo, tmp_path)
    assert len(zenodo.requests) == 1 + 2 * 26
    assert zenodo.limit.refused == 0


def test_failed_requests_count_as_requests(zenodo, tmp_path):
    def busy(handler: Handler, data: bytes, start: int) -> None:
        handler.answer(500, b"")

    zenodo.limit = Limit(12, COUNTED)
    zenodo.vices = {key: [busy, good] for key in FILES}
    fetch(zenodo, tmp_path)
    assert len(zenodo.requests) == 1 + 2 * 26
    assert zenodo.limit.refused == 0


def test_requests_wait_when_others_have_used_up_the_limit(zenodo, tmp_path):
    zenodo.limit = Limit(30, COUNTED)
    zenodo.limit.others(29)
    assert fetch(zenodo, tmp_path) > COUNTED
    assert zenodo.limit.refused == 0


def test_a_refusal_without_headers_happens_once_a_lane(zenodo, tmp_path):
    zenodo.limit = Limit(60, seconds=0.8, told=False)
    zenodo.limit.others(59)
    fetch(zenodo, tmp_path, lanes=4)
    assert 1 <= zenodo.limit.refused <= 4
    assert all(len(zenodo.asked(key)) <= 2 for key in FILES)


def test_complete_files_are_not_requested_again(zenodo, tmp_path):
    fetch(zenodo, tmp_path)
    zenodo.requests.clear()
    for key in list(FILES)[:3]:
        (tmp_path / key).unlink()
    fetch(zenodo, tmp_path)
    assert len(zenodo.requests) == 1 + 3
