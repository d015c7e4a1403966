"""Receipts: notes that the md5 of a file was checked, so that a second run reads 72 stats instead of 40 GB.

A receipt holds the size, modification time and inode of the checked file. If one differs, the file is read again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from urllib.parse import quote

from ..durable import read_json, write_atomic

FOLDER = ".s2ct-receipts"
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}  # errors of a folder that others own
_LONGEST = 180  # characters of a name; the limit is 255, and temporary names are longer


def has_receipt(folder: Path, key: str, md5: str) -> bool:
    """Whether the file has a receipt for this md5 and is unchanged since."""
    try:
        receipt = read_json(_path(folder, key))
        return bool(receipt == _receipt((folder / key).stat(), md5))
    except (OSError, ValueError):  # missing, torn or unreadable
        return False


def write_receipt(folder: Path, key: str, md5: str, before: os.stat_result | None = None) -> bool:
    """Write the receipt of a file with this md5. Returns false in a folder that may not be written to.

    Parameters
    ----------
    before : os.stat_result, optional
        Its stat before it was read, so that the receipt is void if the file changed meanwhile. By default its stat now.
    """
    path = _path(folder, key)
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, json.dumps(_receipt(before or (folder / key).stat(), md5)).encode() + b"\n")
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        return False
    return True


def is_unchanged(path: Path, before: os.stat_result) -> bool:
    """Whether the file has the size, modification time and inode that it had."""
    return _receipt(path.stat(), "") == _receipt(before, "")


def drop_receipt(folder: Path, key: str) -> None:
    """Delete the receipt of a file, if it has one."""
    _path(folder, key).unlink(missing_ok=True)


def _path(folder: Path, key: str) -> Path:
    name = quote(key, safe="")
    if len(name) > _LONGEST:
        name = f"{name[:100]}-{hashlib.sha256(key.encode()).hexdigest()}"
    return folder / FOLDER / f"{name}.json"


def _receipt(status: os.stat_result, md5: str) -> dict[str, object]:
    return {"md5": md5, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}
