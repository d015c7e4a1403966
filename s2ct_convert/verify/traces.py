"""Distinguishes a damaged s2ct store from files that never were one."""

from __future__ import annotations

import mmap
from pathlib import Path

from ..durable import beside
from ..store.layout import IMAGE

_MARK = b"s2ct_layout_version"  # an attribute of the root
_LOOK_BYTES = 64 << 20  # searched at both ends of a file; root attributes of HDF5 are at the end


def has_traces(path: Path) -> bool:
    """Whether anything at or beside ``path`` was written by s2ct.

    Raises
    ------
    OSError
    """
    if beside(path, ".s2ct").exists():
        return True
    if path.is_file():
        return _is_in(path)
    root = path / "zarr.json"
    if root.is_file() and _is_in(root):
        return True
    return (path / "index" / "zarr.json").exists() or any(True for _ in path.glob(f"*/*/{IMAGE.name}/zarr.json"))


def _is_in(path: Path) -> bool:
    size = path.stat().st_size
    if not size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_MARK, 0, _LOOK_BYTES) >= 0 or content.find(_MARK, max(0, size - _LOOK_BYTES)) >= 0
