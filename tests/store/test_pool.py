from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from s2ct_convert.threads import OrderedPool

pytestmark = pytest.mark.every_variant  # all are quick


@pytest.fixture
def delivered():
    return []


@pytest.fixture
def make(delivered):
    """Creates pools that append to ``delivered``; closes them at the end of the test."""
    pools = []

    def make_pool(threads, limit=1000):
        pools.append(OrderedPool(threads, delivered.append, limit=limit))
        return pools[-1]

    yield make_pool
    for pool in pools:
        pool.close()


def test_results_are_delivered_in_the_order_of_submission(make, delivered):
    second_is_done, finished = threading.Event(), []

    def first():
        assert second_is_done.wait(30)
        finished.append(1)
        return 1

    def second():
        finished.append(2)
        second_is_done.set()
        return 2

    pool = make(2)
    pool.submit(1, first)
    pool.submit(1, second)
    pool.finish()
    assert finished == [2, 1]
    assert delivered == [1, 2]


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
def test_every_result_is_delivered_once(make, delivered, threads):
    pool = make(threads, limit=7)
    for i in range(200):
        pool.submit(i % 5, lambda i: i * i, i)
    pool.finish()
    assert delivered == [i * i for i in range(200)]


@pytest.mark.parametrize(("limit", "cost", "most"), [(100, 40, 2), (100, 50, 2), (100, 51, 1), (99, 33, 3)])
def test_bytes_in_flight_do_not_exceed_the_limit(make, delivered, limit, cost, most):
    pool, seen = make(5, limit), []
    for i in range(20):
        pool.submit(cost, lambda: None)
        seen.append(i + 1 - len(delivered))
    assert max(seen) <= most
    assert all(count * cost <= limit for count in seen)


def test_tasks_run_concurrently_up_to_the_limit(make, delivered):
    together = threading.Barrier(2, timeout=30)  # breaks if the two do not run at the same time
    pool = make(2, limit=80)
    for _ in range(2):
        pool.submit(40, together.wait)
    pool.finish()
    assert sorted(delivered) == [0, 1]


def test_a_task_larger_than_the_limit_runs_alone(make, delivered):
    pool = make(2, limit=10)
    pool.submit(1, lambda: "small")
    pool.submit(1_000, lambda: "large")
    assert delivered == ["small"]
    pool.finish()
    assert delivered == ["small", "large"]


def test_results_are_delivered_in_the_submitting_thread():
    threads = set()
    pool = OrderedPool(3, lambda _: threads.add(threading.get_ident()), limit=2)
    for _ in range(10):
        pool.submit(1, threading.get_ident)
    pool.finish()
    pool.close()
    assert threads == {threading.get_ident()}


def test_finish_raises_an_exception_of_a_worker(make, delivered):
    pool = make(2)
    pool.submit(1, lambda: "before")
    pool.submit(1, lambda: 1 // 0)
    pool.submit(1, lambda: "after")
    with pytest.raises(ZeroDivisionError):
        pool.finish()
    assert delivered == ["before"]


def test_submit_raises_an_exception_of_a_worker(make):
    pool = make(1, limit=10)
    pool.submit(10, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        pool.submit(10, lambda: None)


def test_an_exception_of_the_consumer_is_raised():
    def refuse(result):
        raise OSError(28, "No space left on device")

    pool = OrderedPool(1, refuse)
    pool.submit(1, lambda: None)
    with pytest.raises(OSError, match="No space left"):
        pool.finish()
    pool.close()


def test_close_cancels_waiting_tasks_and_ends_all_threads(delivered, monkeypatch):
    started, dropped, ran = threading.Event(), threading.Event(), []
    cancel = Future.cancel

    def cancel_and_signal(future):
        cancelled = cancel(future)
        dropped.set()
        return cancelled

    def block():
        started.set()
        assert dropped.wait(30)

    monkeypatch.setattr(Future, "cancel", cancel_and_signal)
    pool = OrderedPool(1, delivered.append)
    pool.submit(1, block)
    pool.submit(1, ran.append, "late")
    assert started.wait(30)
    pool.close()
    assert (ran, delivered) == ([], [])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s2ct-work")]


def test_without_threads_submit_runs_and_delivers_at_once(make, delivered):
    pool = make(0, limit=1)
    for _ in range(2):
        pool.submit(1_000, threading.get_ident)
    assert delivered == [threading.get_ident()] * 2
    with pytest.raises(ZeroDivisionError):
        pool.submit(1, lambda: 1 // 0)
    pool.finish()
    assert len(delivered) == 2
