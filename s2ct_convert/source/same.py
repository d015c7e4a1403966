"""Decides whether two sources are the same TFRecord: a second download, a copy, an archive and its extracted file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ..archives.checksum import Content, content_of, content_of_member
from ..archives.stream import PIECE_BYTES, SourceReader
from ..objects.remote import AnyFile, RemoteFile
from .found import Part, Source
from .tfrecord import HEADER_BYTES, unwrap
from .wrapped import find_wrapper


def same_content(a: Source, b: Source) -> bool:
    """Whether two sources hold the same bytes.

    Members of archives are compared by the size and CRC-32 in the header, without unpacking. Files are read. Shards are
    compared one by one.

    Raises
    ------
    SourceError, OSError
        If one of them cannot be read.
    """
    if len(a.parts) != len(b.parts):
        return False
    return all(_same(one, other) for one, other in zip(a.parts, b.parts, strict=True))


def _same(a: Part, b: Part) -> bool:
    if a.member == b.member and _is_one_file(a.path, b.path):
        return True
    contents = [contents_of(part) for part in (a, b)]
    if all(contents):
        return bool(contents[0] & contents[1])
    # An archive has no checksum for its member: only an identical archive is certain to be the same.
    return a.member == b.member and _md5(a.path) == _md5(b.path)


def _is_one_file(a: AnyFile, b: AnyFile) -> bool:
    return a.samefile(b) if isinstance(a, Path) and isinstance(b, Path) else a == b


def contents_of(part: Part) -> set[Content]:
    """Size and CRC-32 of a TFRecord, as stored and without gzip or zlib; empty if unknown."""
    if part.member is None:
        when = 0 if isinstance(part.path, RemoteFile) else part.path.stat().st_ctime_ns
        return _contents_of_file(part.path, when)
    content = content_of_member(part.path, part.member)
    return set() if content is None else {content}


def content_of_source(source: Source) -> Content | None:
    """Size and CRC-32 of the shards of a TFRecord, joined; None if unknown. Files are read."""
    joined = Content(0, 0)
    for part in source.parts:
        if part.member is None:
            with SourceReader(part.path, with_md5=False) as file:
                content: Content | None = content_of(unwrap(file, where=part.where))
        else:
            content = content_of_member(part.path, part.member)
        if content is None:
            return None
        joined = joined.followed_by(content)
    return joined


@cache  # a file may be compared with several others
def _contents_of_file(path: AnyFile, ctime_ns: int) -> set[Content]:
    with SourceReader(path, with_md5=False) as file:
        contents = {content_of(file)}
        file.seek(0)
        if find_wrapper(file.read(HEADER_BYTES)):
            file.seek(0)
            contents.add(content_of(unwrap(file, where=path.name)))
        return contents


def md5_of_files(files: Iterable[AnyFile]) -> str:
    """MD5 of files, one after another, in hex: of a damaged source, whose own checksums say nothing.

    Raises
    ------
    OSError
    """
    digest = hashlib.md5(usedforsecurity=False)
    for path in files:
        # Not SourceReader for a path: it would read all volumes for the first of them.
        with SourceReader(path) if isinstance(path, RemoteFile) else open(path, "rb", buffering=0) as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    return digest.hexdigest()


def _md5(path: AnyFile) -> str | None:
    with SourceReader(path) as file:
        return file.md5()
