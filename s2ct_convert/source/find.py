"""What ``convert`` is asked to read: archives, TFRecord files and folders of them, found and named.

Content decides what a file is, the name gives split, tile and number of examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadName, CountMismatch, NotAnArchive, NotATFRecord, S2ctError, WrongUsage, from_os_error
from ..names import UnitName, parse_name
from .tfrecord import HEADER_BYTES, is_header
from .unpackers import SIGNATURE

if TYPE_CHECKING:
    from .archive import Member


@dataclass(frozen=True)
class Source:
    """One TFRecord and the unit its name says it is.

    Attributes
    ----------
    unit : UnitName
    name_count : int or None
        The number in the name; None where it has none.
    path : Path
        The archive, or the TFRecord file itself.
    member : str or None
        Name inside the archive; None for a bare file.
    """

    unit: UnitName
    name_count: int | None
    path: Path
    member: str | None = None

    @property
    def where(self) -> str:
        """How messages name it."""
        if self.member is None or self.member == self.path.name.removesuffix(".7z"):
            return self.path.name
        return f"{self.path.name}: {self.member}"

    def check_count(self, examples: int, samples: int, images: int) -> None:
        """Refuse a bare TFRecord that may be cut between two records: it has no checksum of the whole, archives do.

        Raises
        ------
        CountMismatch
            If it has fewer examples, samples and images than the number in its name.
        """
        if self.name_count is None or self.member is not None or max(examples, samples, images) >= self.name_count:
            return
        raise CountMismatch(
            "the file has fewer examples, samples and images than the number in its name: it may be cut",
            where=self.where,
            expected=f"{self.name_count:,} of any of these",
            found=f"{examples:,} examples, {samples:,} samples, {images:,} images",
            todo="extract it from its archive again; if it is whole, give --accept-count",
        )


@dataclass(frozen=True)
class Unusable:
    """A file that should be a source and is not, and the unit its name says it is, if it says one."""

    path: Path
    unit: UnitName | None
    error: S2ctError


@dataclass
class Found:
    """Sources by unit, notes on what was passed over, and the files that should be sources and are not."""

    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)


def find_sources(paths: Iterable[Path]) -> Found:
    """Look through files and folders (recursively).

    A file that is named must be a source; in a folder, files that are none are noted and passed over.

    Raises
    ------
    WrongUsage
        If a path does not exist, or two sources are of one unit.
    """
    found = Found()
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise WrongUsage("there is no such file or folder", where=str(path), todo="check the path")
        files = _walk(path, found) if path.is_dir() else [path]
        passed_over = []
        for file in files:
            real = file.resolve()
            if real in seen:
                continue
            seen.add(real)
            if not _add(found, file, named=not path.is_dir()):
                passed_over.append(file.relative_to(path).as_posix())
        if passed_over:
            found.notes.append(f"{path}: passed over {_some(passed_over)}, neither .7z nor TFRecord")
    found.sources.sort(key=lambda source: source.unit)
    for one, other in zip(found.sources, found.sources[1:], strict=False):
        if one.unit == other.unit:
            raise WrongUsage(
                f"two sources are of one unit, {one.unit}",
                where=str(one.path),
                found=f"also {other.path}",
                todo="give one of the two",
            )
    return found


def _walk(folder: Path, found: Found) -> Iterator[Path]:
    """Files below a folder in sorted order, without hidden ones and without what belongs to a store."""

    def unreadable(error: OSError) -> None:
        found.unusable.append(Unusable(Path(os.fsdecode(error.filename)), None, from_os_error(error)))

    visited: set[Path] = set()  # links are followed, which may lead round in a circle
    for root, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        if "zarr.json" in files or (real := Path(root).resolve()) in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not f.endswith((".s2ct", ".units")))
        for name in sorted(files):
            path = Path(root, name)
            # No pipes, sockets and devices; a broken link is told as such.
            if not name.startswith(".") and (path.is_file() or not path.exists()):
                yield path


def _add(found: Found, file: Path, *, named: bool) -> bool:
    """Add what ``file`` holds; False if it is no source and need not be one."""
    try:
        with open(file, "rb") as f:
            head = f.read(HEADER_BYTES)
    except OSError as error:
        found.unusable.append(_unusable(file, from_os_error(error)))
        return True
    try:
        if head.startswith(SIGNATURE) or file.suffix.lower() == ".7z":
            found.sources.extend(_from_archive(file, found.notes))
        else:
            # Also what is not recognised: with a published name its damage is told when it is read.
            found.sources.append(Source(*parse_name(file.name), file))
    except BadName as error:
        if is_header(head) or head.startswith(SIGNATURE):
            found.unusable.append(_unusable(file, error))
        elif named:
            found.unusable.append(_unusable(file, _no_source(file, head)))
        else:
            return False
    except S2ctError as error:
        found.unusable.append(_unusable(file, error))
    return True


def _unusable(file: Path, error: S2ctError) -> Unusable:
    try:
        return Unusable(file, parse_name(file.name)[0], error)
    except BadName:
        return Unusable(file, None, error)


def _from_archive(path: Path, notes: list[str]) -> list[Source]:
    """Sources in one archive: the members with a published name, else its only file under the archive's name."""
    from .archive import read_archive  # slow to import, and only archives need it

    try:
        members = read_archive(path).members
    except OSError as error:
        raise from_os_error(error) from error
    sources, others = [], []
    for member in members:
        try:
            sources.append(Source(*parse_name(member.name), path, member.name))
        except BadName:
            others.append(member)
    if not sources and others:
        sources, others = [_by_archive_name(path, others, notes)], []
    if not sources:
        raise NotATFRecord("there is no file in this archive", where=path.name)
    if others:
        notes.append(f"{path.name}: passed over {_some([m.name for m in others])} inside, not named as a unit is")
    return sources


def _by_archive_name(path: Path, members: list[Member], notes: list[str]) -> Source:
    if len(members) > 1:
        raise BadName(
            "no file in this archive is named as a unit is",
            where=path.name,
            expected="<split>_<tile>_<number of examples>",
            found=_some([m.name for m in members]),
        )
    source = Source(*parse_name(path.name), path, members[0].name)
    notes.append(f"{path.name}: {members[0].name!r} inside is taken for {source.unit} by the archive's name")
    return source


def _no_source(file: Path, head: bytes) -> S2ctError:
    return NotAnArchive(
        "this is neither a 7z archive nor a TFRecord",
        where=str(file),
        expected=f"the first bytes {SIGNATURE.hex(' ')}, or a TFRecord header",
        found=head.hex(" ") or "an empty file",
        todo="give a .7z of the record or a TFRecord file from it",
    )


def _some(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
