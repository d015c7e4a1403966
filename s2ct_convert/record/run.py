"""State that all lanes of a download share, and how a download stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict

from ..events import OnEvent, ignore, in_turn
from ..threads import WAKE_SECONDS
from .budget import Budget
from .damage import NO_MENDING, Mending
from .events import FileIdle
from .policy import RetryPolicy
from .service import USER_AGENT, Service, service_url, token_from_environment
from .watch import Watch

STOPPED = "stopped"  # the reason for closing a connection


class Stopped(Exception):
    """The run is being stopped. Partial files are kept."""


@dataclass
class FetchRun:
    """Shared state of all lanes."""

    service: Service
    record: str
    policy: RetryPolicy
    budget: Budget
    watch: Watch
    stop: threading.Event
    on_event: OnEvent
    mending: Mending = NO_MENDING
    accept_record: bool = False
    clock: Callable[[], float] = time.time  # time of day, for dates in headers

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is stopped.

        Raises
        ------
        Stopped
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.stop.wait(min(left, WAKE_SECONDS)):
            pass
        if self.stop.is_set():
            raise Stopped

    def turn(self) -> None:
        """Wait until the budget allows a request."""
        while (seconds := self.budget.wait()) > 0:
            self.pause(seconds)
        if self.stop.is_set():
            raise Stopped

    def end(self) -> None:
        """Stop all lanes, also those that wait for data. Partial files are kept."""
        self.stop.set()
        self.watch.cut_all(STOPPED)


class ServiceOptions(TypedDict, total=False):
    """Options of the connection to the service; see :func:`s2ct_convert.download`."""

    base_url: str | None
    user_agent: str | None
    policy: RetryPolicy | None
    budget: Budget | None


class LaneOptions(ServiceOptions, total=False):
    """Options of the connection, how damaged files are mended, and whether another file list is accepted."""

    mending: Mending
    accept_record: bool


@contextmanager
def open_run(
    record: str,
    *,
    base_url: str | None = None,
    user_agent: str | None = None,
    policy: RetryPolicy | None = None,
    budget: Budget | None = None,
    mending: Mending = NO_MENDING,
    accept_record: bool = False,
    on_event: OnEvent = ignore,
) -> Iterator[FetchRun]:
    """Open the connections and start the watch; ``on_event`` gets one event at a time."""
    policy, report = policy or RetryPolicy(), in_turn(on_event)
    with (
        Service(
            service_url(base_url),
            user_agent or USER_AGENT,
            token_from_environment(),
            connect=policy.connect,
            read=policy.stall + policy.connect,
            headers=policy.answer,
        ) as service,
        Watch(policy, lambda transfer, idle: report(FileIdle(transfer.key, idle, transfer.have()))) as watch,
    ):
        yield FetchRun(
            service, record, policy, budget or Budget(), watch, threading.Event(), report, mending, accept_record
        )
