"""Finds the sources for ``convert`` in files, in folders and at addresses: archives and TFRecords.

The content decides what a file is. The name gives split, tile and number of examples. Every file that is or should be
a source becomes a source, an unusable file or, if another file has the same content, a note. None is ignored silently.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..archives.file_kind import is_archive, is_packing, name_kind, read_head
from ..archives.stream import SourceReader
from ..archives.unpackers import SIGNATURE
from ..archives.volumes import first_volume
from ..errors import ArchiveDamaged, NetworkError, NotAnArchive, S2ctError, WrongUsage, from_os_error
from ..kinds import Kind, fits, kind_of
from ..names import UnitName, try_name
from ..objects.address import ObjectPath
from ..objects.remote import AnyFile, GivenSource, RemoteFile, absolute, find_object
from ..paths import check_readable, check_spelling
from ..words import shell_path
from .addresses import check_no_salvage, check_object, objects_below
from .found import UNKNOWN, Found, FoundTFRecord, Part, Source, Unusable, some
from .kind import foreign_kind, is_tfrecord
from .tfrecord import unwrap
from .unfinished import is_unfinished, unfinished
from .units import settle
from .walk import Walk
from .wrapped import find_wrapper

__all__ = ["Found", "Part", "Source", "Unusable", "damaged_part", "find_sources"]


def find_sources(paths: Iterable[GivenSource], *, unit: UnitName | None = None, salvage: bool = False) -> Found:
    """Find the sources in files and folders (recursively), and at addresses: objects, or all below an address.

    A file that is given by name must be a source. In a folder, other files are noted and skipped. If a unit has several
    sources, the first is used. Sources with the same content are noted, and the others are unusable. Of an archive at
    an address, only the headers are read.

    Parameters
    ----------
    paths : iterable of Path or ObjectPath
    unit : UnitName, optional
        The unit of the one source whose name does not give it, or of the only source.
    salvage : bool
        Archives whose headers are damaged, and bare files that should be a TFRecord, are sources too.

    Raises
    ------
    WrongUsage
        If a path does not exist, is a store, a pipe, a socket or a device, or if `unit` does not fit exactly one
        source.
    NetworkError
        If a service refuses or fails.
    """
    paths = list(paths)
    if salvage:
        check_no_salvage(paths)
    search = _Search(salvage=salvage)
    for path in paths:
        search.look(path)
    return settle(search.tfrecords, search.found, unit)


class _Search:
    """Collects TFRecords, notes and unusable files from several paths."""

    def __init__(self, *, salvage: bool) -> None:
        self._salvage = salvage
        self.found = Found()
        self.tfrecords: list[FoundTFRecord] = []
        # The first path to each file, by the unit in its name.
        self._seen: dict[tuple[AnyFile, UnitName | None], AnyFile] = {}

    def look(self, path: GivenSource) -> None:
        """Search a file or a folder, or the objects at an address."""
        if isinstance(path, ObjectPath):
            self._look_at(path)
            return
        check_readable(path)
        if not path.exists():
            raise WrongUsage("there is no such file or folder", where=str(path), todo=check_spelling(path))
        if (kind := kind_of(path)) and kind.is_store:
            raise WrongUsage(f"this is {kind}, not a source", where=str(path), todo=fits(path, kind))
        if not path.is_dir():
            self._take(path, named=True)
            return
        walk = Walk(path, self._unreadable)
        skipped = [file for file in walk if not self._take(file, named=False)]
        if skipped:
            names = some([file.relative_to(path).as_posix() for file in skipped])
            self.found.notes.append(f"{path}: skipped {names}, neither .7z nor TFRecord")
        self.found.notes += walk.notes

    def _look_at(self, place: ObjectPath) -> None:
        if place.key.rstrip("/").endswith(".zarr"):
            raise WrongUsage(
                f"this is {Kind.ZARR}, not a source",
                where=str(place),
                todo=f"s2ct verify store {shell_path(str(place))} checks it",
            )
        if one := find_object(place):
            self._take_object(one, named=True)
            return
        objects, notes = objects_below(place)
        skipped = [one.name for one in objects if not self._take_object(one, named=False)]
        if skipped:
            notes.append(f"{place}: skipped {some(skipped)}, neither .7z nor TFRecord")
        self.found.notes += notes

    def _take_object(self, file: RemoteFile, *, named: bool) -> bool:
        """As ``_take``, for an object. A service that fails stops the search: the next object would fail too."""
        if (file, None) in self._seen:
            self.found.notes.append(f"{file}: given twice")
            return True
        self._seen[file, None] = file
        try:
            check_object(file, named=named)
            return self._add(file, named=named)
        except NetworkError:
            raise
        except S2ctError as error:
            self._unusable(file, error)
        return True

    def _unreadable(self, error: OSError) -> None:
        self.found.unusable.append(Unusable(Path(os.fsdecode(error.filename)), None, from_os_error(error)))

    def _take(self, file: Path, *, named: bool) -> bool:
        """Add the sources in ``file``; False if it is not a source and need not be one."""
        first = first_volume(file)
        if first and first.is_file():
            file = first  # a later volume belongs to the first
        real = (first or file).resolve()  # of several volumes without their first, only one is reported
        parsed = try_name(file.name)
        place = (real, parsed.unit if parsed else None)  # a link with the name of another unit is another source
        if place in self._seen:
            if absolute(self._seen[place]) != absolute(file):
                self.found.notes.append(f"{file}: the same file as {self._seen[place]}")
            return True
        self._seen[place] = file
        try:
            if named and is_unfinished(file) and not self._salvage:
                raise unfinished(file)
            return self._add(file, named=named)
        except OSError as error:
            self._unusable(file, from_os_error(error, str(file)))
        except S2ctError as error:
            self._unusable(file, error)
        return True

    def _add(self, file: AnyFile, *, named: bool) -> bool:
        parsed = try_name(file.name)
        with SourceReader(file, with_md5=False) as stream:
            head = read_head(stream)
            if is_archive(head) or file.suffix.lower() == ".7z" or _later_volume(file):
                self._add_archive(file)
                return True
            kind = _kind(stream, head)
            stream.seek(0)
            # A file with a published name counts even if it is not recognised: reading it reports the damage.
            if (parsed is not None and parsed.sure and kind is None) or is_tfrecord(stream):
                self.tfrecords.append(FoundTFRecord(Part(file), parsed))
            elif named or (is_packing(kind) and parsed is not None and parsed.tells):
                raise _no_source(file, head, kind)
            else:
                return False
        return True

    def _add_archive(self, file: AnyFile) -> None:
        if _later_volume(file):
            raise _volume_without_first(file)
        from .inside import look_inside  # slow to import, and only archives need it

        inside = look_inside(file)
        self.tfrecords += inside.tfrecords
        self.found.notes += inside.notes
        for error in inside.problems:
            self.found.unusable.append(Unusable(file, None, error))

    def _unusable(self, file: AnyFile, error: S2ctError) -> None:
        parsed = try_name(file.name)
        if self._salvage and (part := damaged_part(file, error)):
            self.tfrecords.append(FoundTFRecord(part, parsed))
            self.found.notes.append(f"{file}: {error.what}; it is a source all the same, to be salvaged")
            return
        self.found.unusable.append(Unusable(file, parsed.unit if parsed else None, error))


def damaged_part(file: AnyFile, error: S2ctError) -> Part | None:
    """The TFRecord in a damaged file, for salvage; None if the error is not damage, or the file is something else."""
    if not isinstance(error, ArchiveDamaged | NotAnArchive):
        return None
    with SourceReader(file, with_md5=False) as stream:
        head = read_head(stream)
    if name_kind(head) is not None:
        return None
    was_archive = is_archive(head) or ".7z" in file.name.lower()
    return Part(file, UNKNOWN if was_archive else None)


def _kind(stream: SourceReader, head: bytes) -> str | None:
    """The format of a bare file in words, without its wrapper; None if it may be a TFRecord."""
    if find_wrapper(head) is None:
        return foreign_kind(head)
    stream.seek(0)
    try:
        return foreign_kind(read_head(unwrap(stream, where="")))
    except S2ctError:  # damaged: reading it reports the error
        return None


def _later_volume(file: AnyFile) -> bool:
    return isinstance(file, Path) and first_volume(file) is not None


def _volume_without_first(file: AnyFile) -> NotAnArchive:
    return NotAnArchive(
        "this is a later volume of an archive, and its first volume is missing",
        where=str(file),
        todo="put all volumes into one folder: .001, .002 and so on",
    )


def _no_source(file: AnyFile, head: bytes, kind: str | None) -> S2ctError:
    if is_packing(kind):
        todo = "unpack it, then give the unpacked files"
    elif kind:
        todo = "fetch the file again: the download is not a file of the record"
    else:
        todo = "give a .7z archive of the record, or the TFRecord in it"
    return NotAnArchive(
        f"this is {kind}" if kind else "this is neither a 7z archive nor a TFRecord",
        where=str(file),
        expected=f"the first bytes {SIGNATURE.hex(' ')}, or a TFRecord header",
        found=head[:12].hex(" ") or "an empty file",
        todo=todo,
    )
