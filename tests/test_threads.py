"""Waits of the main thread are short, so that a signal just before one is handled soon."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from s2ct_convert import threads
from s2ct_convert.record.lanes import FetchRun
from s2ct_convert.record.run import Stopped


class Waits(threading.Event):
    """An event that notes how long it is waited for. It is set after some waits."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.seconds: list[float | None] = []
        self._n = n

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        if len(self.seconds) == self._n:
            self.set()
        return self.is_set()


def test_a_long_pause_consists_of_short_waits():
    run = object.__new__(FetchRun)
    run.stop = stop = Waits(3)
    with pytest.raises(Stopped):
        run.pause(600)
    assert len(stop.seconds) == 3
    assert all(one is not None and 0 < one <= threads.WAKE_SECONDS for one in stop.seconds)


def test_a_result_is_waited_for_in_short_waits(monkeypatch):
    future: Future[int] = Future()
    seen: list[float | None] = []

    def wait(futures: object, timeout: float | None = None) -> None:
        seen.append(timeout)
        if len(seen) == 3:
            future.set_result(7)

    monkeypatch.setattr(threads, "wait", wait)
    assert threads.result_of(future) == 7
    assert seen == [threads.WAKE_SECONDS] * 3


def test_the_error_of_a_future_is_raised():
    future: Future[int] = Future()
    future.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        threads.result_of(future)
