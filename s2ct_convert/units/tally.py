"""What a run has done so far, and its end: whatever is done is a store, complete or partial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..events import Event, OnEvent
from ..names import UnitName
from ..store.container import Container
from .entries import StoreOptions, UnitEntry
from .events import UnitDone, UnitFailed
from .finalise import complete, finished
from .ledger import Ledger
from .summary import Summary
from .unit import done_entry


@dataclass
class Tally:
    """Keeps what the summary needs of the events of a run, and passes them on."""

    on_event: OnEvent
    converted: list[UnitEntry] = field(default_factory=list)
    skipped: list[UnitEntry] = field(default_factory=list)
    failures: list[UnitFailed] = field(default_factory=list)
    not_units: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, UnitDone):
            (self.converted if event.made else self.skipped).append(event.entry)
        elif isinstance(event, UnitFailed):
            self.failures.append(event)
        self.on_event(event)

    def refused(self, missing: Sequence[UnitName]) -> tuple[str, ...]:
        """Names of the sources that are not in the store, though no unit is missing for it."""
        absent = set(map(str, missing))
        failed = {Path(failure.source).name for failure in self.failures if failure.unit not in absent}
        return tuple(sorted(failed | set(self.not_units)))

    def end(self, container: Container, ledger: Ledger, command: str) -> End:
        """Make a store of what is done, unless a fault of the machine would meet that too.

        Nor where that would take a unit out of a finished store for nothing but that its entry is lost.
        """
        done, missing = done_units(container, ledger)
        refused, absent = self.refused(missing), tuple(map(str, missing))
        if not done or any(failure.stops_the_run for failure in self.failures):
            return End(absent, refused, None)
        unrecorded = [unit for unit in missing if container.has(unit)]
        nothing_new = not self.failures and not self.converted and finished(ledger.store) is not None
        if unrecorded and (nothing_new or not all(map(container.stands_alone, unrecorded))):
            return End(absent, refused, None)
        ledger.note_refused(refused)
        return End(absent, refused, complete(container, ledger, command, done, self.on_event, refused))

    def summary(self, store: Path, options: StoreOptions, end: End, seconds: float) -> Summary:
        """What the run did, with what it did not have to do."""
        return Summary(
            store=store,
            format=options.format,
            codec=options.codec,
            converted=tuple(self.converted),
            skipped=tuple(self.skipped),
            failures=tuple(self.failures),
            missing=end.missing,
            digest=end.digest,
            seconds=seconds,
            refused=end.refused,
            not_units=tuple(self.not_units),
            dataset=options.dataset,
        )


@dataclass(frozen=True)
class End:
    """What a run leaves: units that are missing, sources that are not in the store, the digest of a finished store."""

    missing: tuple[str, ...]
    refused: tuple[str, ...]
    digest: str | None


def done_units(container: Container, ledger: Ledger) -> tuple[list[UnitName], list[UnitName]]:
    """Of the planned units those that are done, and those that are missing."""
    done: list[UnitName] = []
    missing: list[UnitName] = []
    for unit in ledger.planned():
        (done if done_entry(container, ledger, unit) else missing).append(unit)
    return done, missing
