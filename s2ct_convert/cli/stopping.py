"""The message of a stopped command: what is kept, and the command to go on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..words import shell_join

if TYPE_CHECKING:
    from ..events import Event, OnEvent

NO_RESULT = "no result is kept; the check starts again"

_kept = ""
_restarts = False


def keeps(what: str) -> None:
    """Record what is kept if the command is stopped from now on: one sentence, without a full stop."""
    global _kept
    _kept = what


def keeps_units(store: object, on_event: OnEvent, more: str = "") -> OnEvent:
    """Count the finished units of a store by events, for the sentence. ``more``: what stays besides them."""
    done, planned, replaces = 0, 0, False
    keeps(f"nothing of {store} has changed")

    def counted(event: Event) -> None:
        from ..units.events import Replacing, UnitDone, UnitsPlanned
        from ..words import plural

        nonlocal done, planned, more, replaces
        global _restarts
        if isinstance(event, UnitsPlanned):
            done, planned = event.done, event.done + event.units
            _restarts = not replaces  # --overwrite has deleted what was there
        elif isinstance(event, Replacing):
            replaces, more = True, f" beside the old store, which is unchanged{more}"
        elif isinstance(event, UnitDone):
            done += 1
        if planned:
            keeps(f"{done} of {plural(planned, 'unit')} of {store} {'is' if done == 1 else 'are'} done and kept{more}")
        on_event(event)

    return counted


def stopped(how: str) -> str:
    """The message of a command that was stopped: ``interrupted`` or ``terminated``."""
    kept = f"; {_kept}" if _kept else ""
    return f"s2ct: {how}{kept}\n  to go on: {go_on()}"


def go_on() -> str:
    """The command that goes on after a stop."""
    return shell_join(["s2ct", *(word for word in sys.argv[1:] if not (_restarts and word == "--overwrite"))])
