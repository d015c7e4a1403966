"""The sources that were given and are not in the store, although their units are: a part of the ledger.

    refused/<unit>.json  sources of a unit, until a source of this unit is taken: made, or found done
    refused.json         sources of no known unit that the last run was given

A run that has nothing to do with a unit does not forget what was refused of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ..durable import read_json, remove, sweep, write_atomic
from ..names import UnitName
from .entries import to_json


class RefusedSources:
    """The refused sources of one ledger, by their file names."""

    def __init__(self, ledger: Path) -> None:
        self._folder = ledger / "refused"
        self._others = ledger / "refused.json"

    def names(self, units: Iterable[UnitName]) -> tuple[str, ...]:
        """The sources of these units and of no known unit, sorted."""
        return tuple(sorted({*_read(self._others), *(name for unit in units for name in self.of(unit))}))

    def of(self, unit: UnitName) -> tuple[str, ...]:
        return _read(self._file(unit))

    def note(self, unit: UnitName, names: Collection[str]) -> None:
        """Replace the list of a unit."""
        if not names:
            self.settle(unit)
        elif set(self.of(unit)) != set(names):
            self._folder.mkdir(exist_ok=True)
            write_atomic(self._file(unit), to_json(sorted(names)))

    def note_others(self, names: Collection[str]) -> None:
        """Replace the list of the sources of no known unit."""
        if set(_read(self._others)) != set(names):
            write_atomic(self._others, to_json(sorted(names)))

    def settle(self, unit: UnitName) -> None:
        """Forget the sources of a unit: one of its sources was taken."""
        remove(self._file(unit))

    def sweep(self) -> None:
        """Delete the temporary files of dead processes."""
        sweep(self._folder)

    def _file(self, unit: UnitName) -> Path:
        return self._folder / f"{unit.key}.json"


def _read(path: Path) -> tuple[str, ...]:
    try:
        names = read_json(path)
    except (FileNotFoundError, ValueError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()
