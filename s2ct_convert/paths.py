"""Paths that a user gives: refused at once where they are URLs, or name what is no file and no folder."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from .errors import WrongUsage

# pathlib makes one slash of two. One letter is a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special_kind(path: Path) -> str | None:
    """What is at a path, if it is neither a file nor a folder nor nothing. It is not opened, which could wait."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return None


def check_path(path: str | os.PathLike[str]) -> Path:
    """A path on this machine.

    Raises
    ------
    WrongUsage
        If it is a URL, such as ``s3://bucket/x.zarr``.
    """
    text = os.fspath(path)
    if _URL.match(text):
        raise WrongUsage(
            "this is a URL; s2ct works on local paths",
            where=text,
            todo="copy the data to this machine, or mount it, and give its path",
        )
    return Path(text)


def check_readable(path: str | os.PathLike[str]) -> Path:
    """A path on this machine that can be looked into without waiting for anybody; it need not be there.

    Raises
    ------
    WrongUsage
        If it is a URL, a pipe, a socket or a device.
    """
    checked = check_path(path)
    if kind := special_kind(checked):
        raise WrongUsage(
            f"this is {kind}", where=str(checked), expected="a file or a folder", todo="store the data as a file"
        )
    return checked
