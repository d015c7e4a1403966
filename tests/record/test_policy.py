"""Retry policy: a table for each decision, and the waits and attempts of real runs."""

from __future__ import annotations

import email.utils
import re
import time

import pytest
from servers.zenodo import RECORD, serving

from s2ct_convert.errors import EXIT_NETWORK, NetworkError
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import FilesFailed, download
from s2ct_convert.record.events import FileWaiting
from s2ct_convert.record.policy import RetryPolicy, Verdict, asked_wait, judge, until

from .test_fetching import QUICK, cut_after, status

NOW = 1000.0  # seconds since 1970, for dates in headers


MEANT = {
    Verdict.GOOD: {200, 206, 416},
    Verdict.RETRY: {408, 425, 429, *range(500, 600)},
    Verdict.OTHER_URL: {404, 410},
}


class TestJudge:
    @pytest.mark.every_variant
    @pytest.mark.parametrize("verdict", MEANT)
    def test_each_status_has_one_verdict(self, verdict):
        assert {code for code in range(100, 1000) if judge(code) is verdict} == MEANT[verdict]

    def test_any_other_status_is_final(self):
        others = set(range(100, 1000)) - set.union(*MEANT.values())
        assert {judge(code) for code in others} == {Verdict.FINAL}
        assert {204, 301, 302, 304, 400, 401, 403, 405, 451} <= others


class TestWait:
    @pytest.mark.every_variant
    @pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (5000, 60)])
    def test_waits_double_until_the_longest(self, failures, seconds):
        policy = RetryPolicy(backoff=1.0, longest=60.0)
        assert policy.wait(failures, 0.5) == seconds
        assert policy.wait(failures, 0.0) == 0.75 * seconds
        assert policy.wait(failures, 1.0) == 1.25 * seconds

    def test_a_run_waits_as_the_policy_says(self, tmp_path):
        policy = RetryPolicy(attempts=6, backoff=0.01, longest=0.05)
        waits = waited(tmp_path, [status(503)] * 5, policy)
        for seconds, base in zip(waits, [0.01, 0.02, 0.04, 0.05, 0.05], strict=True):
            assert 0.75 * base <= seconds <= 1.25 * base

    def test_lanes_wait_for_different_times(self, tmp_path):
        names = ["train_50SMG_2.7z", "val_50SMG_2.7z"]
        one, other = (waited(tmp_path / name, [status(503)] * 3, QUICK, name) for name in names)
        assert one != other


def waited(folder, vices, policy: RetryPolicy, key: str = "train_50SMG_2.7z") -> list[float]:
    """Seconds of each wait of a run that gets these responses."""
    events: list[object] = []
    with serving({key: b"x" * 5000}) as zenodo:
        zenodo.vices[key] = list(vices)
        download(folder, record=RECORD, base_url=zenodo.url, policy=policy, budget=many(), on_event=events.append)
    return [event.seconds for event in events if isinstance(event, FileWaiting)]


def many() -> Budget:
    return Budget(limit=10_000)


# Headers and the wait in seconds. NOW is 00:16:40 of 1970-01-01.
FORMS = {
    "seconds": ({"Retry-After": "7"}, 7),
    "zero": ({"Retry-After": "0"}, 0),
    "a fraction of a second": ({"Retry-After": "1.5"}, 1.5),
    "with blanks around": ({"Retry-After": " 7 "}, 7),
    "a date": ({"Retry-After": "Thu, 01 Jan 1970 00:16:50 GMT"}, 10),
    "a date in another zone": ({"Retry-After": "Thu, 01 Jan 1970 01:16:50 +0100"}, 10),
    "a date without a zone": ({"Retry-After": "Thu, 01 Jan 1970 00:16:50 -0000"}, 10),
    "a date in the form of RFC 850": ({"Retry-After": "Thursday, 01-Jan-70 00:16:50 GMT"}, 10),
    "a date in the form of asctime": ({"Retry-After": "Thu Jan  1 00:16:50 1970"}, 10),
    "a past date": ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
    "negative": ({"Retry-After": "-7"}, None),
    "a sign": ({"Retry-After": "+7"}, None),
    "garbage": ({"Retry-After": "soon"}, None),
    "not a number": ({"Retry-After": "nan"}, None),
    "hexadecimal": ({"Retry-After": "0x10"}, None),
    "two": ({"Retry-After": "7, 8"}, None),
    "an impossible date": ({"Retry-After": "Thu, 41 Jan 1970 00:16:50 GMT"}, None),
    "empty": ({"Retry-After": ""}, None),
    "absent": ({}, None),
    "garbage, and a reset": ({"Retry-After": "soon", "X-RateLimit-Reset": "1000000010"}, 1_000_000_010 - NOW),
    "seconds, and a reset": ({"Retry-After": "7", "X-RateLimit-Reset": "1000000010"}, 7),
    "a reset": ({"X-RateLimit-Reset": "1000000010"}, 1_000_000_010 - NOW),
    "a reset in seconds from now": ({"X-RateLimit-Reset": "30"}, None),
    "an invalid reset": ({"X-RateLimit-Reset": "tomorrow"}, None),
}


