"""Several lanes: slow ones reconnect, one limit holds for all, and any series of faults ends well or is reported."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.zenodo import RECORD, Handler, StandIn, good, ranged, serving

from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import FilesFailed, download
from s2ct_convert.record.events import FileIdle, FileStarted
from s2ct_convert.record.policy import RetryPolicy

from .test_fetching import (
    all_of_it,
    chunked_end_after,
    cut_after,
    flipped,
    reset_after,
    stall_after,
    status,
    wrong_start,
)

RNG = np.random.default_rng(77)
TWO = {"train_50SMG_2.7z": RNG.bytes(600_000), "val_50SMG_2.7z": RNG.bytes(600_000)}
SLOW, FAST = TWO


def policy(**changes: object) -> RetryPolicy:
    values = {"attempts": 4, "backoff": 0.01, "longest": 0.02, "connect": 5, "stall": 5, "slow_window": 0.3}
    return RetryPolicy(**{**values, "slow_bytes": 1000, **changes})


def fetch(zenodo: StandIn, folder: Path, rule: RetryPolicy, **options: object):
    return download(
        folder, record=RECORD, base_url=zenodo.url, policy=rule, budget=Budget(limit=10_000), jobs=2, **options
    )


def trickle(step: int, seconds: float):
    """Send a few bytes at a time until the reader disconnects."""

    def vice(handler: Handler, data: bytes, start: int) -> None:
        handler.head(206 if start else 200, len(data) - start, ranged(data, start) if start else {})
        stop = handler.server.stand_in.release
        try:
            for at in range(start, len(data), step):
                handler.wfile.write(data[at : at + step])
                handler.wfile.flush()
                if stop.wait(seconds):
                    break
        except OSError:
            pass  # the client reconnected
        handler.close_connection = True

    return vice


def test_a_slow_lane_reconnects_and_resumes(tmp_path):
    with serving(TWO) as zenodo:
        zenodo.vices[SLOW] = [trickle(500, 0.05)]
        zenodo.vices[FAST] = [trickle(10_000, 0.02)]
        fetch(zenodo, tmp_path, policy())
        first, second = zenodo.asked(SLOW)
        assert first == 0
        assert 0 < second < 100_000
        assert zenodo.asked(FAST) == [0]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.7z")} == TWO


def test_a_lane_reconnects_a_limited_number_of_times(tmp_path):
    with serving(TWO) as zenodo:
        zenodo.vices[SLOW] = [trickle(6_000, 0.05) for _ in range(9)]
        zenodo.vices[FAST] = [trickle(9_000, 0.02)]
        files = threading.Thread(target=fetch, args=(zenodo, tmp_path, policy(redials=1, slow=0.9)))
        files.start()
        files.join(60)
        assert not files.is_alive()
        assert len(zenodo.asked(SLOW)) == 2


def test_a_slow_lane_alone_does_not_reconnect(tmp_path):
    with serving({SLOW: TWO[SLOW][:50_000]}) as zenodo:
        zenodo.vices[SLOW] = [trickle(2_000, 0.05)]
        fetch(zenodo, tmp_path, policy())
        assert zenodo.asked(SLOW) == [0]


def test_a_stall_is_reported_before_it_times_out(tmp_path):
    events: list[object] = []
    with serving({SLOW: TWO[SLOW]}) as zenodo:
        zenodo.vices[SLOW] = [stall_after(1000)]
        fetch(zenodo, tmp_path, policy(stall=0.6), on_event=events.append)
    assert any(isinstance(event, FileIdle) and event.key == SLOW for event in events)


def test_one_429_makes_all_lanes_wait(tmp_path):
    files = {f"train_{zone:02}SMG_1.7z": b"x" * zone for zone in range(1, 9)}
    with serving(files) as zenodo:
        first = min(files, key=lambda key: -len(files[key]))  # the largest comes first
        zenodo.vices[first] = [status(429, Retry_After="1")]
        fetch(zenodo, tmp_path, policy())
        assert len(zenodo.requests) == 1 + 8 + 1
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.7z")} == files


def test_a_bug_in_a_lane_ends_the_run_and_is_raised(tmp_path):
    def on_event(event: object) -> None:
        if isinstance(event, FileStarted) and event.key == FAST:
            raise ZeroDivisionError

    with serving(TWO) as zenodo:
        zenodo.vices[SLOW] = [stall_after(1000)]
        with pytest.raises(ZeroDivisionError):
            fetch(zenodo, tmp_path, policy(stall=200), on_event=on_event)
    assert list(tmp_path.glob("*.7z")) == []
    assert list(tmp_path.glob("*.lease")) == []


VICES = st.sampled_from(
    [
        good,
        all_of_it,
        wrong_start,
        flipped,
        cut_after(0),
        cut_after(1),
        cut_after(20_000),
        reset_after(10_000),
        chunked_end_after(15_000),
        stall_after(5_000),
        status(500),
        status(503, Retry_After="0"),
        status(416),
        status(404),
        status(403, b"<html>no</html>", Content_Type="text/html"),
        status(200, b"<html>hello</html>", Content_Type="text/html"),
        status(200, b"short"),
        status(206, b"x" * 10, Content_Range="bytes 5-14/60000"),
        status(429, Retry_After="0"),
    ]
)
SMALL = {name: data[:60_000] for name, data in TWO.items()}


@settings(derandomize=True, deadline=None, database=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(plans=st.tuples(st.lists(VICES, max_size=8), st.lists(VICES, max_size=8)))
def test_a_file_with_its_final_name_is_always_right(tmp_path_factory, plans):
    folder = tmp_path_factory.mktemp("plan")
    with serving(SMALL) as zenodo:
        zenodo.vices = {key: list(plan) for key, plan in zip(SMALL, plans, strict=True)}
        missing: set[str] = set()
        try:
            fetch(zenodo, folder, policy(stall=0.2))
        except FilesFailed as failed:
            missing = {one.key for one in failed.report.failed}
            assert missing
            assert failed.exit_code
    there = {path.name: path.read_bytes() for path in folder.glob("*.7z")}
    assert there == {key: data for key, data in SMALL.items() if key not in missing}


@pytest.mark.parametrize("shape", ["entries", "files of entries", "deposit"])
def test_all_shapes_of_a_record_are_read(tmp_path, shape):
    with serving(SMALL) as zenodo:
        files = zenodo.document()["files"]
        document = {
            "entries": {"enabled": True, "entries": files},
            "files of entries": {"id": RECORD, "files": {"enabled": True, "entries": {f["key"]: f for f in files}}},
            "deposit": [
                {"filename": f["key"], "filesize": f["size"], "checksum": f["checksum"].removeprefix("md5:")}
                for f in files
            ],
        }[shape]
        zenodo.document = lambda: document if shape != "deposit" else {"id": int(RECORD), "files": document}
        fetch(zenodo, tmp_path, policy())
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.7z")} == SMALL
