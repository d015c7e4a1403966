"""Downloads that have not finished, told by their names: they are no sources, and not damaged ones either."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import SourceError

# Firefox, Chrome, Safari, wget2, WinSCP, aria2, curl and rclone wrappers, axel, torrent programs, download managers;
# and what s2ct itself keeps: <name>.<8 of md5>.part and <name>.bad-<md5>.
_SUFFIX = re.compile(
    r"\.(?:part|partial|crdownload|download|opdownload|filepart|aria2|tmp|temp|st|!ut|!qb|!bt|bc!|fdmdownload|idm|xltd"
    r"|incomplete|unfinished|bad-[0-9a-f]{32})$",
    re.IGNORECASE,
)
_CONTROL_SUFFIXES = (".aria2", ".st")  # beside a file whose download goes on


def is_unfinished(path: Path) -> bool:
    """Whether a file or folder is a download that has not finished, or what a download program notes about one."""
    if _SUFFIX.search(path.name):
        return True
    if any(path.with_name(path.name + suffix).exists() for suffix in _CONTROL_SUFFIXES):
        return True
    # Firefox keeps an empty file under the final name as long as it writes to <name>.part.
    part = path.with_name(path.name + ".part")
    return part.exists() and path.is_file() and path.stat().st_size == 0


def unfinished(path: Path) -> SourceError:
    """The error for one that was given by name."""
    return SourceError(
        "this is an unfinished download",
        where=str(path),
        todo="finish the download (s2ct download and most programs resume it), then give the finished file",
    )
