"""Thread pools: one delivers results in order within a memory limit, one is shared by the process."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from .limits import cores

T = TypeVar("T")

_shared: dict[bool, ThreadPoolExecutor] = {}  # of for_each: created on first use, and again after a fork
WAITING_THREADS = 16
WAKE_SECONDS = 0.2  # the main thread waits no longer at a time: a signal just before a wait is handled only after it

IN_FLIGHT_BYTES = 32 << 20  # input of running and waiting work: about 74 chunks


def result_of(future: Future[T]) -> T:
    """The result of a future, as ``future.result()``. Signals are handled meanwhile."""
    while not future.done():
        wait((future,), WAKE_SECONDS)
    return future.result()


class OrderedPool(Generic[T]):
    """Runs functions in threads and passes their results to ``deliver`` in the order of submission.

    ``submit`` first delivers ready results, then waits while more than ``limit`` bytes are in flight. So a slow
    consumer slows the producer, and memory is bounded. Results are delivered in the submitting thread. With 0 threads
    the work runs in ``submit`` itself.
    """

    def __init__(self, threads: int, deliver: Callable[[T], None], *, limit: int = IN_FLIGHT_BYTES) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="s2ct-work") if threads else None
        self._deliver, self._limit = deliver, limit
        self._in_flight: deque[tuple[int, Future[T]]] = deque()
        self._bytes = 0

    def submit(self, cost: int, work: Callable[..., T], *args: object) -> None:
        """Queue ``work(*args)``, which holds ``cost`` bytes until its result is delivered."""
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
        """Deliver all remaining results."""
        while self._in_flight:
            self._deliver_first()

    def close(self) -> None:
        """Cancel queued work and wait for running work."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


def for_each(work: Callable[[T], object], items: Iterable[T], *, waiting: bool = False) -> None:
    """Run ``work`` on each item, with one thread per core. Raises the first error after all have ended.

    The caller is one of the threads: it starts at once, while the others wake up.

    ``waiting``: the work mostly waits for a network, so more threads run at a time, and the caller waits for them, so
    that Ctrl-C reaches it.
    """
    items = list(items)
    if len(items) < 2:
        for item in items:
            work(item)
        return
    if waiting:
        futures = [_pool(waiting).submit(work, item) for item in items]
        errors: list[BaseException | None] = [future.exception() for future in futures]  # wait for all, as below
    else:
        errors = _share(work, items)
    for error in errors:
        if error is not None:
            raise error


def _share(work: Callable[[T], object], items: list[T]) -> list[BaseException | None]:
    """Run ``work`` on each item, in threads of the pool and in this one. Returns errors in the order of items."""
    errors: list[BaseException | None] = [None] * len(items)
    left = deque(enumerate(items))

    def take() -> None:
        while left:
            try:
                i, item = left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                work(item)
            except BaseException as error:
                errors[i] = error
                if not isinstance(error, Exception):  # Ctrl-C
                    raise

    helpers = [_pool().submit(take) for _ in range(min(cores(), len(items)) - 1)]
    try:
        take()
    finally:  # wait for all, also after Ctrl-C: they write to arrays of the caller
        left.clear()
        wait([helper for helper in helpers if not helper.cancel()])
    return errors


def _pool(waiting: bool = False) -> ThreadPoolExecutor:
    if waiting not in _shared:
        threads = max(WAITING_THREADS, cores()) if waiting else cores()
        _shared[waiting] = ThreadPoolExecutor(threads, thread_name_prefix="s2ct-read")
    return _shared[waiting]


def _forget_shared() -> None:
    _shared.clear()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shared)
