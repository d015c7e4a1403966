"""Finds the TFRecords in a 7z archive: by the names of its members where they suffice, else by their first bytes."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..archives.archive import Member, read_archive, read_heads
from ..archives.file_kind import is_archive, is_packing
from ..errors import BadName, NotATFRecord, S2ctError
from ..names import FORM, SourceName, try_name
from ..objects.remote import AnyFile
from ..words import shell_path
from .found import FoundTFRecord, Part, some
from .kind import foreign_kind, is_tfrecord

# Files that describe others: examined only if the archive holds nothing else.
TEXTS = (
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".htm", ".pdf", ".log"),
    *(".doc", ".docx", ".xls", ".xlsx", ".ipynb", ".py", ".sh", ".md5", ".sha256", ".proto", ".cfg", ".ini", ".toml"),
    *(".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".geojson", ".kml", ".shp", ".dbf", ".prj", ".shx", ".bib"),
)
_UNPACK = "unpack it, then give the unpacked files: s2ct extract {} FOLDER"
_LITTER = (".ds_store", "thumbs.db", "desktop.ini", "icon\r")
_PACKED = re.compile(r"\.(?:7z|zip|rar|tar|tgz|tbz2?|txz|xz|zst|bz2)(?:\.\d{3})?$", re.IGNORECASE)


@dataclass
class Inside:
    """The contents of an archive: TFRecords, notes, and errors for members that should be a source."""

    tfrecords: list[FoundTFRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[S2ctError] = field(default_factory=list)


def look_inside(path: AnyFile) -> Inside:
    """Find the TFRecords in an archive.

    Members are unpacked, and only their first bytes, where names do not suffice.

    Raises
    ------
    SourceError
        If the archive cannot be read, or holds no TFRecord.
    OSError
    """
    members = [member for member in read_archive(path).members if not is_litter(member.name)]
    if not members:
        raise NotATFRecord("there is no file in this archive", where=path.name)
    return _Look(path, members).look()


def is_litter(name: str) -> bool:
    """Whether the file is an addition of an operating system, not of the person who packed the archive."""
    *folders, base = re.split(r"[/\\]", name)
    return "__MACOSX" in folders or base.startswith("._") or base.lower() in _LITTER


class _Look:
    """The search in one archive."""

    def __init__(self, path: AnyFile, members: Sequence[Member]) -> None:
        self._path, self._members = path, members
        self._names = {member.name: try_name(member.name) for member in members}
        self._heads: dict[str, bytes] = {}
        self._inside = Inside()

    def look(self) -> Inside:
        named = [m.name for m in self._members if self._is_sure(m.name)]
        rest = [m for m in self._members if m.name not in named and m.size]
        texts = [m.name for m in rest if m.name.lower().endswith(TEXTS)]
        records = self._records([m.name for m in rest if m.name not in texts])
        if not named and not records:
            records = self._records(texts)
        if not named and not records:
            raise self._nothing()
        self._check_names([*named, *records])
        self._add(named, records)
        self._report_packed()
        self._note_skipped([*named, *records])
        return self._inside

    def _check_names(self, taken: Sequence[str]) -> None:
        """Refuse two TFRecords with one name: no unpacker can select one of them."""
        counts = Counter(member.name for member in self._members)
        if twice := [name for name in taken if counts[name] > 1]:
            raise NotATFRecord(
                "several files in this archive have the same name",
                where=self._path.name,
                found=twice[0],
                todo="unpack it with 7zz x -aou, which renames them, then give the unpacked files",
            )

    def _is_sure(self, name: str) -> bool:
        """Whether the name alone makes it a source. A member that is packed again is examined."""
        parsed = self._names[name]
        return parsed is not None and parsed.sure and not _PACKED.search(name)

    def _records(self, names: Sequence[str]) -> list[str]:
        """The members that are TFRecords by their first bytes."""
        if not names:
            return []
        self._heads |= read_heads(self._path, names)
        return [name for name in names if is_tfrecord(io.BytesIO(self._heads[name]))]

    def _add(self, named: Sequence[str], records: Sequence[str]) -> None:
        outside = try_name(self._path.name)
        for name in named:
            self._inside.tfrecords.append(self._tfrecord(name, self._names[name], outside))
        only = not named and len(records) == 1
        for name in records:
            parsed = self._names[name]
            if only and outside is not None and not (parsed and parsed.tells) and (outside.tells or not parsed):
                note = f"{self._path.name}: {name!r} inside is read as {outside.unit}, by the name of the archive"
                self._inside.notes.append(note)
                self._inside.tfrecords.append(FoundTFRecord(Part(self._path, name), outside))
            elif parsed is not None or only:
                self._inside.tfrecords.append(self._tfrecord(name, parsed, outside))
            else:
                self._inside.problems.append(self._nameless(name, records))

    def _tfrecord(self, name: str, parsed: SourceName | None, outside: SourceName | None) -> FoundTFRecord:
        """A member whose own name gives the unit. The archive's name may add the number and the shard."""
        if parsed is not None and outside is not None:
            if parsed.unit == outside.unit:
                parsed = SourceName(
                    parsed.unit,
                    outside.count if parsed.count is None else parsed.count,
                    parsed.shard or (outside.shard if len(self._members) == 1 else None),
                    parsed.sure,
                    outside.copy,
                )
            elif outside.tells:
                self._inside.notes.append(
                    f"{self._path.name}: {name!r} inside is {parsed.unit}, not {outside.unit}; the name inside counts"
                )
        return FoundTFRecord(Part(self._path, name), parsed)

    def _nothing(self) -> S2ctError:
        packed = self._packed()
        if packed:
            return NotATFRecord(
                "this archive holds another archive, and no TFRecord",
                where=self._path.name,
                found=some([f"{name!r}, {kind}" for name, kind in packed.items()]),
                todo=_UNPACK.format(shell_path(str(self._path))),
            )
        return NotATFRecord(
            "this archive holds no TFRecord",
            where=self._path.name,
            expected="a TFRecord, plain or packed with gzip or zlib",
            found=some([self._describe(member.name) for member in self._members]),
        )

    def _describe(self, name: str) -> str:
        kind = foreign_kind(self._heads.get(name, b""))
        return f"{name!r}, {kind}" if kind else repr(name)

    def _packed(self) -> dict[str, str]:
        """Archives among the examined members, with their format."""
        kinds = {n: "a 7z archive" if is_archive(head) else foreign_kind(head) for n, head in self._heads.items()}
        return {name: kind for name, kind in kinds.items() if kind and is_packing(kind)}

    def _report_packed(self) -> None:
        """Add an error for each archive in the archive whose name gives a unit."""
        for name, kind in self._packed().items():
            parsed = self._names[name]
            if parsed is not None and parsed.tells:
                self._inside.problems.append(
                    NotATFRecord(
                        f"this is {kind} inside an archive",
                        where=f"{self._path.name}: {name}",
                        todo=_UNPACK.format(shell_path(str(self._path))),
                    )
                )

    def _note_skipped(self, taken: Sequence[str]) -> None:
        others = [m.name for m in self._members if m.name not in taken]
        if others:
            self._inside.notes.append(f"{self._path.name}: skipped {some(others)} inside, not a TFRecord")

    def _nameless(self, name: str, records: Sequence[str]) -> BadName:
        return BadName(
            "not understood: this archive holds several TFRecords, and the name of this one does not give its unit",
            where=f"{self._path.name}: {name}",
            expected=FORM,
            found=some(list(records)),
            todo=f"s2ct extract {shell_path(str(self._path))} FOLDER, then give each file with --as SPLIT/TILE",
        )
