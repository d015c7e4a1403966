"""Check files against the md5 sums of a record. Reads every file; changes nothing.

The sums come from a given manifest, else from the lock beside the files, else from the bundled list. The bundled list
has no names, so a file is correct if its md5 is any of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

from ..errors import WrongUsage
from ..hashing import file_digests
from ..names import try_name
from ..paths import check_readable, check_spelling
from .manifest import DEFAULT_RECORD, Manifest, RecordFile, find_lock, published, read_manifest
from .partial import partial_path


class Check(Enum):
    """Result of a check.

    Attributes
    ----------
    OK
        The md5 is the expected one.
    WRONG
        The file has another md5.
    SHORT
        The file has too few bytes.
    MISSING
        The file does not exist.
    UNKNOWN
        The file is not in the manifest.
    """

    OK = "ok"
    WRONG = "wrong"
    SHORT = "short"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Checksum:
    """Result for one file.

    Attributes
    ----------
    path : Path
    state : Check
    expected, found : str or None
        md5 sums; None if unknown.
    size : int or None
        Size in bytes; None if unknown.
    """

    path: Path
    state: Check
    expected: str | None
    found: str | None
    size: int | None


@dataclass(frozen=True)
class _Job:
    path: Path
    file: RecordFile | None  # None: any md5 of the bundled list is correct


def check_files(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    manifest: Manifest | str | os.PathLike[str] | None = None,
    on_total: Callable[[int], None] = lambda n: None,
    on_bytes: Callable[[int], None] = lambda n: None,
) -> list[Checksum]:
    """Check the md5 of files, and of all files of a manifest in folders. Changes nothing.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        Files or folders. A folder must have every file of the manifest.
    manifest : Manifest or path-like, optional
        The expected md5 sums, or a lock or md5sum file with them; by default the lock beside the files, else the
        locks in the folders of a folder, else the bundled md5 sums of record 10613705.
    on_total, on_bytes : callable
        Progress callbacks: the number of bytes to read, and the bytes read since the last call. ``on_bytes`` is called
        from several threads.

    Returns
    -------
    list of Checksum
        Sorted by path.

    Raises
    ------
    WrongUsage
        If a path does not exist, or there is nothing to check.

    Examples
    --------
    >>> import s2ct_convert
    >>> found = s2ct_convert.check_files("archives")  # doctest: +SKIP
    >>> [one.path for one in found if one.state is not s2ct_convert.Check.OK]  # doctest: +SKIP
    []
    """
    places = [check_readable(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    if isinstance(manifest, str | os.PathLike):
        manifest = read_manifest(Path(manifest))
    results: list[Checksum] = []
    jobs: list[_Job] = []
    for path in places:
        if not path.exists():
            raise WrongUsage("there is no such file or folder", where=str(path), todo=check_spelling(path))
        known = manifest or find_lock(path if path.is_dir() else path.parent)
        if known is not None:
            _add_known(path, known, jobs, results)
        elif path.is_dir():
            _add_folder(path, jobs, results)
        else:
            jobs.append(_Job(path, None))
    if not jobs and not results:
        raise WrongUsage("there is nothing to check", where=", ".join(map(str, places)), expected="files of the record")
    jobs, results = _once(jobs), _once(results)
    sizes = {job.path: job.path.stat().st_size for job in jobs}
    on_total(sum(sizes.values()))
    any_of = {one.md5 for one in published(DEFAULT_RECORD)}
    for job, md5 in zip(jobs, list(file_digests("md5", [job.path for job in jobs], on_bytes)), strict=True):
        results.append(_result(job, md5, sizes[job.path], any_of))
    return sorted(results, key=lambda one: str(one.path))


_WithPath = TypeVar("_WithPath", _Job, Checksum)


def _once(those: list[_WithPath]) -> list[_WithPath]:
    """One entry per path: a file may be given alone and with its folder."""
    return list({one.path.absolute(): one for one in those}.values())


def _add_known(path: Path, manifest: Manifest, jobs: list[_Job], results: list[Checksum]) -> None:
    if not path.is_dir():
        file = manifest.find(path.name) or next((f for f in manifest.files if f.key.endswith(f"/{path.name}")), None)
        if file is None:
            results.append(Checksum(path, Check.UNKNOWN, None, None, path.stat().st_size))
        else:
            jobs.append(_Job(path, file))
        return
    for file in manifest.files:
        final = path / file.key
        if final.is_file():
            jobs.append(_Job(final, file))
        elif (part := partial_path(final, file)).is_file():
            results.append(Checksum(final, Check.SHORT, file.md5, None, part.stat().st_size))
        else:
            results.append(Checksum(final, Check.MISSING, file.md5, None, None))
    keys = {path / file.key for file in manifest.files}
    for stranger in _of_record(path, {key.suffix for key in keys}):
        if stranger not in keys:
            results.append(Checksum(stranger, Check.UNKNOWN, None, None, stranger.stat().st_size))


def _add_folder(path: Path, jobs: list[_Job], results: list[Checksum]) -> None:
    """Add a folder without a lock: the folders in it that have one, and the files outside of these."""
    below = sorted({lock.parent for lock in path.rglob("*.lock.json") if lock.is_file()})
    for folder in below:
        if (known := find_lock(folder)) is not None:
            _add_known(folder, known, jobs, results)
    others = (file for file in _of_record(path, {".7z"}) if not any(file.is_relative_to(one) for one in below))
    jobs += [_Job(file, None) for file in others]


def _of_record(folder: Path, suffixes: set[str]) -> Iterable[Path]:
    """Files in a folder with one of these suffixes and a name of the record."""
    files = (path for path in sorted(folder.rglob("*")) if path.suffix in suffixes and path.is_file())
    return [path for path in files if _is_of_record(path.name)]


def _is_of_record(name: str) -> bool:
    parsed = try_name(name)
    return parsed is not None and parsed.sure and not parsed.copy


def _result(job: _Job, md5: str, size: int, any_of: set[str]) -> Checksum:
    if job.file is None:
        state = Check.OK if md5 in any_of else Check.WRONG if _is_of_record(job.path.name) else Check.UNKNOWN
        return Checksum(job.path, state, None, md5, size)
    if md5 == job.file.md5:
        state = Check.OK
    elif job.file.size is not None and size < job.file.size:
        state = Check.SHORT
    else:
        state = Check.WRONG
    return Checksum(job.path, state, job.file.md5, md5, size)
