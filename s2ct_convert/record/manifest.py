"""Manifests: names, sizes and md5 sums of the files of a record, from a lock, an md5sum file or the bundled list.

A lock is the first manifest from the service, kept beside the files. All later checks use the lock. If the service
lists other files later, that is an error.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.resources import files as resources
from itertools import pairwise
from pathlib import Path, PurePosixPath

from ..dataset import DATASET
from ..durable import parse_json, read_small, write_atomic
from ..errors import WrongUsage

DEFAULT_RECORD = DATASET.record
_MD5 = re.compile(r"[0-9a-f]{32}")
_MOST_BYTES = 1 << 60  # no file is larger
_MD5SUM_LINE = re.compile(r"\\?([0-9a-fA-F]{32}) [ *](.+)")


class BadManifest(WrongUsage):
    """A manifest is not valid, for example a name leads out of the folder or an md5 is malformed."""


@dataclass(frozen=True, order=True)
class RecordFile:
    """A file of a record. ``size`` is in bytes; None if the manifest does not have it."""

    key: str
    md5: str
    size: int | None = None


@dataclass(frozen=True)
class Manifest:
    """Files of a record, sorted by key."""

    record: str
    files: tuple[RecordFile, ...]
    doi: str = ""

    @classmethod
    def of(cls, record: str, files: Iterable[RecordFile], doi: str = "") -> Manifest:
        """Check and sort the files.

        Raises
        ------
        BadManifest
        """
        checked = tuple(sorted(files))
        for file in checked:
            check_key(file.key)
            if not _MD5.fullmatch(file.md5):
                raise BadManifest(
                    "this is not an md5", where=file.key, expected="32 hexadecimal digits", found=file.md5
                )
            if file.size is not None and (not isinstance(file.size, int) or not 0 <= file.size <= _MOST_BYTES):
                raise BadManifest("this is not a valid size", where=file.key, found=repr(file.size)[:80])
        if twice := next((one for one, next_ in pairwise(checked) if one.key == next_.key), None):
            raise BadManifest("two files have the same name", where=twice.key)
        return cls(record, checked, doi)

    def find(self, key: str) -> RecordFile | None:
        """The file with this key; None if there is none."""
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> dict[str, RecordFile]:
        return {file.key: file for file in self.files}


def check_key(key: str) -> None:
    r"""Check that a key is a path below its folder.

    Raises
    ------
    BadManifest
        If it is empty, absolute or too long, or has ``..``, a backslash, a drive, NUL or other control characters.
    """
    parts = key.split("/")
    if (
        not key
        or any(ord(character) < 32 or ord(character) == 127 for character in key)
        or any(part in ("", ".", "..") for part in parts)
        or "\\" in key
        or re.match(r"[A-Za-z]:", key)
        or any(len(part.encode("utf-8", "surrogatepass")) > 200 for part in parts)
        or PurePosixPath(key).is_absolute()
    ):
        raise BadManifest(
            "a file name of the record is not valid or leads out of the folder",
            where=ascii(key)[:300],
            todo="do not use this file list",
        )


def lock_path(folder: Path, record: str) -> Path:
    """Path of the lock of a record."""
    return folder / f"{record}.lock.json"


def write_lock(folder: Path, manifest: Manifest) -> Path:
    """Write a manifest as the lock of its record."""
    path = lock_path(folder, manifest.record)
    write_atomic(path, json.dumps({"s2ct_lock": 1, **asdict(manifest)}, indent=1).encode() + b"\n")
    return path


def read_lock(folder: Path, record: str) -> Manifest | None:
    """The lock of a record in a folder, or None."""
    path = lock_path(folder, record)
    return read_manifest(path) if path.exists() else None


def find_lock(folder: Path) -> Manifest | None:
    """The only lock in a folder; None if there is none.

    Raises
    ------
    BadManifest
        If there are several, since it is unknown which one the files belong to.
    """
    paths = sorted(folder.glob("*.lock.json"))
    if len(paths) > 1:
        raise BadManifest(
            "the folder has locks of several records",
            where=str(folder),
            found=", ".join(path.name for path in paths),
            todo="choose one with --manifest",
        )
    return read_manifest(paths[0]) if paths else None


def read_manifest(path: Path) -> Manifest:
    """Read a lock or an md5sum file.

    Raises
    ------
    BadManifest
    """
    try:
        text = read_small(path).decode()
    except ValueError as error:
        raise BadManifest("this is neither a lock nor an md5sum file", where=str(path)) from error
    try:
        return _from_json(text) if text.lstrip().startswith("{") else _from_md5sum(text)
    except BadManifest as error:
        raise BadManifest(
            f"{error.where}: {error.what}" if error.where else error.what,
            where=str(path),
            expected=error.expected or "a lock (JSON) or an md5sum file",
            found=error.found,
            todo="restore it from a copy; a lock may be moved away, and the next run saves the list of the service",
        ) from error


def _from_json(text: str) -> Manifest:
    try:
        content = parse_json(text)
        if content["s2ct_lock"] != 1:
            raise BadManifest("the lock has an unknown version", found=str(content["s2ct_lock"]))
        files = [RecordFile(str(f["key"]), str(f["md5"]), f["size"]) for f in content["files"]]
        return Manifest.of(str(content["record"]), files, str(content["doi"]))
    except BadManifest:
        raise
    except ValueError as error:
        raise BadManifest("this is not a lock", found=f"invalid JSON: {error}") from error
    except (KeyError, TypeError) as error:
        raise BadManifest("this is not a lock", found="JSON without the fields of a lock") from error


def _from_md5sum(text: str) -> Manifest:
    files = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() would also split names at U+2028
        if not line.strip():
            continue
        match = _MD5SUM_LINE.fullmatch(line)
        if match is None:
            raise BadManifest("this is not a line of md5sum", where=f"line {number}", found=line[:80])
        name = _unescape(match[2]) if line.startswith("\\") else match[2]
        files.append(RecordFile(name.removeprefix("./"), match[1].lower()))
    return Manifest.of("", files)


def _unescape(name: str) -> str:
    return re.sub(r"\\([\\nr])", lambda m: {"\\": "\\", "n": "\n", "r": "\r"}[m[1]], name)


def md5sum_line(md5: str, name: str) -> str:
    """A line that ``md5sum -c`` accepts."""
    if any(character in name for character in "\\\n\r"):
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return f"\\{md5}  {escaped}\n"
    return f"{md5}  {name}\n"


@dataclass(frozen=True)
class Published:
    """A file on the page of the record, which shows no name. ``listed_size`` is rounded, as on the page."""

    position: int
    md5: str
    listed_size: str


def published(record: str) -> tuple[Published, ...]:
    """The bundled list of a record's files; empty for a record that is not bundled.

    Source: the page https://zenodo.org/records/10613705 (v2), which shows md5 sums and sizes.
    """
    path = resources(__package__) / f"record_{record}.csv"
    if not path.is_file():
        return ()
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return tuple(Published(int(row["position"]), row["md5"], row["listed_size"]) for row in rows)
