"""The budget of requests, with a fake clock: it keeps the limit and ignores invalid headers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from s2ct_convert.record import budget as budget_module
from s2ct_convert.record.budget import PER_MINUTE, Budget

pytestmark = pytest.mark.every_variant  # all are quick

NOW = 1000.0  # time of day in seconds since 1970


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """A fake clock."""
    clock = SimpleNamespace(now=50.0)
    monkeypatch.setattr(budget_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_request_is_allowed_when_an_old_one_leaves_the_window(clock):
    budget = Budget(limit=3, window=10)
    assert budget.wait() == budget.wait() == 0
    clock.now += 4
    assert budget.wait() == 0
    assert budget.wait() == 6
    clock.now += 6
    assert [budget.wait() for _ in range(3)] == [0, 0, 4]


def test_no_window_exceeds_the_limit(clock, rng: np.random.Generator):
    budget, made = Budget(limit=7, window=10), []
    for pause in rng.exponential(0.5, 2000):
        clock.now += float(pause)
        if budget.wait() == 0:
            made.append(clock.now)
    assert len(made) > 500
    assert all(later - earlier >= 10 - 1e-6 for earlier, later in zip(made, made[7:], strict=False))


def test_a_delay_of_two_seconds_does_not_exceed_the_limit(clock, rng: np.random.Generator):
    budget, counted = Budget(), []
    for pause in rng.exponential(0.05, 20_000):
        clock.now += float(pause)
        if budget.wait() == 0:
            counted.append(clock.now + float(rng.uniform(0, 2)))
    counted.sort()
    assert len(counted) > 900
    assert all(later - earlier > 60 for earlier, later in zip(counted, counted[PER_MINUTE:], strict=False))


def test_the_longer_pause_holds(clock):
    budget = Budget(limit=9)
    budget.keep_quiet(30)
    budget.keep_quiet(5)
    assert budget.wait() == 30
    clock.now += 30
    assert budget.wait() == 0


@pytest.mark.parametrize(
    ("headers", "at_once"),
    [
        ({}, PER_MINUTE),
        ({"X-RateLimit-Limit": "133"}, PER_MINUTE),
        ({"X-RateLimit-Limit": "10"}, 10),
        ({"X-RateLimit-Limit": "0"}, PER_MINUTE),
        ({"X-RateLimit-Limit": "-4"}, PER_MINUTE),
        ({"X-RateLimit-Limit": "0.5"}, 1),
        ({"X-RateLimit-Limit": "ten"}, PER_MINUTE),
        ({"X-RateLimit-Limit": "nan"}, PER_MINUTE),
        ({"X-RateLimit-Limit": "inf"}, PER_MINUTE),
        ({"X-RateLimit-Limit": "1_0"}, PER_MINUTE),
        ({"X-RateLimit-Limit": "10, 10;w=60"}, PER_MINUTE),
        ({"X-RateLimit-Limit": ""}, PER_MINUTE),
        ({"Retry-After": "59"}, PER_MINUTE),
    ],
)
def test_a_lower_limit_in_the_headers_is_adopted(clock, headers, at_once):
    budget = Budget()
    budget.observe(headers, NOW)
    assert [budget.wait() for _ in range(at_once)] == [0] * at_once
    assert budget.wait() > 0


def test_a_limit_never_increases(clock):
    budget = Budget()
    for limit in ("2", "133"):
        budget.observe({"X-RateLimit-Limit": limit}, NOW)
    assert [budget.wait() == 0 for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("remaining", "reset", "quiet"),
    [
        ("0", "1020", 20),
        ("-1", "1020", 20),
        ("1", "1020", 0),
        ("0", "1000", 0),
        ("0", "900", 0),
        ("0", "5000", 60),  # the limit of an hour; the next refusal has Retry-After
        ("0", "1e9", 0),
        ("0", None, 0),
        ("0", "soon", 0),
        (None, "1020", 0),
        ("none", "1020", 0),
    ],
)
def test_no_request_is_allowed_until_the_reset(clock, remaining, reset, quiet):
    budget = Budget(window=60)
    headers = {"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}
    budget.observe({name: value for name, value in headers.items() if value is not None}, NOW)
    assert budget.wait() == quiet
