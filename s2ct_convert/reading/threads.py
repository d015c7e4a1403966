"""Threads that decode chunks: as many as there are cores, made when first needed, anew in a forked process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_pool: ThreadPoolExecutor | None = None


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(work: Callable[[T], None], items: Iterable[T]) -> None:
    """``work`` on each item, in threads; the first error is raised once all have ended."""
    global _pool
    items = list(items)
    if len(items) < 2:
        for item in items:
            work(item)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(cores(), thread_name_prefix="s2ct-read")
    futures = [_pool.submit(work, item) for item in items]
    errors = [future.exception() for future in futures]  # waits: the arrays that are written to belong to the caller
    for error in errors:
        if error is not None:
            raise error


def _forget() -> None:
    global _pool
    _pool = None  # its threads are not in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
