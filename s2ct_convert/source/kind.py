"""Recognises TFRecords, and other known formats, by their first bytes."""

from __future__ import annotations

from ..archives.file_kind import name_kind, read_head
from ..archives.stream import Readable
from ..errors import S2ctError
from .tfrecord import HEADER_BYTES, is_header, unwrap


def foreign_kind(head: bytes) -> str | None:
    """The format of a file with this head, in words; None for a TFRecord or an unknown format."""
    return None if is_header(head[:HEADER_BYTES]) else name_kind(head)


def is_tfrecord(stream: Readable) -> bool:
    """Whether a stream is a plain, gzip or zlib TFRecord with at least one record header."""
    try:
        return is_header(read_head(unwrap(stream, where=""), HEADER_BYTES))
    except S2ctError:  # it looked like gzip or zlib, but is not
        return False
