"""Threads: a pool that hands results on in order and caps what is in flight, and threads that the process shares."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

_shared: ThreadPoolExecutor | None = None  # of for_each: made when first needed, anew in a forked process

IN_FLIGHT_BYTES = 32 << 20  # input of the work under way or waiting: about 74 chunks


class OrderedPool(Generic[T]):
    """Runs functions in threads and gives their results to ``deliver`` in the order they were submitted.

    ``submit`` first delivers what is ready, then waits while more than ``limit`` bytes are in flight, so a slow
    consumer slows the producer and memory stays bounded. Results are delivered in the submitting thread. Without
    threads (0) it does the work itself, at once.
    """

    def __init__(self, threads: int, deliver: Callable[[T], None], *, limit: int = IN_FLIGHT_BYTES) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="s2ct-work") if threads else None
        self._deliver, self._limit = deliver, limit
        self._in_flight: deque[tuple[int, Future[T]]] = deque()
        self._bytes = 0

    def submit(self, cost: int, work: Callable[..., T], *args: object) -> None:
        """Queue ``work(*args)``, which holds on to ``cost`` bytes until it is delivered."""
        if self._executor is None:
            self._deliver(work(*args))
            return
        while self._in_flight and (self._bytes + cost > self._limit or self._in_flight[0][1].done()):
            self._deliver_first()
        self._in_flight.append((cost, self._executor.submit(work, *args)))
        self._bytes += cost

    def _deliver_first(self) -> None:
        cost, future = self._in_flight.popleft()
        result = future.result()
        self._bytes -= cost
        self._deliver(result)

    def finish(self) -> None:
        """Deliver all that is left."""
        while self._in_flight:
            self._deliver_first()

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def for_each(work: Callable[[T], None], items: Iterable[T]) -> None:
    """``work`` on each item, in as many threads as there are cores; the first error is raised once all have ended."""
    global _shared
    items = list(items)
    if len(items) < 2:
        for item in items:
            work(item)
        return
    if _shared is None:
        _shared = ThreadPoolExecutor(cores(), thread_name_prefix="s2ct-read")
    futures = [_shared.submit(work, item) for item in items]
    errors = [future.exception() for future in futures]  # waits: the arrays that are written to belong to the caller
    for error in errors:
        if error is not None:
            raise error


def _forget_shared() -> None:
    global _shared
    _shared = None  # its threads are not in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shared)
