"""Events: values that feed progress displays, summaries and tests.

Every long operation takes one callback, ``on_event``. Events of files are in ``record/events.py``, events of units in
``units/events.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Base class of all events."""


@dataclass(frozen=True)
class Message(Event):
    """A note to the user that is not a failure."""

    text: str


OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Drop an event: the default callback."""


def in_turn(on_event: OnEvent) -> OnEvent:
    """Wrap a callback so that threads call it one at a time."""
    lock = threading.Lock()

    def one_at_a_time(event: Event) -> None:
        with lock:
            on_event(event)

    return one_at_a_time
