"""What is done, on disk beside the store: ``<store>.s2ct/``.

    store.json           what the store is made as, and every unit it is to have
    plan.json            the plan of `s2ct batch`, with the numbers of units
    units/<unit>.json    the entry of a finished unit, written once the unit stands in its place
    failed/<unit>.json   a unit that could not be made when it was last tried
    leases/<unit>.lease  a unit that is being made; leases/run.lease: a run on the whole store
    files/<md5>.json     which units were found in a file of the record, by `s2ct build`
    refused.json         sources that the last run was given and that are not in the store
    unrecorded/<unit>    a unit that stood in the store without an entry
    work/                what is not finished

Each file is replaced as a whole and synced. A unit without an entry is not done, whatever lies in its place: it is
made anew, never patched.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..dataset import Dataset
from ..durable import beside, remove, sweep, sync, write_atomic
from ..errors import DestinationExists
from ..lease import Lease, Owner
from ..names import UnitName
from ..processes import may_be_alive
from ..store.local import Scratch
from .entries import Failure, StoreOptions, UnitEntry, to_json

_RUN = "run.lease"


class Ledger:
    """The ledger of one store."""

    def __init__(self, store: Path) -> None:
        self.path = beside(store, ".s2ct")
        self.store = store
        self._units = self.path / "units"
        self._failed = self.path / "failed"
        self._leases = self.path / "leases"
        self._work = self.path / "work"
        self._begun = self.path / "store.json"
        self._unrecorded = self.path / "unrecorded"
        self._refused = self.path / "refused.json"
        self.files = self.path / "files"
        self.plan_path = self.path / "plan.json"

    def exists(self) -> bool:
        return self._begun.exists()

    def begin(self, options: StoreOptions, units: list[UnitName]) -> None:
        """Note what the store is made as and which units it is to have, besides those noted before."""
        for folder in (self._units, self._failed, self._leases, self._work):
            folder.mkdir(parents=True, exist_ok=True)
        sync(self.path.parent)
        planned = sorted({str(unit) for unit in units} | {str(unit) for unit in self.planned()})
        content = {**options.values(), "units": planned}
        write_atomic(self._begun, to_json(content))
        self.clean()

    def unplan(self, unit: UnitName) -> None:
        """Take back that the store is to have a unit: the file that was named so is another."""
        if content := self._read_store():
            units = [str(one) for one in content[1] if one != unit]
            write_atomic(self._begun, to_json({**content[0].values(), "units": units}))

    def options(self) -> StoreOptions | None:
        """What the store was begun as."""
        content = self._read_store()
        return content[0] if content else None

    def planned(self) -> list[UnitName]:
        """Every unit the store is to have."""
        content = self._read_store()
        return content[1] if content else []

    def _read_store(self) -> tuple[StoreOptions, list[UnitName]] | None:
        if not self._begun.exists():
            return None
        try:
            content = json.loads(self._begun.read_bytes())
            options = StoreOptions.from_values(content)
            if not isinstance(content["units"], list):
                raise TypeError("units is no list")
            return options, [UnitName.from_path(unit) for unit in content["units"]]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DestinationExists(
                "the ledger of the store cannot be read",
                where=str(self._begun),
                found=repr(error),
                todo="restore this file from a copy, or choose another destination",
            ) from error

    def entry(self, unit: UnitName) -> UnitEntry | None:
        """The entry of a finished unit; None if there is none that can be read: such a unit is not done."""
        try:
            entry = UnitEntry.from_values(json.loads((self._units / f"{unit.key}.json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        return entry if entry.unit == str(unit) else None

    def write(self, entry: UnitEntry) -> None:
        """Make a unit done."""
        key = UnitName.from_path(entry.unit).key
        write_atomic(self._units / f"{key}.json", to_json(entry))
        remove(self._failed / f"{key}.json")
        remove(self._unrecorded / key)

    def forget(self, unit: UnitName) -> None:
        """Make a unit not done, before it is touched."""
        remove(self._units / f"{unit.key}.json")

    def write_failure(self, failure: Failure) -> None:
        """Note why a unit could not be made. Of no use to a conversion, which tries again; people want to know."""
        write_atomic(self._failed / f"{UnitName.from_path(failure.unit).key}.json", to_json(failure))

    def failure(self, unit: UnitName) -> Failure | None:
        """Why a unit could not be made when it was last tried."""
        try:
            return Failure(**json.loads((self._failed / f"{unit.key}.json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def note_refused(self, names: Sequence[str]) -> None:
        """Note the sources that the store is without, in place of those of the run before."""
        if self.refused() != tuple(names):
            write_atomic(self._refused, to_json(list(names)))

    def refused(self) -> tuple[str, ...]:
        """Sources that the last run was given and that are not in the store."""
        try:
            return tuple(map(str, json.loads(self._refused.read_bytes())))
        except (FileNotFoundError, ValueError, TypeError):
            return ()

    def run_lease(self) -> Lease:
        """Of a run on the whole store."""
        return Lease(self._leases / _RUN, self.store, "another run is at work on this store", beats=True)

    def unit_lease(self, unit: UnitName) -> Lease:
        """Of the process that makes a unit."""
        return Lease(self._leases / f"{unit.key}.lease", self.store, f"another process is making {unit}", beats=True)

    def held_units(self) -> list[tuple[Lease, Owner | str]]:
        """Leases of units that somebody living holds."""
        out = []
        for lease in self._unit_leases():
            if owner := lease.owner():
                out.append((lease, owner))
        return out

    def _unit_leases(self) -> list[Lease]:
        """Those that somebody has taken, or was about to delete when he died."""
        names = {path.name.partition(".")[0] for path in self._leases.glob("*.lease*")} - {_RUN.partition(".")[0]}
        return [self.unit_lease(UnitName(*name.split("_"))) for name in sorted(names)]

    def make_leases(self) -> None:
        """See that leases can be taken, before there is a ledger."""
        self._leases.mkdir(parents=True, exist_ok=True)

    def drop_leases(self) -> None:
        """Undo :meth:`make_leases` if no ledger has come of it."""
        if not self.exists():
            for folder in (self._leases, self.path):
                with suppress(OSError):  # not empty: somebody else is at work
                    folder.rmdir()

    @property
    def scratch(self) -> Scratch:
        """Folders for what is not a part of the store: work, and units without a record until they are made anew."""
        return Scratch(self._work, self._unrecorded)

    def clean(self, *, everything: bool = False) -> None:
        """Delete what processes of this machine left unfinished when they died.

        ``everything``: of all machines, for one who knows that nobody else is at work.
        """
        for folder in (self.path, self._units, self._failed, self._work):
            sweep(folder)
        for path in self._work.iterdir() if self._work.exists() else ():
            if path.name.startswith("."):
                continue  # being deleted by somebody who lives, or sweep would have
            owner = re.search(r"\.([^.]+\.\d+)(\.sorted)?$", path.name)
            if everything or owner is None or not may_be_alive(owner[1]):
                remove(path)
        for lease in self._unit_leases():  # of a unit that is done nobody takes it again
            lease.bury()

    def check_options(self, options: StoreOptions, store: Path) -> None:
        """Refuse to go on with other options than the store was begun with.

        Raises
        ------
        DestinationExists
        """
        begun = self.options()
        if begun is not None and begun != options:
            raise DestinationExists(
                "a store was begun here with other options",
                where=str(store),
                expected=_told(begun, options),
                found=_told(options, begun),
                todo="use the same options to go on, --overwrite to start anew, or another destination",
            )

    def destroy(self) -> None:
        """Forget all but who is at work."""
        for path in sorted(self.path.iterdir()) if self.path.exists() else ():
            if path != self._leases:
                remove(path)


def _told(options: StoreOptions, other: StoreOptions) -> str:
    layout = f", layout {options.layout}" if options.layout != other.layout else ""
    return options.flags().strip() + layout + _told_dataset(options.dataset, other.dataset)


def _told_dataset(dataset: Dataset, other: Dataset) -> str:
    """The data set where two differ: by its DOI or, where they have one, by what is not the same."""
    if dataset == other:
        return ""
    if dataset.doi != other.doi:
        return f", data set {dataset.doi}"
    names = [field.name for field in dataclasses.fields(dataset)]
    return "".join(
        f", {name} {getattr(dataset, name)}" for name in names if getattr(dataset, name) != getattr(other, name)
    )
