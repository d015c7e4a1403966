"""Decides whether a finished unit was made from a source. Another source replaces a unit only on request.

Names, sizes and times decide if they can. If only the name or the time differs, the content decides: the MD5 of an
archive, or the size and CRC-32 of the TFRecord in it, from its header. s2ct reads a bare TFRecord for its CRC-32, but
only to compare it with a source of the same size.

A salvaged unit is done only for the very bytes that it was made from, by their MD5: the headers of a damaged archive
describe the good one. Any other source of it is tried, and a good one replaces it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from ..archives.checksum import Content, content_of_file
from ..archives.stream import SourceReader
from ..errors import DuplicateUnit, WrongUsage
from ..names import UnitName
from ..objects.remote import AnyFile, RemoteFile, absolute
from ..source.find import Part, Source
from ..source.found import UNKNOWN
from ..source.same import content_of_source, contents_of, md5_of_files
from ..source.tfrecord import HEADER_BYTES
from ..source.wrapped import find_wrapper
from .entries import UnitEntry
from .events import UnitFailed


class Kin(Enum):
    """How a source relates to a finished unit."""

    SAME = "the source it was made from"
    EQUAL = "another file with the same content"
    CHANGED = "a file of the same name whose content has changed"
    OTHER = "another source"


@dataclass(frozen=True)
class Candidate:
    """What is known about a source without unpacking it; the rest is read from ``path`` when needed."""

    file: str
    member: str | None
    bytes: int
    mtime_ns: int | None = None
    path: AnyFile | None = None
    known_md5: str | None = None
    known_content: Content | None = None
    source: Source | None = None
    etag: str | None = None

    @classmethod
    def of(cls, source: Source, md5: str | None = None) -> Candidate:
        """A source that is on the disk; ``md5`` if it is known already."""
        size, mtime_ns, etag = source.size(), source.mtime_ns(), source.etag()
        return cls(source.path.name, source.member, size, mtime_ns, source.path, md5, source=source, etag=etag)

    @cached_property
    def md5(self) -> str | None:
        """MD5 of an archive; None for a bare TFRecord, since its entry has no MD5 to compare with.

        None for an archive at an address too: to compute it would be to fetch it, and its header has a CRC-32.
        """
        if self.known_md5 or self.path is None or self.member is None or self._has_shards or self._is_remote:
            return self.known_md5
        with SourceReader(self.path) as file:  # all its volumes
            return file.md5()

    @cached_property
    def is_wrapped(self) -> bool:
        """Whether it is a bare file in gzip or zlib, so its size differs from that of the TFRecord."""
        if self.path is None or self.member is not None:
            return False
        with SourceReader(self.path, with_md5=False) as file:
            return find_wrapper(file.read(HEADER_BYTES)) is not None

    @cached_property
    def contents(self) -> set[Content]:
        """Size and CRC-32 of the TFRecord, as stored and without gzip or zlib; empty if the archive has none."""
        if self.known_content or self.path is None or self.member == UNKNOWN:
            return {self.known_content} if self.known_content else set()
        if self.source and self._has_shards:
            joined = content_of_source(self.source)
            return {joined} if joined else set()
        return contents_of(Part(self.path, self.member))

    @cached_property
    def all_md5(self) -> str | None:
        """MD5 of all its files, one after another; None if they are not here and their MD5 is not known."""
        return md5_of_files(self.source.files) if self.source and not self._is_remote else self.known_md5

    @property
    def _is_remote(self) -> bool:
        return isinstance(self.path, RemoteFile)

    @property
    def _has_shards(self) -> bool:
        return self.source is not None and bool(self.source.more)


def kin(entry: UnitEntry, candidate: Candidate) -> Kin:
    """How a source relates to the unit of ``entry``."""
    named = (entry.source_file, entry.source_member) == (candidate.file, candidate.member)
    if entry.salvaged:
        same = entry.source_md5 == candidate.all_md5
        return Kin.OTHER if not same else Kin.SAME if named else Kin.EQUAL
    unmoved = _in_same_place(entry, candidate) or entry.content_crc32 is None  # only older versions omit the CRC-32
    if named and unmoved and entry.source_bytes == candidate.bytes and _of_same_time(entry, candidate):
        return Kin.SAME
    if _is_equal(entry, candidate):
        return Kin.SAME if named else Kin.EQUAL
    return Kin.CHANGED if named and _in_same_place(entry, candidate) else Kin.OTHER


def _in_same_place(entry: UnitEntry, candidate: Candidate) -> bool:
    """Whether the path is the same; a file with the same name in another folder is another source."""
    if entry.source_path is None or candidate.path is None:
        return True
    return entry.source_path == absolute(candidate.path)


def _of_same_time(entry: UnitEntry, candidate: Candidate) -> bool:
    """Whether the modification time is the same; at an address, whether the ETag is.

    The time is unknown for a file not yet fetched; its MD5 decides then. A service may tell neither ETag nor time; the
    content decides then.
    """
    if candidate.etag is not None:
        return entry.source_etag == candidate.etag
    if isinstance(candidate.path, RemoteFile) and not candidate.mtime_ns:
        return False
    if candidate.mtime_ns is None:
        return entry.source_md5 is None
    return entry.source_mtime_ns == candidate.mtime_ns


def _is_equal(entry: UnitEntry, candidate: Candidate) -> bool:
    of_same_size = (entry.source_bytes, entry.source_member) == (candidate.bytes, candidate.member)
    if of_same_size and entry.source_md5 and entry.source_md5 == candidate.md5:
        return True
    size = entry.content_bytes if entry.content_bytes is not None else entry.source_bytes
    if candidate.member is None and not candidate.is_wrapped and candidate.bytes != size:
        return False
    content = _content_of(entry, candidate)
    return content is not None and content in candidate.contents


def _content_of(entry: UnitEntry, candidate: Candidate) -> Content | None:
    """Content that a unit was made from. If an older entry lacks it, a bare TFRecord is read again."""
    if entry.content_bytes is not None and entry.content_crc32 is not None:
        return Content(entry.content_bytes, entry.content_crc32)
    if entry.source_member is not None or candidate.path is None:
        return None
    if isinstance(candidate.path, RemoteFile) or entry.source_etag is not None:
        return None  # such entries have the content
    there = Path(entry.source_path) if entry.source_path else candidate.path.with_name(entry.source_file)
    if there == candidate.path or all(content.bytes != entry.source_bytes for content in candidate.contents):
        return None
    try:
        status = there.stat()
        if (status.st_size, status.st_mtime_ns) != (entry.source_bytes, entry.source_mtime_ns):
            return None
        return content_of_file(there)
    except FileNotFoundError:
        return None


def equal_note(entry: UnitEntry, file: str) -> str:
    """The message about a second source with the same content."""
    return f"{file}: the same content as {entry.source_file}, the source of {entry.unit}"


def changed_note(entry: UnitEntry) -> str:
    """The message about a source that has changed."""
    return f"{entry.source_file} has changed since {entry.unit} was made; converting it again"


def duplicate(entry: UnitEntry, where: str) -> DuplicateUnit:
    """The error that refuses another source of a unit in the store."""
    return DuplicateUnit(
        f"the store has {entry.unit} from another source",
        where=where,
        found=f"{entry.unit} was made from {entry.source_path or source_of(entry)}",
        todo=f"leave this source out, or replace the unit: --overwrite-unit {entry.unit}",
    )


def source_of(entry: UnitEntry) -> str:
    """The name of a unit's source in messages."""
    member = entry.source_member
    if member is None or member == entry.source_file.removesuffix(".7z"):
        return entry.source_file
    return f"{entry.source_file}: {member}"