@pytest.fixture(params=["UTC", "Asia/Tokyo"])
def zone(request, monkeypatch):
    """A date in a header does not depend on the local time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class TestAskedWait:
    @pytest.mark.every_variant
    @pytest.mark.parametrize("code", [429, 503])
    @pytest.mark.parametrize("form", FORMS)
    def test_each_form_of_retry_after_is_parsed(self, code, form, zone):
        headers, seconds = FORMS[form]
        assert asked_wait(code, headers, NOW) == seconds

    def test_other_statuses_ask_for_no_wait(self):
        headers = {"Retry-After": "7", "X-RateLimit-Reset": "1000000010"}
        assert {code for code in range(100, 1000) if asked_wait(code, headers, NOW) is not None} == {429, 503}

    def test_a_past_reset_means_no_wait(self):
        assert asked_wait(429, {"X-RateLimit-Reset": "1000000010"}, 1_000_000_020) == 0

    @pytest.mark.parametrize("code", [429, 503])
    def test_a_run_waits_exactly_as_long_as_asked(self, tmp_path, code):
        assert waited(tmp_path, [status(code, Retry_After="0.25")], QUICK) == [0.25]

    def test_a_run_waits_until_a_date(self, tmp_path):
        date = email.utils.formatdate(time.time() + 3, usegmt=True)
        (seconds,) = waited(tmp_path, [status(503, Retry_After=date)], QUICK)
        assert 1 < seconds <= 3

    @pytest.mark.parametrize("code", [408, 500, 502, 504])
    def test_a_run_ignores_retry_after_with_other_statuses(self, tmp_path, code):
        (seconds,) = waited(tmp_path, [status(code, Retry_After="900")], QUICK)
        assert seconds < 0.1

    @pytest.mark.every_variant
    @pytest.mark.parametrize("text", ["901", "90000", "9" * 20, "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_a_wait_beyond_the_patience_ends_a_run_at_once(self, tmp_path, text):
        began = time.monotonic()
        with pytest.raises(FilesFailed) as caught:
            waited(tmp_path, [status(429, Retry_After=text)], QUICK)
        assert time.monotonic() - began < 10
        (failed,) = caught.value.report.failed
        assert failed.exit_code == EXIT_NETWORK
        assert re.search(r"asks to wait (until .*\d\d:\d\d|for more than a year)", failed.message)

    @pytest.mark.parametrize("text", ["901", "9" * 400])
    def test_a_wait_beyond_the_patience_fails_the_list_of_files(self, tmp_path, text):
        with serving({}) as zenodo:
            zenodo.record_vices = [status(429, Retry_After=text)]
            with pytest.raises(NetworkError, match=r"asks to wait (until|for more)"):
                download(tmp_path, record=RECORD, base_url=zenodo.url, policy=QUICK, budget=many())
            assert len(zenodo.requests) == 1


RIGHT = {
    "one attempt fewer": [status(503)] * 3,
    "a new byte resets the count; the break after it is the first failure": [
        *[status(503)] * 3,
        cut_after(1),
        *[status(503)] * 2,
    ],
    "many breaks with a byte between": [*[status(503)] * 3, *[cut_after(1), status(500), status(502)] * 10],
    "using the other URL is not a failure": [*[status(503)] * 3, status(404)],
}
WRONG = {
    "the limit of attempts": [status(503)] * 4,
    "one more after a byte": [*[status(503)] * 3, cut_after(1), *[status(503)] * 3],
    "a break without a byte is a failure": [*[status(503)] * 3, cut_after(0)],
}


class TestAttempts:
    """A run gives up after 4 attempts in a row without a byte."""

    POLICY = RetryPolicy(attempts=4, backoff=0.001, longest=0.001)

    @pytest.mark.parametrize("case", RIGHT)
    def test_a_run_survives(self, tmp_path, case):
        waited(tmp_path, RIGHT[case], self.POLICY)
        assert (tmp_path / "train_50SMG_2.7z").read_bytes() == b"x" * 5000

    @pytest.mark.every_variant
    @pytest.mark.parametrize("case", WRONG)
    def test_a_run_gives_up(self, tmp_path, case):
        with pytest.raises(FilesFailed, match="could not be downloaded") as caught:
            waited(tmp_path, WRONG[case], self.POLICY)
        assert "gave up after 4 attempts without a new byte" in caught.value.report.failed[0].message


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (0, "until 00:16"),
        (3600, "until 01:16"),
        (86400, "until 1970-01-02 00:16"),
        (40 * 86400, "until 1970-02-10 00:16"),
        (1e9, "for more than a year"),
        (float("inf"), "for more than a year"),
    ],
)
def test_a_time_on_another_day_has_a_date(wait, words, monkeypatch):
    monkeypatch.setattr(time, "localtime", time.gmtime)
    assert until(NOW, wait) == words
