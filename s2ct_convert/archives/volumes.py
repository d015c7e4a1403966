"""Archives in volumes, ``x.7z.001``, ``x.7z.002``, ...: the bytes of one archive in several files.

The path of the first volume means the whole archive. Volumes are joined during reading.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from ..names import volume_of


def files_of(path: Path) -> tuple[Path, ...]:
    """All volumes if ``path`` is a first volume, else ``path`` alone."""
    volume = volume_of(path.name)
    if volume is None or volume[1] != 1:
        return (path,)
    files, digits = [path], len(path.name) - len(volume[0]) - 1
    while (following := path.with_name(f"{volume[0]}.{len(files) + 1:0{digits}d}")).is_file():
        files.append(following)
    return tuple(files)


def next_volume(path: Path) -> str | None:
    """Name of the first volume that does not exist; None if ``path`` is not a first volume."""
    volume = volume_of(path.name)
    if volume is None or volume[1] != 1:
        return None
    return f"{volume[0]}.{len(files_of(path)) + 1:0{len(path.name) - len(volume[0]) - 1}d}"


def first_volume(path: Path) -> Path | None:
    """Path of the first volume, if ``path`` is a later volume; else None."""
    volume = volume_of(path.name)
    if volume is None or volume[1] < 2:
        return None
    return path.with_name(f"{volume[0]}.{1:0{len(path.name) - len(volume[0]) - 1}d}")


class JoinedFile(io.RawIOBase):
    """Several files read as one, one after another."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = [open(path, "rb", buffering=0) for path in paths]
        sizes = [os.fstat(file.fileno()).st_size for file in self._files]
        self._starts = [0, *accumulate(sizes)]  # start of each file, then the end of the last
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1]}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, n: int = -1) -> bytes:
        """Read as from a file: fewer than ``n`` bytes only at the end."""
        end = self._starts[-1] if n < 0 else min(self._at + n, self._starts[-1])
        pieces = []
        while self._at < end:
            number = bisect_right(self._starts, self._at) - 1
            self._files[number].seek(self._at - self._starts[number])
            piece = self._files[number].read(min(end, self._starts[number + 1]) - self._at)
            if not piece:  # the file was truncated meanwhile
                break
            pieces.append(piece)
            self._at += len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
