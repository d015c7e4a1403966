"""Files that are there after a crash: write, fsync, rename, fsync the folder.

A rename is atomic, but only what was synced before it survives a power cut, and the rename itself only once its
folder was synced. Every step that makes a result visible under its own name goes through here. :func:`whole` does all
steps, for a file or a folder that one block of code makes.
"""

from __future__ import annotations

import filecmp
import glob
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .processes import may_be_alive, owner_tag

BEHIND_BYTES = 32 << 20  # written before the disk is asked for them
_TEMPORARY = ".s2ct-tmp"  # end of the names that only a process at work has, or one that was killed


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_tree(root: Path) -> None:
    """fsync every file and folder below ``root``, then ``root``; or the file ``root``."""
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))
    if root.is_file():
        sync(root)


class WriteBehind:
    """Has the disk write a file that grows, in a thread, so that the fsync at its end waits for little.

    An error of the disk is told once, to whoever syncs first: here it is raised by ``grew`` or ``finish``.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="s2ct-fsync")
        self._syncing: Future[None] | None = None
        self._fresh = 0

    def grew(self, n: int) -> None:
        """``n`` bytes more were written. Does not wait for the disk."""
        self._fresh += n
        if self._fresh >= BEHIND_BYTES and (self._syncing is None or self._syncing.done()):
            self.finish()
            self._syncing, self._fresh = self._executor.submit(os.fsync, self._fd), 0

    def finish(self) -> None:
        """Wait for the disk to have done what it was asked; what was written since is not asked for."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def close(self) -> None:
        """Let go of the file; can be called again."""
        self._executor.shutdown()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def publish(work: Path, final: Path) -> None:
    """Give synced ``work`` its final name."""
    os.rename(work, final)
    sync(final.parent)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file or a folder that is under the name ``path`` when it is whole, and not before.

    The block makes it under the temporary name it gets, which is beside ``path`` and states the process that owns it.
    When the block ends, what it made is synced and takes the place of what is there; a file does not replace a folder.
    A block that fails leaves what is there. What a killed process left of an earlier try is deleted first.

    Raises
    ------
    OSError
        It names ``path`` where it has no name or a temporary one: ``write`` names no file.
    """
    sweep(path.parent, f"{path.name}.")
    work = _temporary_path(path)
    try:
        yield work
        sync_tree(work)
        if work.is_dir():
            remove(path)
        publish(work, path)
    except BaseException as error:
        if isinstance(error, OSError):
            _name_final(error, work, path)
        with suppress(FileNotFoundError):
            _delete(work)
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """As :func:`whole`, for a file that is written from its beginning to its end."""
    with whole(path) as work, open(work, "xb") as file:
        yield file


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` as a whole."""
    with whole_file(path) as file:
        file.write(data)


def _temporary_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}@{owner_tag()}{_TEMPORARY}")


def _name_final(error: OSError, work: Path, path: Path) -> None:
    name = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else work
    if name.is_relative_to(work):
        error.filename = str(path / name.relative_to(work))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def remove(path: Path) -> None:
    """Delete a file or a tree that may not be there; a tree loses its name first, so that no half is seen under it."""
    with suppress(FileNotFoundError):  # another process was faster
        if path.is_dir() and not path.is_symlink():
            path = path.rename(_temporary_path(path))
        _delete(path)


def beside(path: Path, suffix: str) -> Path:
    """What stands beside ``path`` under its name and a suffix, also where it is given as ``.`` or with a slash."""
    return Path(os.path.abspath(path) + suffix)  # noqa: PTH100  # resolve() would follow links


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(Path(folder, name).stat().st_size for folder, _, files in os.walk(path) for name in files)


def has_files(root: Path, files: Mapping[str, int]) -> bool:
    """Whether ``root`` has these files with these sizes; the name of ``root`` itself is empty."""
    try:
        return all((root / name if name else root).stat().st_size == size for name, size in files.items())
    except OSError:
        return False


def has_same_files(one: Path, other: Path) -> bool:
    """Whether two folders have files of the same names and bytes."""
    names = [{path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (one, other)]
    return names[0] == names[1] and all(filecmp.cmp(one / name, other / name, shallow=False) for name in names[0])


def sweep(folder: Path, name: str = "") -> None:
    """Delete what killed processes left in ``folder`` while they made or deleted what begins with ``name``.

    What this process may not delete stays: it is in nobody's way.
    """
    for path in folder.glob(f".{glob.escape(name)}*{_TEMPORARY}"):
        owner = re.search(rf"@([^@]+\.\d+){re.escape(_TEMPORARY)}$", path.name)
        if not owner or not may_be_alive(owner[1]):
            with suppress(OSError):
                _delete(path)
