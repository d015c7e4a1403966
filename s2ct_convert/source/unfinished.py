"""Recognises unfinished downloads by their names. They are not sources, and not damaged sources either."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import SourceError
from ..objects.remote import AnyFile

# Firefox, Chrome, Safari, wget2, WinSCP, aria2, curl and rclone wrappers, axel, torrent programs, download managers;
# and the names that s2ct itself uses: <name>.<8 of md5>.part and <name>.bad-<md5>.
_SUFFIX = re.compile(
    r"\.(?:part|partial|crdownload|download|opdownload|filepart|aria2|tmp|temp|st|!ut|!qb|!bt|bc!|fdmdownload|idm|xltd"
    r"|incomplete|unfinished|bad-[0-9a-f]{32})$",
    re.IGNORECASE,
)
_CONTROL_SUFFIXES = (".aria2", ".st")  # beside a file that is still being downloaded


def has_unfinished_name(name: str) -> bool:
    """Whether a name alone is that of an unfinished download."""
    return _SUFFIX.search(name) is not None


def is_unfinished(path: Path) -> bool:
    """Whether a path is an unfinished download, or the control file of a download program."""
    if has_unfinished_name(path.name):
        return True
    if any(path.with_name(path.name + suffix).exists() for suffix in _CONTROL_SUFFIXES):
        return True
    # Firefox keeps an empty file with the final name while it writes to <name>.part.
    part = path.with_name(path.name + ".part")
    return part.exists() and path.is_file() and path.stat().st_size == 0


def unfinished(path: AnyFile) -> SourceError:
    """The error for an unfinished download that was given by name."""
    return SourceError(
        "this is an unfinished download",
        where=str(path),
        todo="finish the download (s2ct download and most programs resume it), then give the finished file",
    )
