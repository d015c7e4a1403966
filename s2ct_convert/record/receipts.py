"""Receipts: that a file was seen to have its md5, so that a second run looks at 72 stats and not at 40 GB.

A receipt holds size, modification time and inode of the file as it was then; where one differs, the file is read again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

from ..durable import write_atomic

FOLDER = ".s2ct-receipts"


def has_receipt(folder: Path, key: str, md5: str) -> bool:
    """Whether the file is the very one that had this md5."""
    try:
        receipt = json.loads(_path(folder, key).read_bytes())
        return bool(receipt == _receipt(folder / key, md5))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def write_receipt(folder: Path, key: str, md5: str) -> None:
    """Note that the file as it is now has this md5."""
    path = _path(folder, key)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps(_receipt(folder / key, md5)).encode() + b"\n")


def _path(folder: Path, key: str) -> Path:
    return folder / FOLDER / f"{quote(key, safe='')}.json"


def _receipt(file: Path, md5: str) -> dict[str, object]:
    status = os.stat(file)  # noqa: PTH116  # os.stat is what the words above name
    return {"md5": md5, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}
