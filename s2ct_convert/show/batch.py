"""The status of the units of a store, for people and for programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..conversion.batch_status import BatchStatus, UnitState, UnitStatus
from ..lease import Owner
from ..objects.scratch import address_of
from ..words import plural, seconds, shell_path, size
from .tables import Column, print_facts, print_table


def print_status(status: BatchStatus) -> None:
    """Print one line per unit, then the counts and the next step."""
    print_table(
        [
            *(Column(head, left=True) for head in ("number", "unit", "state", "time", "memory")),
            Column("remarks", left=True, text=True),
        ],
        (
            [
                str(one.number or "-"),
                one.unit,
                one.state,
                seconds(one.entry.seconds) if one.entry else "-",
                _memory(one),
                _remarks(one),
            ]
            for one in status.units
        ),
        keys=2,
    )
    print()
    counts = ", ".join(f"{status.count(state)} {state}" for state in UnitState if status.count(state))
    state = "finished" if status.finished else "not finished"
    facts = [
        ("store", f"{status.store}, {state}{f', partial: {status.lacks}' if status.lacks else ''}"),
        ("units", counts),
    ]
    if status.refused and not status.finished:
        facts.append(("refused", ", ".join(status.refused)))
    if status.run:
        facts.append(("run", f"{status.run} has the lease on the whole store"))
    if status.missing:
        facts.append(("missing", f"--array={status.missing}"))
    elif not status.finished and status.count(UnitState.DONE) == len(status.units):
        facts.append(("next", next_step(status)))
    print_facts(facts)


def next_step(status: BatchStatus, flags: str = "") -> str:
    """The command that follows: for the units that are missing, with these options, or once there are none."""
    store = shell_path(status.store)
    if status.missing:
        return f"s2ct batch run {store} {status.missing}{flags}"
    if status.count(UnitState.DONE) < len(status.units):  # others are at work
        return f"s2ct batch status {store}"
    if status.finished:
        bucket = address_of(status.store)
        return f"s2ct verify store {shell_path(str(bucket)) if bucket else store}"
    partial = status.refused or any(one.entry and one.entry.salvaged for one in status.units)
    return f"s2ct batch finalise {store}{' --partial' if partial else ''}"


def _memory(one: UnitStatus) -> str:
    noted = one.entry or one.failure
    return size(noted.peak_memory) if noted and noted.peak_memory else "-"


def _remarks(one: UnitStatus) -> str:
    if isinstance(one.owner, Owner):
        return f"{one.owner}, last heartbeat {seconds(one.owner.idle)} ago"
    if one.owner:
        return one.owner
    if one.entry and one.entry.gaps is not None:
        return f"salvaged: {plural(one.entry.examples, 'example')}, {plural(len(one.entry.gaps), 'gap')}"
    return one.failure.message.splitlines()[0] if one.failure else ""


def status_document(status: BatchStatus) -> dict[str, Any]:
    """The status as plain values."""
    return {
        "store": str(status.store),
        "finished": status.finished,
        "partial": bool(status.lacks),
        "run": _owner(status.run),
        "counts": {str(state): status.count(state) for state in UnitState},
        "missing": status.missing,
        "units": [
            {
                "number": one.number,
                "unit": one.unit,
                "state": str(one.state),
                "owner": _owner(one.owner),
                "record": dataclasses.asdict(one.entry) if one.entry else None,
                "failure": dataclasses.asdict(one.failure) if one.failure else None,
            }
            for one in status.units
        ],
    }


def _owner(owner: Owner | str | None) -> dict[str, Any] | str | None:
    return dataclasses.asdict(owner) if isinstance(owner, Owner) else owner
