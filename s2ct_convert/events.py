"""What happens, as values. Progress displays, summaries and tests are fed from these alone.

Whatever works for long takes one callback, ``on_event``. What can happen to files is in ``record/events.py``, what can
happen to units in ``units/events.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Message(Event):
    """Something a user should know that is no failure."""

    text: str


OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The callback of a caller who does not want to know."""


def in_turn(on_event: OnEvent) -> OnEvent:
    """The same callback, called once at a time whatever thread an event comes from."""
    lock = threading.Lock()

    def one_at_a_time(event: Event) -> None:
        with lock:
            on_event(event)

    return one_at_a_time
