"""What ``convert`` is asked to read: archives, TFRecord files and folders of them, found and named.

Content decides what a file is, the name gives split, tile and number of examples. Every file that is or should be a
source ends among the sources, the unusable or, with the same content as another, in a note: none is lost in silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..archives.file_kind import is_archive, is_packing, read_head
from ..archives.stream import SourceReader
from ..archives.unpackers import SIGNATURE
from ..archives.volumes import first_volume
from ..errors import NotAnArchive, S2ctError, WrongUsage, from_os_error
from ..names import UnitName, try_name
from ..paths import check_readable
from .found import Found, FoundTFRecord, Part, Source, Unusable, some
from .kind import foreign_kind, is_tfrecord
from .tfrecord import is_wrapped, unwrap
from .unfinished import is_unfinished, unfinished
from .units import settle
from .walk import Walk

__all__ = ["Found", "Part", "Source", "Unusable", "find_sources"]


def find_sources(paths: Iterable[Path], *, unit: UnitName | None = None) -> Found:
    """Look through files and folders (recursively).

    A file that is given by name must be a source; in a folder, files that are none are noted and passed over. Of
    several sources of one unit the first is taken: those with the same content are noted, the others are unusable.

    Parameters
    ----------
    paths : iterable of Path
    unit : UnitName, optional
        The unit of the one source whose name says nothing, or of the only source.

    Raises
    ------
    WrongUsage
        If a path does not exist or is a pipe, a socket or a device, or `unit` could be that of several sources.
    """
    search = _Search()
    for path in paths:
        search.look(path)
    return settle(search.tfrecords, search.found, unit)


class _Search:
    """TFRecords, and what is none, from several paths."""

    def __init__(self) -> None:
        self.found = Found()
        self.tfrecords: list[FoundTFRecord] = []
        self._seen: dict[tuple[Path, UnitName | None], Path] = {}  # where each file was met, by the unit of its name

    def look(self, path: Path) -> None:
        """Look at a file, or through a folder."""
        check_readable(path)
        if not path.exists():
            raise WrongUsage("there is no such file or folder", where=str(path), todo="check the path")
        if not path.is_dir():
            self._look_at(path, named=True)
            return
        if (path / "zarr.json").exists():
            self.found.unusable.append(Unusable(path, None, _store(path)))
            return
        walk = Walk(path, self._unreadable)
        passed_over = [file for file in walk if not self._look_at(file, named=False)]
        if passed_over:
            names = some([file.relative_to(path).as_posix() for file in passed_over])
            self.found.notes.append(f"{path}: passed over {names}, neither .7z nor TFRecord")
        self.found.notes += walk.notes

    def _unreadable(self, error: OSError) -> None:
        self.found.unusable.append(Unusable(Path(os.fsdecode(error.filename)), None, from_os_error(error)))

    def _look_at(self, file: Path, *, named: bool) -> bool:
        """Add what ``file`` holds; False if it is no source and need not be one."""
        first = first_volume(file)
        if first and first.is_file():
            file = first  # later volumes are a part of it
        real = (first or file).resolve()  # of later volumes without their first, one is told
        said = try_name(file.name)
        place = (real, said.unit if said else None)  # a link under the name of another unit is another source
        if place in self._seen:
            if os.path.abspath(self._seen[place]) != os.path.abspath(file):  # noqa: PTH100  # links are not followed
                self.found.notes.append(f"{file}: the same file as {self._seen[place]}")
            return True
        self._seen[place] = file
        try:
            if named and is_unfinished(file):
                raise unfinished(file)
            return self._add(file, named=named)
        except OSError as error:
            self._unusable(file, from_os_error(error, str(file)))
        except S2ctError as error:
            self._unusable(file, error)
        return True

    def _add(self, file: Path, *, named: bool) -> bool:
        said = try_name(file.name)
        with SourceReader(file, with_md5=False) as stream:
            head = read_head(stream)
            if is_archive(head) or file.suffix.lower() == ".7z" or first_volume(file):
                self._add_archive(file)
                return True
            kind = _kind(stream, head)
            stream.seek(0)
            # Also what is not recognised: with a published name its damage is told when it is read.
            if (said is not None and said.sure and kind is None) or is_tfrecord(stream):
                self.tfrecords.append(FoundTFRecord(Part(file), said))
            elif named or (is_packing(kind) and said is not None and said.tells):
                raise _no_source(file, head, kind)
            else:
                return False
        return True

    def _add_archive(self, file: Path) -> None:
        if first_volume(file):
            raise _volume_without_first(file)
        from .inside import look_inside  # slow to import, and only archives need it

        inside = look_inside(file)
        self.tfrecords += inside.tfrecords
        self.found.notes += inside.notes
        for error in inside.problems:
            self.found.unusable.append(Unusable(file, None, error))

    def _unusable(self, file: Path, error: S2ctError) -> None:
        said = try_name(file.name)
        self.found.unusable.append(Unusable(file, said.unit if said else None, error))


def _kind(stream: SourceReader, head: bytes) -> str | None:
    """What a bare file is, in words, also below gzip or zlib; None for what may be a TFRecord."""
    if is_wrapped(head) is None:
        return foreign_kind(head)
    stream.seek(0)
    try:
        return foreign_kind(read_head(unwrap(stream, where="")))
    except S2ctError:  # damaged: told when it is read
        return None


def _store(folder: Path) -> NotAnArchive:
    return NotAnArchive(
        "this is a Zarr store, and no source",
        where=str(folder),
        found="zarr.json in it",
        todo="give the archives or TFRecords themselves, or a folder of them",
    )


def _volume_without_first(file: Path) -> NotAnArchive:
    return NotAnArchive(
        "this is a later volume of an archive, and its first volume is not here",
        where=str(file),
        todo="put all volumes into one folder: .001, .002 and so on",
    )


def _no_source(file: Path, head: bytes, kind: str | None) -> S2ctError:
    if is_packing(kind):
        todo = "unpack it, then give what comes out"
    elif kind:
        todo = "fetch the file again: this is not what was asked for"
    else:
        todo = "give a .7z of the record or a TFRecord file from it"
    return NotAnArchive(
        f"this is {kind}" if kind else "this is neither a 7z archive nor a TFRecord",
        where=str(file),
        expected=f"the first bytes {SIGNATURE.hex(' ')}, or a TFRecord header",
        found=head[:12].hex(" ") or "an empty file",
        todo=todo,
    )
