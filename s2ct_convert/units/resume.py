"""Is a finished unit made of this source? A unit that is there is never replaced by another source unasked.

Names, sizes and times decide where they can. Where only the name or the time differs, content decides: the MD5 of an
archive, or size and CRC-32 of the TFRecord in it, which its header has. A bare TFRecord is read for its CRC-32, but
only where there is something of the same size to compare it with.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from ..archives.checksum import Content, content_of_file, content_of_member
from ..archives.stream import SourceReader
from ..errors import DuplicateUnit, WrongUsage
from ..names import UnitName
from ..source.find import Source
from .entries import UnitEntry
from .events import UnitFailed


class Kin(Enum):
    """What a source is to a finished unit."""

    SAME = "the source it was made of"
    EQUAL = "another file of the same content"
    CHANGED = "a file of the same name whose content has changed"
    OTHER = "another source"


@dataclass(frozen=True)
class Candidate:
    """A source by what is known of it without unpacking; what is missing is read from ``path`` when it is needed."""

    file: str
    member: str | None
    bytes: int
    mtime_ns: int | None = None
    path: Path | None = None
    known_md5: str | None = None
    known_content: Content | None = None

    @classmethod
    def of(cls, source: Source, md5: str | None = None) -> Candidate:
        """A source that is there; ``md5`` where it is known already."""
        path = None if source.more else source.path  # of shards only sizes and times are compared
        return cls(source.path.name, source.member, source.size(), source.mtime_ns(), path, md5)

    @cached_property
    def md5(self) -> str | None:
        """MD5 of an archive; None of a bare TFRecord, whose entry has none to compare with."""
        if self.known_md5 or self.path is None or self.member is None:
            return self.known_md5
        with SourceReader(self.path) as file:  # all its volumes
            return file.md5()

    @cached_property
    def content(self) -> Content | None:
        """Size and CRC-32 of the TFRecord; None where an archive does not say."""
        if self.known_content or self.path is None:
            return self.known_content
        return content_of_file(self.path) if self.member is None else content_of_member(self.path, self.member)


def kin(entry: UnitEntry, candidate: Candidate) -> Kin:
    """What a source is to the unit that ``entry`` is of."""
    named = (entry.source_file, entry.source_member) == (candidate.file, candidate.member)
    unmoved = _in_same_place(entry, candidate) or entry.content_crc32 is None  # only an older version leaves that out
    if named and unmoved and entry.source_bytes == candidate.bytes and _of_same_time(entry, candidate):
        return Kin.SAME
    if _is_equal(entry, candidate):
        return Kin.SAME if named else Kin.EQUAL
    return Kin.CHANGED if named and _in_same_place(entry, candidate) else Kin.OTHER


def _in_same_place(entry: UnitEntry, candidate: Candidate) -> bool:
    """Whether a source lies where that of a unit lay; a file of the same name in another folder is another source."""
    if entry.source_path is None or candidate.path is None:
        return True
    return entry.source_path == os.path.abspath(candidate.path)  # noqa: PTH100


def _of_same_time(entry: UnitEntry, candidate: Candidate) -> bool:
    """Of a file of a record that is not here no time is known; where it has an MD5, that decides."""
    if candidate.mtime_ns is None:
        return entry.source_md5 is None
    return entry.source_mtime_ns == candidate.mtime_ns


def _is_equal(entry: UnitEntry, candidate: Candidate) -> bool:
    of_same_size = (entry.source_bytes, entry.source_member) == (candidate.bytes, candidate.member)
    if of_same_size and entry.source_md5 and entry.source_md5 == candidate.md5:
        return True
    size = entry.source_bytes if entry.source_member is None else entry.content_bytes
    if candidate.member is None and candidate.bytes != size:
        return False
    there, given = _content_of(entry, candidate, size), candidate.content
    return there is not None and there == given


def _content_of(entry: UnitEntry, candidate: Candidate, size: int | None) -> Content | None:
    """Content that a unit was made of. A bare TFRecord is read again, if it still lies where it was."""
    if entry.content_bytes is not None and entry.content_crc32 is not None:
        return Content(entry.content_bytes, entry.content_crc32)
    if entry.source_member is not None or candidate.path is None:
        return None
    there = Path(entry.source_path) if entry.source_path else candidate.path.with_name(entry.source_file)
    if there == candidate.path or (candidate.content and candidate.content.bytes != size):
        return None
    try:
        status = there.stat()
        if (status.st_size, status.st_mtime_ns) != (entry.source_bytes, entry.source_mtime_ns):
            return None
        return content_of_file(there)
    except FileNotFoundError:
        return None


def equal_note(entry: UnitEntry, file: str) -> str:
    """The message about a second source of the same content."""
    return f"{file}: the same content as {entry.source_file}, of which {entry.unit} is made"


def changed_note(entry: UnitEntry) -> str:
    """The message about a source that is not what it was."""
    return f"{entry.source_file} has changed since {entry.unit} was made: it is converted anew"


def duplicate(entry: UnitEntry, where: str) -> DuplicateUnit:
    """The error that refuses another source of a unit that is there."""
    return DuplicateUnit(
        f"the store has {entry.unit} from another source",
        where=where,
        found=f"{entry.unit} was made of {entry.source_path or source_of(entry)}",
        todo=f"leave this source out; or replace the unit by it: --overwrite-unit {entry.unit}",
    )


def source_of(entry: UnitEntry) -> str:
    """The source of a unit as messages name it."""
    member = entry.source_member
    if member is None or member == entry.source_file.removesuffix(".7z"):
        return entry.source_file
    return f"{entry.source_file}: {member}"


@dataclass(frozen=True)
class Verdict:
    """What is to be done with a source.

    ``done``: the entry of its unit, which is there. ``replaces``: the entry of what it is to take the place of.
    ``refused``: why it is not converted. ``note``: what a user should know.
    """

    done: UnitEntry | None = None
    replaces: UnitEntry | None = None
    refused: DuplicateUnit | None = None
    note: str | None = None


def judge(entry: UnitEntry | None, candidate: Candidate, where: str, *, overwrite: bool = False) -> Verdict:
    """Decide on a source whose unit has this entry; ``overwrite``: the unit is made of it in any case."""
    if entry is None:
        return Verdict()
    if overwrite:
        return Verdict(replaces=entry, note=f"{entry.unit}: {where} takes the place of {source_of(entry)}")
    match kin(entry, candidate):
        case Kin.SAME:
            return Verdict(done=entry)
        case Kin.EQUAL:
            return Verdict(done=entry, note=equal_note(entry, candidate.file))
        case Kin.CHANGED:
            return Verdict(replaces=entry, note=changed_note(entry))
    return Verdict(refused=duplicate(entry, where))


def refusal(unit: UnitName, source: Path | str, error: DuplicateUnit) -> UnitFailed:
    """The event of a source that is refused."""
    return UnitFailed(str(unit), str(source), error.exit_code, str(error), refused=True)


def check_overwrites(units: Iterable[str], there: Collection[UnitName]) -> frozenset[str]:
    """The units that may be replaced knowingly, each of which must be one that a source is of.

    Raises
    ------
    WrongUsage
    """
    known = {name: str(unit) for unit in there for name in (str(unit), f"{unit.split}/T{unit.tile}")}
    asked = set(units)
    if strange := sorted(asked - known.keys()):
        raise WrongUsage(
            "no source is of this unit",
            expected=" ".join(f"--overwrite-unit {unit}" for unit in strange),
            found=", ".join(sorted(set(known.values()))) or "no unit",
        )
    return frozenset(known[unit] for unit in asked)