@dataclass(frozen=True)
class Verdict:
    """The decision on a source.

    ``done``: the entry of its unit, which is finished. ``replaces``: the entry of the unit that it replaces.
    ``refused``: the error if it is refused. ``note``: a message for the user.
    """

    done: UnitEntry | None = None
    replaces: UnitEntry | None = None
    refused: DuplicateUnit | None = None
    note: str | None = None


def judge(entry: UnitEntry | None, candidate: Candidate, where: str, *, overwrite: bool = False) -> Verdict:
    """Decide on a source whose unit has this entry; with ``overwrite`` it always replaces the unit."""
    if entry is None:
        return Verdict()
    if overwrite:
        same = kin(entry, candidate) in (Kin.SAME, Kin.EQUAL)
        what = f"converting it again from {where}" if same else f"{where} replaces {source_of(entry)}"
        return Verdict(replaces=entry, note=f"{entry.unit}: {what}")
    match kin(entry, candidate):
        case Kin.SAME:
            return Verdict(done=entry)
        case Kin.EQUAL:
            return Verdict(done=entry, note=equal_note(entry, candidate.file))
        case Kin.CHANGED:
            return Verdict(replaces=entry, note=changed_note(entry))
    if entry.salvaged:
        return Verdict(replaces=entry, note=f"{entry.unit} is salvaged; trying {where}, which may be whole")
    return Verdict(refused=duplicate(entry, where))


def refusal(unit: UnitName, source: AnyFile | str, error: DuplicateUnit) -> UnitFailed:
    """The event of a refused source."""
    return UnitFailed(str(unit), str(source), error.exit_code, str(error), refused=True)


def check_overwrites(units: Iterable[str], there: Collection[UnitName]) -> frozenset[str]:
    """The units that the user allows to be replaced. Each must have a source.

    Raises
    ------
    WrongUsage
    """
    known = {name: str(unit) for unit in there for name in (str(unit), f"{unit.split}/T{unit.tile}")}
    asked = set(units)
    if strange := sorted(asked - known.keys()):
        raise WrongUsage(
            "this unit has no source",
            expected=" ".join(f"--overwrite-unit {unit}" for unit in strange),
            found=", ".join(sorted(set(known.values()))) or "no unit",
        )
    return frozenset(known[unit] for unit in asked)
