"""Whether a source says where it ends. A plain TFRecord does not: cut between two records, it is a shorter TFRecord."""

from __future__ import annotations

from contextlib import suppress

from ..archives.stream import SourceReader
from .found import Part, Source
from .tfrecord import HEADER_BYTES
from .wrapped import find_wrapper


def has_end(source: Source) -> bool:
    """Whether a cut source fails its checksums: an archive, gzip or zlib, or a plain copy of one."""
    return any(all(map(_has_end, one.parts)) for one in (source, *source.copies))


def _has_end(part: Part) -> bool:
    if part.member is not None:
        return True
    with suppress(OSError), SourceReader(part.path, with_md5=False) as file:
        return find_wrapper(file.read(HEADER_BYTES)) is not None
    return False
