"""Paths that a user gives: no URLs, no pipes, sockets or devices; the format that the name of a store gives."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from .errors import DestinationExists, WrongUsage
from .words import shell_path

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


def check_outside_stores(folder: Path, what: str, *, where: Path | None = None) -> None:
    """Check that files which are no part of a store do not come into one, where --overwrite would delete them.

    Raises
    ------
    WrongUsage
        If the folder is a Zarr store, or in one.
    """
    place = folder.resolve()
    if store := next((one for one in (place, *place.parents) if (one / "zarr.json").is_file()), None):
        raise WrongUsage(
            f"{what} has no place in a store",
            where=str(where or folder),
            found=f"{store} is a Zarr store",
            todo="choose another folder",
        )


def check_own_folder(
    folder: str | os.PathLike[str], what: str, own: Callable[[Path], set[str]], *, overwrite: bool
) -> Path:
    """The path of a folder that is absent, empty or, with ``overwrite``, one that s2ct has written.

    Parameters
    ----------
    folder : path-like
    what : str
        What s2ct writes, such as "an export".
    own : callable
        Names of the files in a folder that s2ct has written; none if it is of another program.
    overwrite : bool

    Raises
    ------
    WrongUsage
        If it is a file, or the current folder, which cannot be replaced.
    DestinationExists
        If it is not empty; with ``overwrite``, if it has files that are not of s2ct.
    """
    target = check_path(folder)
    target = target.resolve() if target.is_symlink() else target
    if target.exists() and not target.is_dir():
        raise WrongUsage("this is a file, not a folder", where=str(target), todo="choose another path")
    if target.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise WrongUsage(f"{what} cannot replace the current folder", where=str(target), todo="name a folder in it")
    check_outside_stores(target.parent, what, where=target)
    there = {path.name for path in target.iterdir()} if target.exists() else set()
    if there and not overwrite:
        todo = f"choose another folder; --overwrite replaces an earlier {what.partition(' ')[2]}"
        raise DestinationExists("this folder is not empty", where=str(target), todo=todo)
    if strange := sorted(there - own(target)):
        raise DestinationExists(
            f"this folder is not only {what}, so it is not replaced",
            where=str(target),
            found=", ".join(strange[:3]) + (", ..." if len(strange) > 3 else ""),
            todo="choose another folder",
        )
    return target


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
    kin = [name for name in names if _is_spelled_like(missing, Path(name))]
    for name in difflib.get_close_matches(missing.name, kin, n=3, cutoff=0.75):
        there = missing.with_name(name) / path.relative_to(missing)
        if there.exists():
            return f"check the path; did you mean {shell_path(there)}?"
    return "check the path"


def _is_spelled_like(one: Path, other: Path) -> bool:
    """Whether the names are alike without their suffix too, which many names share."""
    return one.suffix != other.suffix or bool(difflib.get_close_matches(one.stem, [other.stem], cutoff=0.6))
