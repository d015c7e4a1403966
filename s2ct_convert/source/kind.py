"""Whether bytes are a TFRecord, or something else that has a name."""

from __future__ import annotations

from ..archives.file_kind import name_kind, read_head
from ..archives.stream import Readable
from ..errors import S2ctError
from .tfrecord import HEADER_BYTES, is_header, unwrap


def foreign_kind(head: bytes) -> str | None:
    """What a file is that begins so, in words, if it is something well known and not a TFRecord."""
    return None if is_header(head[:HEADER_BYTES]) else name_kind(head)


def is_tfrecord(stream: Readable) -> bool:
    """Whether a stream is a TFRecord, plain, gzip or zlib, with at least the header of a record."""
    try:
        return is_header(read_head(unwrap(stream, where=""), HEADER_BYTES))
    except S2ctError:  # what looked like a gzip is none
        return False
