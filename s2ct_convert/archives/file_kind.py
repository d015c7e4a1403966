"""Recognise the kind of a file by its first bytes."""

from __future__ import annotations

from .stream import Readable
from .unpackers import SIGNATURE

HEAD_BYTES = 4096  # enough for the signature of a tar, and for zlib to unpack the first bytes of a TFRecord
_KINDS = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"BZh", "a bzip2 file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
_PACKINGS = ("archive", "xz", "zstd", "bzip2", "lz4")


def name_kind(head: bytes) -> str | None:
    """Name of a well-known kind of file that is not a source; None for all others."""
    if head[257:262] == b"ustar":
        return "a tar archive"
    for signature, kind in _KINDS:
        if head.startswith(signature):
            return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a web page, perhaps a saved error message"
    return None


def is_packing(kind: str | None) -> bool:
    """Whether this kind of file may hold a source."""
    return kind is not None and any(word in kind for word in _PACKINGS)


def is_archive(head: bytes) -> bool:
    """Whether a file with these first bytes is a 7z archive."""
    return head.startswith(SIGNATURE)


def read_head(stream: Readable, n: int = HEAD_BYTES) -> bytes:
    """The first ``n`` bytes of a stream, or all if it is shorter."""
    head = b""
    while len(head) < n and (piece := stream.read(n - len(head))):
        head += piece
    return head
