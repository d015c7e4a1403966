"""The ledger of a store, in the folder ``<store>.s2ct/`` beside it.

    store.json           the options of the store, and every planned unit
    plan.json            the plan of `s2ct batch`, with the numbers of units
    units/<unit>.json    the entry of a finished unit, written after the unit is in its place
    failed/<unit>.json   a unit whose last attempt failed
    leases/<unit>.lease  a unit that is being made; leases/run.lease: a run on the whole store
    files/<md5>.json     the units that `s2ct build` found in a file of the record
    refused/<unit>.json  sources of a unit that are not in the store; refused.json: those of no known unit
    replace/<unit>       a finished unit that tasks of a batch make again
    chosen/<unit>        a unit that the user replaced after the batch was planned
    unrecorded/<unit>    a unit that was in the store without an entry
    work/                unfinished units

Each file is replaced as a whole and synced. A unit without an entry is not done, even if there is data in its place:
it is made again, never patched.
"""

from __future__ import annotations

import dataclasses
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..dataset import Dataset
from ..durable import beside, read_json, remove, sweep, sync, write_atomic
from ..errors import DestinationExists
from ..fields import check_fields
from ..lease import Lease, Owner
from ..names import UnitName
from ..processes import may_be_alive
from ..store.local import Scratch
from .bucket_records import BucketRecords
from .entries import Failure, StoreOptions, UnitEntry, to_json
from .refused import RefusedSources

_RUN = "run.lease"


