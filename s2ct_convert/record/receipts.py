"""Receipts: that a file was seen to have its md5, so that a second run looks at 72 stats and not at 40 GB.

A receipt holds size, modification time and inode of the file as it was then; where one differs, the file is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from urllib.parse import quote

from ..durable import write_atomic

FOLDER = ".s2ct-receipts"
_LONGEST = 180  # characters of a name; file systems take 255, and temporary names are longer


def has_receipt(folder: Path, key: str, md5: str) -> bool:
    """Whether the file is the very one that had this md5."""
    try:
        receipt = json.loads(_path(folder, key).read_bytes())
        return bool(receipt == _receipt((folder / key).stat(), md5))
    except (OSError, ValueError):  # not there, torn, or not to be read: no receipt
        return False


def write_receipt(folder: Path, key: str, md5: str, before: os.stat_result | None = None) -> None:
    """Note that the file has this md5.

    Parameters
    ----------
    before : os.stat_result, optional
        The file as it was before it was read: what changed while it was read has no receipt. By default as it is now.
    """
    path = _path(folder, key)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps(_receipt(before or (folder / key).stat(), md5)).encode() + b"\n")


def _path(folder: Path, key: str) -> Path:
    name = quote(key, safe="")
    if len(name) > _LONGEST:
        name = f"{name[:100]}-{hashlib.sha256(key.encode()).hexdigest()}"
    return folder / FOLDER / f"{name}.json"


def _receipt(status: os.stat_result, md5: str) -> dict[str, object]:
    return {"md5": md5, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}
