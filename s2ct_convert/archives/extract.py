"""Extract archives to files. A file gets its name only when it is complete and its CRC32 matches."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Unpack

from ..durable import scratch, whole_file
from ..errors import DestinationExists, NotATFRecord, SourceError, WrongUsage
from ..keywords import takes
from ..kinds import Kind, fits, kind_of
from ..paths import check_outside_stores, check_path, check_readable, check_spelling
from .archive import Archive, Member, open_member, read_archive
from .checksum import content_of
from .one_pass import open_all, write_files
from .stream import PIECE_BYTES, SourceReader
from .unpack_options import UnpackKeywords, UnpackOptions
from .unpackers import Unpacker, ask_python_too

_ELSEWHERE = "move it away, or choose another destination"
_LONGEST_NAME = 255  # bytes; of ext4, XFS, Lustre, NFS and APFS


@dataclass(frozen=True)
class Extracted:
    """One extracted file.

    Attributes
    ----------
    path : Path
    bytes : int
        Its size.
    was_there : bool
        Whether it existed before, with the same size and CRC-32.
    """

    path: Path
    bytes: int
    was_there: bool


@takes(UnpackOptions)
def extract_archive(
    archive: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    jobs: int = 1,
    on_bytes: Callable[[int], None] = lambda n: None,
    on_file: Callable[[Extracted], None] = lambda one: None,
    on_link: Callable[[str], None] = lambda name: None,
    **unpacking: Unpack[UnpackKeywords],
) -> list[Extracted]:
    """Extract every file of an archive below ``destination``, including its folders.

    Parameters
    ----------
    archive, destination : path-like
    overwrite : bool
        Replace existing files. If false, equal files are kept and other files are an error.
    jobs : int
        Threads that unpack, if the archive allows several.
    on_bytes, on_file : callable
        Progress callbacks. ``on_bytes`` gets the bytes unpacked since the last call; an existing file counts with its
        whole size. ``on_file`` gets each file when it is complete.
    on_link : callable
        Gets the name of each link in the archive. Links are not extracted.
    {options}

    Returns
    -------
    list of Extracted

    Raises
    ------
    DestinationExists
        If a file exists with other content and `overwrite` is false, or a folder below ``destination`` is a link.
    WrongUsage
        If there is no such unpacker.
    SourceError
        If the archive is damaged, a name in it leads out of ``destination`` or is too long, or it takes more than is
        allowed (:class:`s2ct_convert.errors.SourceTooLarge`).

    Examples
    --------
    >>> import s2ct_convert, tempfile
    >>> archive = s2ct_convert.sample_sources()[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [one.path.name for one in s2ct_convert.extract_archive(archive, folder)] == [archive.stem]
    True
    """
    archive, chosen = check_readable(archive), UnpackOptions(**unpacking).find()
    destination = check_path(destination)
    check_outside_stores(destination, "an unpacked file")
    contents = read_archive(archive)
    targets = _targets(contents, destination)
    for link in contents.links:
        on_link(link)
    done: dict[Path, Extracted] = {}

    def add(target: Path, *, was_there: bool = False) -> None:
        done[target] = Extracted(target, targets[target].size, was_there)
        on_file(done[target])

    for target, member in targets.items():
        if not overwrite and target.exists():
            _check_equal(target, member)
            on_bytes(member.size)
            add(target, was_there=True)

    def extract(one: Unpacker) -> None:
        wanted = {target: member for target, member in targets.items() if target not in done}
        if len(targets) == 1 or any(member.crc32 is None and member.size for member in targets.values()):
            for target, member in wanted.items():
                _extract(archive, member, target, on_bytes, jobs, one)
                add(target)
        elif wanted:
            with scratch(destination) as work, open_all(contents, threads=jobs, unpacker=one) as stream:
                write_files(stream, targets, set(wanted), work, on_bytes=on_bytes, on_file=add)

    ask_python_too(extract, chosen)
    return [done[target] for target in targets]


def _targets(archive: Archive, destination: Path) -> dict[Path, Member]:
    """Destination of each file of an archive."""
    where = archive.path.name
    targets: dict[Path, Member] = {}
    for member in archive.members:
        target = destination / _checked(member.name, where)
        if target in targets:
            raise SourceError("the archive has two files with the same path", where=where, found=repr(member.name))
        targets[target] = member
    if not targets:
        found = f"only links: {', '.join(map(repr, archive.links[:3]))}" if archive.links else ""
        raise NotATFRecord("there is no file in this archive", where=where, found=found)
    for folder in dict.fromkeys(folder for target in targets for folder in target.relative_to(destination).parents):
        if destination / folder in targets:
            found = repr(targets[destination / folder].name)
            raise SourceError("the archive has a file and a folder with the same path", where=where, found=found)
        if folder.parts and (destination / folder).is_symlink():
            raise DestinationExists(
                "a folder in the destination is a link, and links are not followed",
                where=str(destination / folder),
                todo="remove the link, or choose another destination",
            )
        if (destination / folder).is_file():
            raise DestinationExists(
                "a file is where the archive has a folder", where=str(destination / folder), todo=_ELSEWHERE
            )
    if places := [target for target in targets if target.is_dir()]:
        raise DestinationExists("a folder is where the archive has a file", where=str(places[0]), todo=_ELSEWHERE)
    return targets


def find_archives(paths: Iterable[Path]) -> list[Path]:
    """The archives among files and in folders, in order. The first volume stands for an archive in volumes.

    Raises
    ------
    WrongUsage
        If a path does not exist, is a store or a TFRecord, or is a folder without an archive.
    OSError
        If a .7z file in a folder cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise WrongUsage("there is no such file or folder", where=str(path), todo=check_spelling(path))
        kind = kind_of(path)
        if kind and kind.is_store:
            raise WrongUsage(f"this is {kind}, not an archive", where=str(path), todo=fits(path, kind))
        if kind is Kind.TFRECORD:
            raise WrongUsage("this is a TFRecord; it is unpacked already", where=str(path), todo=fits(path, kind))
        inside = [one for one in sorted(path.rglob("*")) if _is_archive(one)] if path.is_dir() else [path]
        if not inside:
            raise WrongUsage("there is no archive in this folder", where=str(path), expected="files that end in .7z")
        found += inside
    return list(dict.fromkeys(found))


def _is_archive(path: Path) -> bool:
    if path.suffix.lower() == ".7z" and path.is_file():
        with open(path, "rb") as file:  # kind_of() does not raise; a disk error is no reason to skip an archive
            file.read(1)
    return kind_of(path) is Kind.ARCHIVE


def unpacked_size(archives: Iterable[Path]) -> int:
    """Unpacked bytes of archives. Archives that cannot be read count as 0."""
    total = 0
    for archive in archives:
        with suppress(SourceError, OSError):  # extract_archive reports it
            total += sum(member.size for member in read_archive(archive).members)
    return total


def _checked(name: str, where: str) -> Path:
    """A name in an archive as a relative path, checked to stay below the destination."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or re.search(r"[\\\0]|^[A-Za-z]:", name):
        raise SourceError("a name in the archive leads out of the destination", where=where, found=repr(name))
    if long := next((part for part in parts if len(os.fsencode(part)) > _LONGEST_NAME), None):
        raise SourceError(
            "a name in the archive is longer than a file system allows",
            where=where,
            expected=f"at most {_LONGEST_NAME} bytes",
            found=f"{len(os.fsencode(long))} bytes, {long[:40]!r}...",
            todo="unpack this archive with 7-Zip and another name",
        )
    return Path(*parts)


def _check_equal(target: Path, member: Member) -> None:
    equal = target.is_file() and target.stat().st_size == member.size
    if equal:
        with open(target, "rb") as file:
            equal = content_of(file) == (member.size, member.crc32)
    if not equal:
        raise DestinationExists(
            "a file with other content exists",
            where=str(target),
            todo="use --overwrite to replace it, or choose another destination",
        )


def _extract(
    archive: Path, member: Member, target: Path, on_bytes: Callable[[int], None], threads: int, unpacker: Unpacker
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(target) as out,  # outermost, so that the file gets its name after all checks of the archive
        SourceReader(archive, with_md5=False) as source,
        open_member(source, member.name, threads=threads, unpacker=unpacker) as stream,
    ):
        while piece := stream.read(PIECE_BYTES):
            out.write(piece)
            on_bytes(len(piece))
