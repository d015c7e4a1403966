"""Which files a record has, with sizes and md5 sums: from a lock, an md5sum file, or the list bundled here.

A lock is the manifest the service gave when it was first asked, kept beside the files. From then on it is what the
files are compared with; a service that says something else is reported, never followed.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files as resources
from pathlib import Path, PurePosixPath

from ..dataset import DATASET
from ..durable import write_atomic
from ..errors import WrongUsage

DEFAULT_RECORD = DATASET.record
_MD5 = re.compile(r"[0-9a-f]{32}")
_MD5SUM_LINE = re.compile(r"\\?([0-9a-fA-F]{32}) [ *](.+)")


class BadManifest(WrongUsage):
    """A manifest that cannot be trusted as it is: a name that leads elsewhere, an md5 that is none."""


@dataclass(frozen=True, order=True)
class RecordFile:
    """A file of a record. ``size`` in bytes is None where the manifest does not tell it."""

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
        """Check and sort.

        Raises
        ------
        BadManifest
        """
        checked = tuple(sorted(files))
        for file in checked:
            check_key(file.key)
            if not _MD5.fullmatch(file.md5):
                raise BadManifest("this is no md5", where=file.key, expected="32 hexadecimal digits", found=file.md5)
            if file.size is not None and (not isinstance(file.size, int) or file.size < 0):
                raise BadManifest("a file cannot have this size", where=file.key, found=repr(file.size))
        keys = [file.key for file in checked]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise BadManifest("a name is there twice", where=min(twice))
        return cls(record, checked, doi)

    def find(self, key: str) -> RecordFile | None:
        """The file of that key."""
        return next((file for file in self.files if file.key == key), None)


def check_key(key: str) -> None:
    r"""See that a key names a place below the folder it is put in.

    Raises
    ------
    BadManifest
        If it is empty or absolute, has ``..``, NUL, a backslash, a drive, or control characters.
    """
    parts = key.split("/")
    if (
        not key
        or any(part in ("", ".", "..") for part in parts)
        or any(ord(character) < 32 or ord(character) == 127 for character in key)
        or "\\" in key
        or re.match(r"[A-Za-z]:", key)
        or any(len(part.encode()) > 200 for part in parts)
        or PurePosixPath(key).is_absolute()
    ):
        raise BadManifest(
            "a file name of the record leads out of the folder, or is none", where=repr(key), todo="do not use it"
        )


def lock_path(folder: Path, record: str) -> Path:
    """Where the lock of a record is kept."""
    return folder / f"{record}.lock.json"


def write_lock(folder: Path, manifest: Manifest) -> Path:
    """Keep what the service said."""
    path = lock_path(folder, manifest.record)
    write_atomic(path, json.dumps({"s2ct_lock": 1, **asdict(manifest)}, indent=1).encode() + b"\n")
    return path


def read_lock(folder: Path, record: str) -> Manifest | None:
    """The lock in a folder, or None."""
    path = lock_path(folder, record)
    return read_manifest(path) if path.exists() else None


def find_lock(folder: Path) -> Manifest | None:
    """The only lock in a folder; None if there is none.

    Raises
    ------
    BadManifest
        If there are several: which one the files are of cannot be told.
    """
    paths = sorted(folder.glob("*.lock.json"))
    if len(paths) > 1:
        raise BadManifest(
            "there are locks of several records",
            where=str(folder),
            found=", ".join(path.name for path in paths),
            todo="give the one you mean with --manifest",
        )
    return read_manifest(paths[0]) if paths else None


def read_manifest(path: Path) -> Manifest:
    """A lock of ours, or what ``md5sum`` writes.

    Raises
    ------
    BadManifest
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadManifest("this is neither a lock nor an md5sum file", where=str(path)) from error
    try:
        return _from_json(text) if text.lstrip().startswith("{") else _from_md5sum(text)
    except BadManifest as error:
        raise BadManifest(
            f"{error.where}: {error.what}" if error.where else error.what,
            where=str(path),
            expected=error.expected or "a lock (JSON) or lines as md5sum writes them",
            found=error.found,
        ) from error


def _from_json(text: str) -> Manifest:
    try:
        content = json.loads(text)
        if content["s2ct_lock"] != 1:
            raise BadManifest("a lock of another version", found=str(content["s2ct_lock"]))
        files = [RecordFile(str(f["key"]), str(f["md5"]), f["size"]) for f in content["files"]]
        return Manifest.of(str(content["record"]), files, str(content["doi"]))
    except json.JSONDecodeError as error:
        raise BadManifest("this is no lock", found=f"no JSON in line {error.lineno}: {error.msg}") from error
    except (KeyError, TypeError) as error:
        raise BadManifest("this is no lock", found="JSON without what a lock has") from error


def _from_md5sum(text: str) -> Manifest:
    files = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() also splits at U+2028 and others in names
        if not line.strip():
            continue
        match = _MD5SUM_LINE.fullmatch(line)
        if match is None:
            raise BadManifest("not a line as md5sum writes it", where=f"line {number}", found=line[:80])
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
    """A file as the page of the record lists it: without its name. ``listed_size`` is rounded, as on the page."""

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