class Ledger:
    """The ledger of one store."""

    def __init__(self, store: Path) -> None:
        self.path = beside(store, ".s2ct")
        self.store = store
        self.bucket = BucketRecords.of(store)
        self._units = self.path / "units"
        self._failed = self.path / "failed"
        self._leases = self.path / "leases"
        self._work = self.path / "work"
        self._store_file = self.path / "store.json"
        self._unrecorded = self.path / "unrecorded"
        self.refused = RefusedSources(self.path)
        self._replace = self.path / "replace"
        self._chosen = self.path / "chosen"
        self.files = self.path / "files"
        self.plan_path = self.path / "plan.json"

    def exists(self) -> bool:
        return self._store_file.exists()

    def begin(self, options: StoreOptions, units: list[UnitName]) -> None:
        """Record the options of the store, and add these units to the planned ones."""
        self._make_folders()
        planned = sorted({str(unit) for unit in units} | {str(unit) for unit in self.planned()})
        self._write_store({**options.values(), "units": planned})
        self.clean()

    def begin_here(self, content: bytes) -> None:
        """Copy the options and planned units of a store in a bucket to this machine."""
        self._make_folders()
        write_atomic(self._store_file, content)

    def _make_folders(self) -> None:
        for folder in (self._units, self._failed, self._leases, self._work):
            folder.mkdir(parents=True, exist_ok=True)
        sync(self.path.parent)

    def _write_store(self, content: dict[str, Any], *, without: UnitName | None = None) -> None:
        write_atomic(self._store_file, to_json(content))
        if self.bucket:
            self.bucket.write_store(content, without=without)

    def unplan(self, unit: UnitName) -> None:
        """Remove a unit from the planned ones: the file with that name holds other units."""
        if content := self._read_store():
            units = [str(one) for one in content[1] if one != unit]
            self._write_store({**content[0].values(), "units": units}, without=unit)

    def options(self) -> StoreOptions | None:
        """The options that the store was started with; None if there is no ledger."""
        content = self._read_store()
        return content[0] if content else None

    def planned(self) -> list[UnitName]:
        """Every planned unit."""
        content = self._read_store()
        return content[1] if content else []

    def _read_store(self) -> tuple[StoreOptions, list[UnitName]] | None:
        if not self._store_file.exists():
            return None
        try:
            content = read_json(self._store_file)
            options = StoreOptions.from_values(content)
            if not isinstance(content["units"], list):
                raise TypeError("units is not a list")
            return options, [UnitName.from_path(unit) for unit in content["units"]]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DestinationExists(
                "cannot read the ledger of the store",
                where=str(self._store_file),
                found=repr(error),
                todo="restore this file from a copy, or choose another destination",
            ) from error

    def entry(self, unit: UnitName) -> UnitEntry | None:
        """The entry of a finished unit; None if it is absent or unreadable: such a unit is not done."""
        try:
            entry = UnitEntry.from_values(read_json(self._units / f"{unit.key}.json"))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        return entry if entry.unit == str(unit) else None

    def write(self, entry: UnitEntry) -> None:
        """Mark a unit as done. In a bucket, the first record of a unit stays."""
        if self.bucket:
            self.bucket.write(entry)
        self.note(entry)
        self.refused.settle(UnitName.from_path(entry.unit))

    def note(self, entry: UnitEntry) -> None:
        """Mark a unit as done on this machine."""
        key = UnitName.from_path(entry.unit).key
        write_atomic(self._units / f"{key}.json", to_json(entry))
        remove(self._failed / f"{key}.json")
        remove(self._unrecorded / key)
        remove(self._replace / key)

    def forget_failure(self, unit: UnitName) -> None:
        """Delete the failure of a unit that is done."""
        remove(self._failed / f"{unit.key}.json")

    def mark_to_replace(self, unit: UnitName, *, replace: bool) -> None:
        """Record whether tasks of a batch make a finished unit again; its next entry ends that."""
        if replace:
            self._replace.mkdir(exist_ok=True)
            write_atomic(self._replace / unit.key, b"")
        else:
            remove(self._replace / unit.key)

    def is_to_be_replaced(self, unit: UnitName) -> bool:
        return (self._replace / unit.key).exists()

    def mark_chosen(self, unit: UnitName, *, chosen: bool) -> None:
        """Record whether the user chose the source of a unit over that of a plan of `s2ct batch`, made before."""
        if chosen and self.plan_path.exists():
            self._chosen.mkdir(exist_ok=True)
            write_atomic(self._chosen / unit.key, b"")
        else:
            remove(self._chosen / unit.key)

    def is_chosen(self, unit: UnitName) -> bool:
        return (self._chosen / unit.key).exists()

    def forget(self, unit: UnitName) -> None:
        """Mark a unit as not done. This comes before any change to the unit."""
        if self.bucket:
            self.bucket.forget(unit)
        self.forget_here(unit)

    def forget_here(self, unit: UnitName) -> None:
        """Mark a unit as not done on this machine."""
        remove(self._units / f"{unit.key}.json")

    def write_failure(self, failure: Failure) -> None:
        """Record why a unit failed. A conversion ignores this and tries again; `s2ct batch status` shows it."""
        write_atomic(self._failed / f"{UnitName.from_path(failure.unit).key}.json", to_json(failure))

    def failure(self, unit: UnitName) -> Failure | None:
        """Why the last attempt at a unit failed; None if it did not."""
        try:
            return check_fields(Failure(**read_json(self._failed / f"{unit.key}.json")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def run_lease(self) -> Lease:
        """The lease of a run on the whole store."""
        return Lease(self._leases / _RUN, self.store, "another run is using this store", beats=True)

    def unit_lease(self, unit: UnitName) -> Lease:
        """The lease of the process that makes a unit."""
        return Lease(self._leases / f"{unit.key}.lease", self.store, f"another process is making {unit}", beats=True)

    def held_units(self) -> list[tuple[Lease, Owner | str]]:
        """Leases of units that a live process holds, with their owners."""
        out = []
        for lease in self._unit_leases():
            if owner := lease.owner():
                out.append((lease, owner))
        return out

    def _unit_leases(self) -> list[Lease]:
        """Leases of units that have a file, also those whose deletion was interrupted."""
        names = {path.name.partition(".")[0] for path in self._leases.glob("*.lease*")} - {_RUN.partition(".")[0]}
        return [self.unit_lease(UnitName(*name.split("_"))) for name in sorted(names)]

    def make_leases(self) -> None:
        """Make the folder of leases, so that a lease can be taken before there is a ledger."""
        self._leases.mkdir(parents=True, exist_ok=True)

    def drop_leases(self) -> None:
        """Undo :meth:`make_leases` if there is still no ledger."""
        if not self.exists():
            for folder in (self._leases, self.path):
                with suppress(OSError):  # not empty: another process uses it
                    folder.rmdir()

    @property
    def scratch(self) -> Scratch:
        """Folders for data outside the store: unfinished units, and unrecorded units until they are made again."""
        return Scratch(self._work, self._unrecorded)

    def clean(self, *, everything: bool = False) -> None:
        """Delete the unfinished work of dead processes on this host.

        ``everything``: on all hosts; only for a caller who knows that no other process uses the store.
        """
        for folder in (self.path, self._units, self._failed, self._work):
            sweep(folder)
        self.refused.sweep()
        for path in self._work.iterdir() if self._work.exists() else ():
            if path.name.startswith("."):
                continue  # a live process is deleting it; sweep has deleted the others
            owner = re.search(r"\.([^.]+\.\d+)(\.sorted)?$", path.name)
            if everything or owner is None or not may_be_alive(owner[1]):
                remove(path)
        for lease in self._unit_leases():  # no process takes the lease of a finished unit again
            lease.bury()

    def check_options(self, options: StoreOptions, store: Path) -> None:
        """Refuse to resume with options other than those the store was started with.

        Raises
        ------
        DestinationExists
        """
        started_with = self.options()
        if started_with is not None and started_with != options:
            raise DestinationExists(
                "a conversion with other options was started here",
                where=str(store),
                expected=_in_words(started_with, options),
                found=_in_words(options, started_with),
                todo="use the same options to resume, --overwrite to start again, or another destination",
            )

    def destroy(self) -> None:
        """Delete everything but the leases."""
        if self.bucket:
            self.bucket.destroy(self.planned())
        for path in sorted(self.path.iterdir()) if self.path.exists() else ():
            if path != self._leases:
                remove(path)


def _in_words(options: StoreOptions, other: StoreOptions) -> str:
    layout = f", layout {options.layout}" if options.layout != other.layout else ""
    return options.flags().strip() + layout + _dataset_in_words(options.dataset, other.dataset)


def _dataset_in_words(dataset: Dataset, other: Dataset) -> str:
    """How two data sets differ: by their DOIs or, with the same DOI, by the fields that differ."""
    if dataset == other:
        return ""
    if dataset.doi != other.doi:
        return f", data set {dataset.doi}"
    names = [field.name for field in dataclasses.fields(dataset)]
    return "".join(
        f", {name} {getattr(dataset, name)}" for name in names if getattr(dataset, name) != getattr(other, name)
    )
