"""Files that are there after a crash: write, fsync, rename, fsync the folder.

A rename is atomic, but only what was synced before it survives a power cut, and the rename itself only once its
folder was synced. Every step that makes a result visible under its own name goes through here.
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

from .processes import may_be_alive, owner_tag

BEHIND_BYTES = 32 << 20  # written before the disk is asked for them
_TEMPORARY = ".s2ct-tmp"  # end of the names that only a process at work has, or one that was killed


def temporary_path(path: Path) -> Path:
    """A name beside ``path`` that only this process uses, and that tells whose it is."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}@{owner_tag()}{_TEMPORARY}")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors that name no file, as those of ``write`` do, name this one."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


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


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` as a whole."""
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # write() names no file, open() one that nobody knows
        raise
    sync(path.parent)


def remove(path: Path) -> None:
    """Delete a file or a tree that may not be there; a tree loses its name first, so that no half is seen under it."""
    if path.is_dir() and not path.is_symlink():
        doomed = temporary_path(path)
        with suppress(FileNotFoundError):  # another process was faster
            os.rename(path, doomed)
            shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)


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
    """Delete what a killed process left in ``folder`` while it replaced or deleted what begins with ``name``."""
    for path in folder.glob(f".{glob.escape(name)}*{_TEMPORARY}"):
        owner = re.search(rf"@([^@]+\.\d+){re.escape(_TEMPORARY)}$", path.name)
        if owner and may_be_alive(owner[1]):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
