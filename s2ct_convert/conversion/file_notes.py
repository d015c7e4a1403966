"""Records in the ledger which units a file of a record holds, so that a deleted file is not fetched again."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..archives.checksum import Content, content_of_member
from ..durable import read_json, write_atomic
from ..errors import BadName
from ..fields import check_fields
from ..names import UnitName, parse_name
from ..record.manifest import RecordFile
from ..source.find import Source
from ..units.entries import to_json
from ..units.ledger import Ledger
from ..units.resume import Candidate


@dataclass(frozen=True)
class FoundUnit:
    """A unit in a file: its name, the member, and the member's size and CRC-32 if the archive gives them."""

    unit: str
    member: str | None
    content: Content | None

    def candidate(self, file: RecordFile) -> Candidate:
        """What is known about the source without the file."""
        return Candidate(
            file.key, self.member, file.size or 0, known_md5=file.md5 if self.member else None,
            known_content=self.content,
        )  # fmt: skip


def found_in(source: Source) -> FoundUnit:
    """The unit of a source that is on the disk."""
    content = content_of_member(source.path, source.member) if source.member is not None else None
    return FoundUnit(str(source.unit), source.member, content)


def read_note(ledger: Ledger, file: RecordFile) -> tuple[FoundUnit, ...] | None:
    """The units that a file of a record holds; None if it was not examined yet."""
    try:
        content = read_json(_path(ledger, file))
        return tuple(
            check_fields(FoundUnit(str(UnitName.from_path(one["unit"])), one["member"], _content(one["content"])))
            for one in content["units"]
        )
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return _by_entry(ledger, file)


def _content(values: Any) -> Content | None:
    if values is None:
        return None
    size, crc32 = values
    if not isinstance(size, int) or not isinstance(crc32, int):
        raise TypeError("size and CRC-32 are not numbers")
    return Content(size, crc32)


def _by_entry(ledger: Ledger, file: RecordFile) -> tuple[FoundUnit, ...] | None:
    """The unit in the name of the file, if its entry has the MD5 of this file."""
    unit = unit_of(file)
    entry = ledger.entry(unit) if unit else None
    if entry is None or entry.source_md5 != file.md5:
        return None
    return (FoundUnit(entry.unit, entry.source_member, None),)


def write_note(ledger: Ledger, file: RecordFile, found: tuple[FoundUnit, ...]) -> None:
    """Record the units that a file holds."""
    ledger.files.mkdir(parents=True, exist_ok=True)
    write_atomic(_path(ledger, file), to_json({"file": file.key, "units": [vars(one) for one in found]}))


def _path(ledger: Ledger, file: RecordFile) -> Path:
    """The note of this content under this name. The name counts: it gives the unit if the member's name does not."""
    return ledger.files / f"{file.md5}.{zlib.crc32(file.key.encode()):08x}.json"


def unit_of(file: RecordFile) -> UnitName | None:
    """The unit in the name of a file, or None."""
    try:
        return parse_name(file.key)[0]
    except BadName:
        return None
