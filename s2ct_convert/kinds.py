"""What a path is, for messages about a path of the wrong kind. Reads the first bytes of files and names in folders."""

from __future__ import annotations

import os
import struct
from enum import Enum
from itertools import islice
from pathlib import Path

from .hashing import masked_crc32c
from .names import try_name
from .words import shell_path

_ZARR = "zarr.json"
_LEDGER = "store.json"
_HEAD_BYTES = 12  # of a TFRecord: length and its checksum
_MOST_FILES = 1000  # looked at in a folder


class Kind(Enum):
    """A kind of path that a user may give by mistake, in words."""

    ARCHIVE = "a 7z archive"
    TFRECORD = "a TFRecord"
    SOURCES = "a folder of archives or TFRecords"
    ZARR = "a Zarr store"
    HDF5 = "an HDF5 file"
    STORES = "a folder with stores in it"
    LEDGER = "the ledger of a store"

    def __str__(self) -> str:
        return self.value

    @property
    def is_source(self) -> bool:
        return self in (Kind.ARCHIVE, Kind.TFRECORD, Kind.SOURCES)

    @property
    def is_store(self) -> bool:
        return self in (Kind.ZARR, Kind.HDF5)


def kind_of(path: Path) -> Kind | None:
    """The kind of a file or folder; None if it is something else, or cannot be read."""
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path) if path.is_file() else None
    except OSError:
        return None


def stores_in(folder: Path) -> list[Path]:
    """The paths in a folder that look like stores."""
    return [path for path in sorted(folder.iterdir()) if (kind := _maybe_store(path)) and kind.is_store]


def fits(path: Path, kind: Kind) -> str:
    """What to do with a path of this kind that is not a store: the command that takes it."""
    quoted = shell_path(path)
    if kind is Kind.LEDGER:
        return f"give the store itself: {shell_path(path.with_suffix(''))}"
    if kind is Kind.STORES:
        return f"give one of them, such as {shell_path(stores_in(path)[0])}"
    if kind.is_store:
        return f"s2ct verify store {quoted} checks it; s2ct export writes it back as TFRecords"
    return f"make a store of it: s2ct convert {quoted} clouds.zarr"


def _maybe_store(path: Path) -> Kind | None:
    if path.is_dir():
        return Kind.ZARR if (path / _ZARR).exists() else None
    return _of_file(path) if path.is_file() else None


def _of_folder(folder: Path) -> Kind | None:
    if (folder / _ZARR).exists():
        return Kind.ZARR
    if folder.suffix == ".s2ct" and (folder / _LEDGER).exists():
        return Kind.LEDGER
    files = (Path(place, name) for place, _, names in os.walk(folder) for name in sorted(names))
    for file in islice(files, _MOST_FILES):
        parsed = try_name(file.name)
        if file.suffix.lower() == ".7z" or (parsed and parsed.sure):
            return Kind.SOURCES
    return Kind.STORES if stores_in(folder) else None


def _of_file(path: Path) -> Kind | None:
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return Kind.ARCHIVE
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Kind.HDF5
    is_header = len(head) == _HEAD_BYTES and masked_crc32c(head[:8]) == struct.unpack_from("<I", head, 8)[0]
    return Kind.TFRECORD if is_header else None
