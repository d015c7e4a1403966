"""What a run asks of a service: counted in all its processes, limited on request, shown while and after it runs."""

from __future__ import annotations

import json
import os

import pytest
from servers.made_bucket import ADDRESS, environment, same_as_on_disk, sent_twice

import s2ct_convert
from s2ct_convert.errors import NetworkError, WrongUsage
from s2ct_convert.show.board import Board
from s2ct_convert.show.units import UnitMeter
from s2ct_convert.units.events import UnitSending

pytest.importorskip("obstore")


def test_a_run_counts_its_requests_and_shows_what_it_sends(bucket, made_sources):
    board = Board(lambda line: None, width=lambda: 80, periodic=False)
    meter, events, shown = UnitMeter(board), [], []

    def see(event):
        meter(event)
        if isinstance(event, UnitSending):
            events.append(event)
            shown.append(board.bar_lines(80))

    summary = s2ct_convert.convert(made_sources[:1], ADDRESS, on_event=see)
    assert summary.usage.requests == len(bucket.requests)
    assert [event.sent for event in events] == sorted(event.sent for event in events)
    assert events[-1].sent == events[-1].bytes == sum(file.bytes for file in summary.converted[0].files)
    assert summary.usage.sent > events[-1].bytes
    assert any(line[0].strip() == "sending train/50SMG" for lines in shown for line in lines)
    assert not any("sending" in line[0] for line in board.bar_lines(80))


@pytest.mark.slow
def test_worker_processes_count_into_the_same_total(bucket, made_sources, s2ct):
    env = {**os.environ, **environment(bucket)}
    done = s2ct("convert", *made_sources, ADDRESS, "-j3", "--json", "-v", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["usage"]["requests"] == len(bucket.requests)
    assert "train/50SMG: sending 1.6 MB" in done.stderr
    assert not list(bucket.folder.parent.rglob("s2ct-requests-*"))


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "limit"), [("-j1", 70), ("-j3", 130)])
def test_a_run_stops_at_its_limit_and_the_same_command_goes_on(bucket, made_sources, made, s2ct, jobs, limit):
    env, codes = {**os.environ, **environment(bucket)}, []
    for _ in range(12):
        before = len(bucket.requests)
        done = s2ct("convert", *made_sources, ADDRESS, jobs, "--max-requests", limit, env=env)
        codes.append(done.returncode)
        assert len(bucket.requests) - before <= limit
        if not done.returncode:
            break
        assert f"the limit of {limit} requests is reached" in done.stderr
        assert "run the same command again" in done.stderr
    assert codes[-1] == 0
    assert set(codes[:-1]) == {7}
    assert sent_twice(bucket) == []
    assert same_as_on_disk(bucket, made["zarr"])


@pytest.mark.slow
def test_verifying_counts_and_stops_at_its_limit(bucket, made_sources, s2ct):
    s2ct_convert.convert(made_sources[:1], ADDRESS)
    env, before = {**os.environ, **environment(bucket)}, len(bucket.requests)
    done = s2ct("verify", "store", ADDRESS, env=env)
    n = len(bucket.requests) - before
    assert f"requests: {n}, " in done.stdout
    assert s2ct_convert.verify_store(ADDRESS, max_requests=n).findings == []
    with pytest.raises(NetworkError, match=f"the limit of {n - 1} requests is reached"):
        s2ct_convert.verify_store(ADDRESS, max_requests=n - 1)
    done = s2ct("verify", "store", ADDRESS, "--max-requests", "3", "--json", env=env)
    assert done.returncode == 7
    assert "the limit of 3 requests" in json.loads(done.stdout)["error"]["what"]


def test_a_limit_without_requests_is_refused(tmp_path, made_sources):
    with pytest.raises(WrongUsage, match="for a store or sources at an address"):
        s2ct_convert.convert(made_sources[:1], tmp_path / "x.zarr", max_requests=5)
    assert not (tmp_path / "x.zarr").exists()
