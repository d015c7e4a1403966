"""The part of the ledger that a store in a bucket keeps there: options and planned units, and the record of each unit.

A record is written once. A second process that has made the same unit finds the first record, and leaves it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import DestinationExists
from ..names import UnitName
from ..objects.address import ObjectPath
from ..objects.failures import ObjectMissing, Overtaken
from ..objects.reads import Version, pause, read_version
from ..objects.scratch import address_of
from ..objects.writes import delete, put_if, put_new, put_over, read_if_there
from ..threads import for_each
from .entries import UnitEntry, to_json

_STORE = "store.json"
TRIES = 20  # of what other runs may do at the same time


class BucketRecords:
    """The records of one store, in ``<store>.s2ct/`` beside it."""

    def __init__(self, place: ObjectPath) -> None:
        self.store, self.place = place, ObjectPath(f"{place.root}.s2ct")
        self.matches = False  # whether the service honours If-Match

    @classmethod
    def of(cls, store: Path) -> BucketRecords | None:
        """The records of the store that is mirrored at a path; None for a store that stays on this machine."""
        place = address_of(store)
        return cls(place) if place else None

    def _record(self, unit: UnitName) -> ObjectPath:
        return self.place / "units" / f"{unit.key}.json"

    def entry(self, unit: UnitName) -> UnitEntry | None:
        """The record of a finished unit; None if there is none, or none of this version."""
        data = read_if_there(self._record(unit))
        try:
            return None if data is None else UnitEntry.from_values(json.loads(data))
        except (ValueError, TypeError, KeyError):
            return None

    def write(self, entry: UnitEntry) -> None:
        """Write the record of a unit whose objects are all there.

        Raises
        ------
        DestinationExists
            If another process has written a record of other content.
        """
        unit = UnitName.from_path(entry.unit)
        try:
            put_new(self._record(unit), to_json(entry))
        except DestinationExists:
            other = self.entry(unit)
            if other is None or (other.digest, other.files) != (entry.digest, entry.files):
                raise

    def forget(self, unit: UnitName) -> None:
        """Delete the record of a unit."""
        delete(self._record(unit))

    def write_store(self, content: Mapping[str, Any], *, without: UnitName | None = None) -> None:
        """Write options and planned units. Units that another run has planned stay, but for one to take out.

        Raises
        ------
        Overtaken
            If other runs keep writing it.
        """
        place = self.place / _STORE
        for again in range(TRIES):
            old, version = self._read_store()
            units = set(content["units"]) | set(json.loads(old)["units"] if old else ()) - {str(without)}
            data = to_json({**content, "units": sorted(units)})
            if data == old:
                return
            try:
                if old is None:
                    put_new(place, data)
                elif self.matches:
                    put_if(place, data, version)
                else:
                    put_over(place, data)
                return
            except (DestinationExists, Overtaken):
                if again == TRIES - 1 or not self.matches:
                    raise
            pause(again)

    def _read_store(self) -> tuple[bytes | None, Version]:
        try:
            return read_version(self.place / _STORE)
        except ObjectMissing:
            return None, Version(None, None)

    def read_store(self) -> bytes | None:
        """Options and planned units, as written."""
        return read_if_there(self.place / _STORE)

    def destroy(self, units: Collection[UnitName]) -> None:
        """Delete the records of these units, then the options."""
        for_each(self.forget, units, waiting=True)
        delete(self.place / _STORE)
