"""Paths that a user gives: no URLs, no pipes, sockets or devices; the format that the name of a store gives."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import stat
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from .errors import WrongUsage

_MOST_NAMES = 10_000  # looked at in a folder
# One slash, since pathlib turns two into one. Two letters at least, since one is a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FORMATS = {".zarr": "zarr", ".h5": "hdf5", ".hdf5": "hdf5", ".he5": "hdf5", ".nc": "hdf5", ".nc4": "hdf5"}


def special_kind(path: Path) -> str | None:
    """Kind of a pipe, socket or device; None for a file, a folder or a missing path. Opens nothing, so never blocks."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return None


def check_path(path: str | os.PathLike[str]) -> Path:
    """Check that a path is local.

    Raises
    ------
    WrongUsage
        If it is a URL, such as ``s3://bucket/x.zarr``.
    """
    text = os.fspath(path)
    if _URL.match(text):
        raise WrongUsage(
            "this is a URL; s2ct needs a local path",
            where=text,
            todo="copy or mount the data on this machine and give its path",
        )
    return Path(text)


def path_list(given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(one) for one in ([given] if isinstance(given, str | os.PathLike) else given)]


def check_readable(path: str | os.PathLike[str]) -> Path:
    """Check that a path is local and that reading it does not block. It need not exist.

    Raises
    ------
    WrongUsage
        If it is a URL, a pipe, a socket or a device.
    """
    checked = check_path(path)
    if kind := special_kind(checked):
        raise WrongUsage(
            f"this is {kind}", where=str(checked), expected="a file or a folder", todo="save the data to a file"
        )
    return checked


def format_of_name(store: Path) -> str | None:
    """The format that the suffix of a store gives: ``zarr`` or ``hdf5``; None for another suffix."""
    return _FORMATS.get(store.suffix.lower())


def check_spelling(path: Path) -> str:
    """What to do about a path that does not exist: names one that does and is spelled almost the same."""
    parts = [path, *path.parents]
    missing = next((one for one in reversed(parts) if not one.exists()), path)
    try:
        names = [entry.name for entry in islice(os.scandir(missing.parent), _MOST_NAMES)]
    except OSError:
        names = []
    for name in difflib.get_close_matches(missing.name, names, n=3, cutoff=0.75):
        there = missing.with_name(name) / path.relative_to(missing)
        if there.exists():
            return f"check the path; did you mean {shlex.quote(str(there))}?"
    return "check the path"
