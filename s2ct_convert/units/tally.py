"""Counts what a run has done, and ends it with a complete or partial store of the finished units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import from_os_error
from ..events import Event, OnEvent
from ..names import UnitName
from ..objects.address import AnyPath
from ..objects.usage import Usage
from ..store.container import Container
from .bucket import with_other_runs
from .entries import StoreOptions, UnitEntry
from .events import UnitDone, UnitFailed
from .finalise import complete, finished, salvaged_units
from .ledger import Ledger
from .summary import Summary
from .unit import done_entry


@dataclass
class Tally:
    """Collects the events that the summary needs, and passes all events on."""

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

    def _refused(self, ledger: Ledger, done: Sequence[UnitName], missing: Sequence[UnitName]) -> _Refused:
        """The sources that are not in the store, although their units are, of this run and of earlier ones.

        A source that was refused earlier counts until a source of its unit is taken: made, or found done.
        """
        taken = {entry.unit for entry in (*self.converted, *self.skipped)}
        of_unit: dict[str, set[str]] = {str(unit): set() for unit in (*done, *missing)}
        others = set(self.not_units)
        for failure in self.failures:
            if not failure.is_part:
                of_unit.get(failure.also_of or failure.unit, others).add(Path(failure.source).name)
        before = {unit: () if str(unit) in taken else ledger.refused.of(unit) for unit in done}
        return _Refused({unit: {*before[unit], *of_unit[str(unit)]} for unit in done}, others)

    def end(self, container: Container, ledger: Ledger, command: str) -> End:
        """Finalise the store with the finished units.

        The store is not finalised after a fault of the machine (EXIT_MACHINE), which would hit this step too. A
        finished store keeps a unit whose entry alone is lost: it is not finalised without that unit.
        """
        if any(failure.stops_the_run for failure in self.failures):
            return self._end(container, ledger, command)
        return with_other_runs(container, ledger, lambda: self._end(container, ledger, command))

    def _end(self, container: Container, ledger: Ledger, command: str) -> End:
        done, missing = done_units(container, ledger)
        absent, salvaged = tuple(map(str, missing)), tuple(salvaged_units(ledger, done))
        found = self._refused(ledger, done, missing)
        refused = found.names
        if not done or any(failure.stops_the_run for failure in self.failures):
            return End(absent, refused, None, salvaged)
        unrecorded = [unit for unit in missing if container.has(unit)]
        nothing_new = not self.failures and not self.converted and finished(ledger.store) is not None
        if unrecorded and (nothing_new or not all(map(container.stands_alone, unrecorded))):
            return End(absent, refused, None, salvaged)
        found.note(ledger)
        digest = complete(container, ledger, command, done, self.on_event, refused)
        return End(absent, refused, digest, salvaged)

    def summary(
        self, store: AnyPath, options: StoreOptions, end: End, seconds: float, usage: Usage | None = None
    ) -> Summary:
        """The result of the run, with the units that were done before."""
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
            salvaged=end.salvaged,
            not_units=tuple(self.not_units),
            dataset=options.dataset,
            usage=usage,
        )


@dataclass(frozen=True)
class _Refused:
    """Names of sources that are not in the store: by unit, and those of no known unit."""

    of_unit: dict[UnitName, set[str]]
    others: set[str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.others.union(*self.of_unit.values())))

    def note(self, ledger: Ledger) -> None:
        """Write them into the ledger."""
        try:
            for unit, names in self.of_unit.items():
                ledger.refused.note(unit, names)
            ledger.refused.note_others(self.others)
        except OSError as error:
            raise from_os_error(error, str(ledger.store)) from error


@dataclass(frozen=True)
class End:
    """The end of a run: missing units, sources that are not in the store, the digest of a finished store.

    ``salvaged``: units of the store that were salvaged from damaged sources.
    """

    missing: tuple[str, ...]
    refused: tuple[str, ...]
    digest: str | None
    salvaged: tuple[str, ...] = ()


def done_units(container: Container, ledger: Ledger) -> tuple[list[UnitName], list[UnitName]]:
    """The planned units that are done, and those that are missing."""
    done: list[UnitName] = []
    missing: list[UnitName] = []
    for unit in ledger.planned():
        (done if done_entry(container, ledger, unit) else missing).append(unit)
    return done, missing
