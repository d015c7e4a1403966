"""The TFRecords in a 7z archive: told by the names of its files where those do, else by their first bytes."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..archives.archive import Member, read_archive, read_heads
from ..archives.file_kind import is_archive, is_packing
from ..errors import BadName, NotATFRecord, S2ctError
from ..names import FORM, SourceName, try_name
from .found import FoundTFRecord, Part, some
from .kind import foreign_kind, is_tfrecord

# Files that describe others: not looked into as long as there is something else.
_TEXTS = (
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".htm", ".pdf", ".log"),
    *(".doc", ".docx", ".xls", ".xlsx", ".ipynb", ".py", ".sh", ".md5", ".sha256", ".proto", ".cfg", ".ini", ".toml"),
    *(".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".geojson", ".kml", ".shp", ".dbf", ".prj", ".shx", ".bib"),
)
_LITTER = (".ds_store", "thumbs.db", "desktop.ini", "icon\r")
_PACKED = re.compile(r"\.(?:7z|zip|rar|tar|tgz|tbz2?|txz|xz|zst|bz2)(?:\.\d{3})?$", re.IGNORECASE)


@dataclass
class Inside:
    """What an archive holds: TFRecords, notes, and what in it should be a source and is none."""

    tfrecords: list[FoundTFRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[S2ctError] = field(default_factory=list)


def look_inside(path: Path) -> Inside:
    """Find the TFRecords in an archive.

    Only where names do not tell, the beginning of members is unpacked.

    Raises
    ------
    SourceError
        If the archive cannot be read, or there is no TFRecord in it.
    OSError
    """
    members = [member for member in read_archive(path).members if not _is_litter(member.name)]
    if not members:
        raise NotATFRecord("there is no file in this archive", where=path.name)
    return _Look(path, members).look()


def _is_litter(name: str) -> bool:
    """Whether an operating system put it there beside the files that were packed."""
    *folders, base = re.split(r"[/\\]", name)
    return "__MACOSX" in folders or base.startswith("._") or base.lower() in _LITTER


class _Look:
    """One look into one archive."""

    def __init__(self, path: Path, members: Sequence[Member]) -> None:
        self._path, self._members = path, members
        self._names = {member.name: try_name(member.name) for member in members}
        self._heads: dict[str, bytes] = {}
        self._inside = Inside()

    def look(self) -> Inside:
        named = [m.name for m in self._members if self._is_sure(m.name)]
        rest = [m for m in self._members if m.name not in named and m.size]
        texts = [m.name for m in rest if m.name.lower().endswith(_TEXTS)]
        records = self._records([m.name for m in rest if m.name not in texts])
        if not named and not records:
            records = self._records(texts)
        if not named and not records:
            raise self._nothing()
        self._check_names([*named, *records])
        self._add(named, records)
        self._tell_packed(named)
        self._tell_passed_over([*named, *records])
        return self._inside

    def _check_names(self, taken: Sequence[str]) -> None:
        """Refuse two TFRecords of one name: no unpacker can be asked for one of them alone."""
        counts = Counter(member.name for member in self._members)
        if twice := [name for name in taken if counts[name] > 1]:
            raise NotATFRecord(
                "several files in this archive have one name",
                where=self._path.name,
                found=twice[0],
                todo="unpack it with 7zz x -aou, which renames them, then give what comes out",
            )

    def _is_sure(self, name: str) -> bool:
        """Whether the name alone makes it a source; one packed once more is looked into."""
        said = self._names[name]
        return said is not None and said.sure and not _PACKED.search(name)

    def _records(self, names: Sequence[str]) -> list[str]:
        """Those that are TFRecords by their first bytes."""
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
            said = self._names[name]
            if only and outside is not None and not (said and said.tells) and (outside.tells or not said):
                note = f"{self._path.name}: {name!r} inside is taken for {outside.unit} by the archive's name"
                self._inside.notes.append(note)
                self._inside.tfrecords.append(FoundTFRecord(Part(self._path, name), outside))
            elif said is not None or only:
                self._inside.tfrecords.append(self._tfrecord(name, said, outside))
            else:
                self._inside.problems.append(self._nameless(name, records))

    def _tfrecord(self, name: str, said: SourceName | None, outside: SourceName | None) -> FoundTFRecord:
        """A member that its own name tells; the archive's name may add the number and the shard."""
        if said is not None and outside is not None:
            if said.unit == outside.unit:
                said = SourceName(
                    said.unit,
                    outside.count if said.count is None else said.count,
                    said.shard or (outside.shard if len(self._members) == 1 else None),
                    said.sure,
                    outside.copy,
                )
            elif outside.tells:
                self._inside.notes.append(
                    f"{self._path.name}: {name!r} inside is {said.unit}, not {outside.unit}; the name inside counts"
                )
        return FoundTFRecord(Part(self._path, name), said)

    def _nothing(self) -> S2ctError:
        packed = self._packed()
        if packed:
            return NotATFRecord(
                "there is an archive inside this archive, and no TFRecord",
                where=self._path.name,
                found=some([f"{name!r}, {kind}" for name, kind in packed.items()]),
                todo=f"unpack it once, then give what comes out: s2ct extract {self._path.name} FOLDER",
            )
        return NotATFRecord(
            "there is no TFRecord in this archive",
            where=self._path.name,
            expected="a file that begins as a TFRecord does, or is gzip or zlib around one",
            found=some([self._told(member.name) for member in self._members]),
        )

    def _told(self, name: str) -> str:
        kind = foreign_kind(self._heads.get(name, b""))
        return f"{name!r}, {kind}" if kind else repr(name)

    def _packed(self) -> dict[str, str]:
        """Archives among the members that were looked into, and of what kind they are."""
        kinds = {n: "a 7z archive" if is_archive(head) else foreign_kind(head) for n, head in self._heads.items()}
        return {name: kind for name, kind in kinds.items() if kind and is_packing(kind)}

    def _tell_packed(self, named: Sequence[str]) -> None:
        """An archive in the archive that has the name of a unit is not passed over in silence."""
        for name, kind in self._packed().items():
            said = self._names[name]
            if said is not None and said.tells:
                self._inside.problems.append(
                    NotATFRecord(
                        f"this is {kind} inside an archive",
                        where=f"{self._path.name}: {name}",
                        todo=f"unpack it, then give what comes out: s2ct extract {self._path.name} FOLDER",
                    )
                )

    def _tell_passed_over(self, taken: Sequence[str]) -> None:
        others = [m.name for m in self._members if m.name not in taken]
        if others:
            self._inside.notes.append(f"{self._path.name}: passed over {some(others)} inside, no TFRecord")

    def _nameless(self, name: str, records: Sequence[str]) -> BadName:
        return BadName(
            "not understood: there are several TFRecords in this archive, and the name of this one does not say "
            "which unit it is",
            where=f"{self._path.name}: {name}",
            expected=FORM,
            found=some(list(records)),
            todo=f"s2ct extract {self._path.name} FOLDER, then give each file with --as SPLIT/TILE",
        )
