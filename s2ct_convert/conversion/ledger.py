"""What is done, on disk beside the store: ``<store>.s2ct/``.

One small JSON per finished unit, written only after the unit stands in its place, each replaced as a whole and
synced. A unit without a record is not done, whatever lies in its place: it is made anew, never patched.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import beside, remove, sweep, sync, write_atomic
from ..errors import DestinationExists
from ..names import UnitName
from ..processes import may_be_alive, owner_tag
from ..store.layout import LAYOUT_VERSION


@dataclass(frozen=True)
class Options:
    """What makes two conversions give the same store."""

    format: str
    codec: str
    linked: bool = False
    layout: int = LAYOUT_VERSION

    def flags(self) -> str:
        """As on the command line."""
        return f" --format {self.format} --codec {self.codec}{' --linked' if self.linked else ''}"


@dataclass(frozen=True)
class UnitRecord:
    """A finished unit: what it was made from and what it holds. Times are days since 1970-01-01.

    ``unpacker`` is "python" or a program with its version, e.g. "7zz 24.09"; None for a bare TFRecord.
    """

    unit: str
    source_file: str
    source_member: str | None
    source_bytes: int
    source_mtime_ns: int
    source_md5: str | None
    examples: int
    date_encoding: str | None
    dates_with_time: int
    label_pixels: int
    labels_outside: int
    samples: int
    observations: int
    time_first: int | None
    time_last: int | None
    label_count: list[int]
    digest: str
    bytes: int
    passes: int
    seconds: float
    s2ct_version: str
    unpacker: str | None = None


class Ledger:
    """The ledger of one store."""

    def __init__(self, store: Path) -> None:
        self.path = beside(store, ".s2ct")
        self._units = self.path / "units"
        self._work = self.path / "work"
        self._store = self.path / "store.json"

    def exists(self) -> bool:
        return self._store.exists()

    def begin(self, options: Options, units: list[UnitName]) -> None:
        """Note what the store is made as and which units it is to have, besides those noted before."""
        for folder in (self._units, self._work):
            folder.mkdir(parents=True, exist_ok=True)
        sync(self.path.parent)
        planned = sorted({str(unit) for unit in units} | {str(unit) for unit in self.planned()})
        content = {**dataclasses.asdict(options), "units": planned}
        write_atomic(self._store, _json(content))
        self.clean()

    def options(self) -> Options | None:
        """What the store was begun as."""
        content = self._read_store()
        return content[0] if content else None

    def planned(self) -> list[UnitName]:
        """Every unit the store is to have."""
        content = self._read_store()
        return content[1] if content else []

    def _read_store(self) -> tuple[Options, list[UnitName]] | None:
        if not self._store.exists():
            return None
        try:
            content = json.loads(self._store.read_bytes())
            options = Options(**{f.name: content[f.name] for f in dataclasses.fields(Options)})
            if not isinstance(content["units"], list):
                raise TypeError("units is no list")
            return options, [UnitName.from_path(unit) for unit in content["units"]]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DestinationExists(
                "the ledger of the store cannot be read",
                where=str(self._store),
                found=repr(error),
                todo="give --overwrite to start anew, or choose another destination",
            ) from error

    def record(self, unit: UnitName) -> UnitRecord | None:
        """The record of a finished unit; None if there is none that can be read: such a unit is not done."""
        try:
            record = UnitRecord(**json.loads((self._units / f"{unit.key}.json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return record if record.unit == str(unit) else None

    def write(self, record: UnitRecord) -> None:
        """Make a unit done."""
        path = self._units / f"{UnitName.from_path(record.unit).key}.json"
        write_atomic(path, _json(dataclasses.asdict(record)))

    def forget(self, unit: UnitName) -> None:
        """Make a unit not done, before it is touched."""
        remove(self._units / f"{unit.key}.json")

    def work_path(self, name: str) -> Path:
        """A path for something unfinished that only this process writes."""
        return self._work / f"{name}.{owner_tag()}"

    def clean(self) -> None:
        """Delete what processes of this machine left unfinished when they died."""
        sweep(self.path)
        sweep(self._units)
        sweep(self._work)
        for path in self._work.iterdir() if self._work.exists() else ():
            owner = re.search(r"\.([^.]+\.\d+)(\.sorted)?$", path.name)
            if owner is None or not may_be_alive(owner[1]):
                remove(path)

    def check_options(self, options: Options, store: Path) -> None:
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
        remove(self.path)


def _told(options: Options, other: Options) -> str:
    layout = f", layout {options.layout}" if options.layout != other.layout else ""
    return options.flags().strip() + layout


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"
