"""Opens files below a folder for the server. A path is a list of plain names; nothing outside can be reached."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

# Names in a Zarr store: groups, arrays, zarr.json, numbers of chunks. Not hidden files, percent signs, backslashes.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def names_in(path: str) -> list[str] | None:
    """The names in a path of a URL, without a first slash; None unless each is plain. Nothing is unquoted."""
    names = path.split("/")
    return names if all(map(_NAME.fullmatch, names)) else None


class Folder:
    """A folder whose files are served.

    Raises
    ------
    OSError
        If it is not a folder, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def open(self, names: list[str]) -> BinaryIO:
        """Open a regular file below the folder.

        Symbolic links are not followed: each name is opened below the folder before it, by its number, so that a link
        or a rename in between leads nowhere else.

        Raises
        ------
        OSError
            If there is no such file, or it is a folder, a link or something else.
        """
        above = os.dup(self._number)
        try:
            for name in names[:-1]:
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                os.close(above)
                above = below
            # Without O_NONBLOCK, opening a named pipe waits for a writer.
            number = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)
        finally:
            os.close(above)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise FileNotFoundError(names[-1])
        return open(number, "rb")

    def close(self) -> None:
        """Close the folder. Closing twice does nothing."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1
