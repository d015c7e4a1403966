"""A run that fetches: what its lanes share, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict

from ..events import OnEvent, ignore, in_turn
from .budget import Budget
from .events import FileIdle
from .policy import RetryPolicy
from .service import USER_AGENT, Service, service_url, token_from_environment
from .watch import Watch

STOPPED = "stopped"  # why a connection was cut


class Stopped(Exception):
    """The run is being stopped; what is there stays."""


@dataclass
class FetchRun:
    """What all lanes share."""

    service: Service
    record: str
    policy: RetryPolicy
    budget: Budget
    watch: Watch
    stop: threading.Event
    on_event: OnEvent
    clock: Callable[[], float] = time.time  # time of day, for dates in headers

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is stopped.

        Raises
        ------
        Stopped
        """
        if self.stop.wait(seconds):
            raise Stopped

    def turn(self) -> None:
        """Wait for a request that the budget allows."""
        while (seconds := self.budget.wait()) > 0:
            self.pause(seconds)
        if self.stop.is_set():
            raise Stopped

    def end(self) -> None:
        """Stop all lanes, also those that wait for bytes; what came stays."""
        self.stop.set()
        self.watch.cut_all(STOPPED)


class ServiceOptions(TypedDict, total=False):
    """How to talk to the service; see :func:`open_run`."""

    base_url: str | None
    user_agent: str | None
    policy: RetryPolicy | None
    budget: Budget | None


@contextmanager
def open_run(
    record: str,
    *,
    base_url: str | None = None,
    user_agent: str | None = None,
    policy: RetryPolicy | None = None,
    budget: Budget | None = None,
    on_event: OnEvent = ignore,
) -> Iterator[FetchRun]:
    """Connections to the service, a budget of requests, a watch on both; ``on_event`` gets one event at a time."""
    policy, tell = policy or RetryPolicy(), in_turn(on_event)
    with (
        Service(
            service_url(base_url),
            user_agent or USER_AGENT,
            token_from_environment(),
            connect=policy.connect,
            read=policy.stall + policy.connect,
        ) as service,
        Watch(policy, lambda transfer, idle: tell(FileIdle(transfer.key, idle, transfer.have()))) as watch,
    ):
        yield FetchRun(service, record, policy, budget or Budget(), watch, threading.Event(), tell)
