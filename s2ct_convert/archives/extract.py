"""Extracts archives to files: each appears under its name only when it is whole and its CRC32 fits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from isal import isal_zlib

from ..durable import whole_file
from ..errors import DestinationExists, NotATFRecord, SourceError
from ..paths import check_path, check_readable
from .archive import Member, open_member, read_archive
from .stream import PIECE_BYTES, SourceReader, nobody
from .unpackers import Unpacker, find_unpacker


@dataclass(frozen=True)
class Extracted:
    """One file: where it is, its size in bytes, and whether it was there already, equal in size and CRC32."""

    path: Path
    bytes: int
    was_there: bool


def extract_archive(
    archive: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    jobs: int = 1,
    unpacker: str = "auto",
    on_bytes: Callable[[int], None] | None = None,
    on_file: Callable[[Extracted], None] | None = None,
) -> list[Extracted]:
    """Extract every file of an archive below ``destination``, with the folders the archive has.

    Parameters
    ----------
    archive, destination : path-like
    overwrite : bool
        Replace files that are there and differ.
    jobs : int
        Processor cores that unpack, where an archive can be unpacked by several.
    unpacker : {"auto", "python", "7zz"}
        As for :func:`s2ct_convert.convert`.
    on_bytes, on_file : callable
        Told of bytes as they are unpacked (those of a file that is there already at once), and of each file when it is
        in its place.

    Returns
    -------
    list of Extracted

    Raises
    ------
    DestinationExists
        If another file is there and `overwrite` is false.
    WrongUsage
        If there is no such unpacker.
    SourceError
        If the archive is damaged, or a name in it leads out of ``destination``.

    Examples
    --------
    >>> import s2ct_convert, tempfile
    >>> archive = s2ct_convert.sample_sources()[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [one.path.name for one in s2ct_convert.extract_archive(archive, folder)] == [archive.stem]
    True
    """
    archive, destination = check_readable(archive), check_path(destination)
    found, told = find_unpacker(unpacker), on_bytes or nobody
    members = read_archive(archive).members
    if not members:
        raise NotATFRecord("there is no file in this archive", where=archive.name)
    targets: dict[Path, Member] = {}
    for member in members:
        target = destination / _checked(member.name, archive)
        if target in targets:
            raise SourceError("the archive has two files for one place", where=archive.name, found=repr(member.name))
        targets[target] = member
    done = []
    for target, member in targets.items():
        if target.exists() and not overwrite:
            if not _is_equal(target, member):
                raise DestinationExists(
                    "another file is there",
                    where=str(target),
                    todo="give --overwrite to replace it, or another destination",
                )
            file = Extracted(target, member.size, was_there=True)
            told(member.size)
        else:
            _extract(archive, member, target, told, threads=jobs, unpacker=found)
            file = Extracted(target, member.size, was_there=False)
        done.append(file)
        if on_file is not None:
            on_file(file)
    return done


def unpacked_size(archives: Iterable[Path]) -> int:
    """Bytes that will come out of archives; of those that cannot be read, none."""
    total = 0
    for archive in archives:
        with suppress(SourceError, OSError):  # told when its turn comes
            total += sum(member.size for member in read_archive(archive).members)
    return total


def _checked(name: str, archive: Path) -> Path:
    """A name in an archive as a path that stays below the destination."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or re.search(r"[\\\0]|^[A-Za-z]:", name):
        raise SourceError("a name in the archive leads out of the destination", where=archive.name, found=repr(name))
    return Path(*parts)


def _is_equal(target: Path, member: Member) -> bool:
    if not target.is_file() or target.stat().st_size != member.size or member.crc32 is None:
        return False
    crc = 0
    with open(target, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            crc = isal_zlib.crc32(piece, crc)
    return crc == member.crc32


def _extract(
    archive: Path, member: Member, target: Path, on_bytes: Callable[[int], None], *, threads: int, unpacker: Unpacker
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(target) as out,  # outermost: the file gets its name after every check of the archive
        SourceReader(archive, with_md5=False) as source,
        open_member(source, member.name, threads=threads, unpacker=unpacker) as stream,
    ):
        while piece := stream.read(PIECE_BYTES):
            out.write(piece)
            on_bytes(len(piece))
