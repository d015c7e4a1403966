"""Files that other programs are writing: aria2 while its control file exists, and files that grow."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

RECENT_SECONDS = 30.0  # since the last change of a file that may be growing
WATCH_SECONDS = 1.0


def has_control_file(path: Path) -> bool:
    """Whether aria2 downloads this file. It writes pieces in any order, so what is there cannot be resumed."""
    return path.with_name(f"{path.name}.aria2").exists()


def growing(paths: Iterable[Path]) -> set[Path]:
    """Those of the files that change while they are watched. Takes no time if none was changed of late."""
    before = _versions(paths)
    recent = [path for path, (_, changed) in before.items() if abs(time.time() - changed / 1e9) < RECENT_SECONDS]
    if not recent:
        return set()
    time.sleep(WATCH_SECONDS)
    after = _versions(recent)
    return {path for path in recent if after.get(path) != before[path]}


def _versions(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of the last change of each file that is still there."""
    out = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            out[path] = status.st_size, status.st_mtime_ns
    return out
