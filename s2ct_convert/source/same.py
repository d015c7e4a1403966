"""Whether two sources are the same TFRecord: a second download, a copy, an archive beside what came out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from isal import isal_zlib

from .archive import read_archive
from .found import Part, Source
from .stream import PIECE_BYTES, Readable, SourceReader
from .tfrecord import HEADER_BYTES, is_wrapped, unwrap

_Content = tuple[int, int]  # size in bytes, CRC-32


def same_content(a: Source, b: Source) -> bool:
    """Whether two sources hold the same bytes.

    Members of archives are compared by size and CRC-32 of their headers, which are not unpacked; files are read.
    Shards are compared one by one.

    Raises
    ------
    SourceError, OSError
        If one of them cannot be read.
    """
    if len(a.parts) != len(b.parts):
        return False
    return all(_same(one, other) for one, other in zip(a.parts, b.parts, strict=True))


def _same(a: Part, b: Part) -> bool:
    if a.member == b.member and a.path.samefile(b.path):
        return True
    contents = [_contents(part) for part in (a, b)]
    if all(contents):
        return bool(contents[0] & contents[1])
    # An archive without a checksum of its member: only the same archive is surely the same.
    return a.member == b.member and _md5(a.path) == _md5(b.path)


def _contents(part: Part) -> set[_Content]:
    """Size and CRC-32 of a TFRecord as it lies there, and unwrapped; empty if that is not known."""
    if part.member is None:
        return _contents_of_file(part.path, part.path.stat().st_mtime_ns)
    (member,) = (one for one in read_archive(part.path).members if one.name == part.member)
    return set() if member.crc32 is None else {(member.size, member.crc32)}


@cache  # a file may be compared with several others
def _contents_of_file(path: Path, mtime_ns: int) -> set[_Content]:
    with SourceReader(path, with_md5=False) as file:
        contents = {_content(file)}
        file.seek(0)
        if is_wrapped(file.read(HEADER_BYTES)):
            file.seek(0)
            contents.add(_content(unwrap(file, where=path.name)))
        return contents


def _content(stream: Readable) -> _Content:
    size = crc = 0
    for piece in _pieces(stream):
        size, crc = size + len(piece), isal_zlib.crc32(piece, crc)
    return size, crc


def _md5(path: Path) -> str:
    with SourceReader(path, with_md5=False) as file:
        md5 = hashlib.md5(usedforsecurity=False)
        for piece in _pieces(file):
            md5.update(piece)
        return md5.hexdigest()


def _pieces(stream: Readable) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece
