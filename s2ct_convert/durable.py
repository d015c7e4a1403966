"""Files that survive a crash: write, fsync, rename, fsync the folder.

A rename is atomic. After a power cut, the content is there only if it was synced before the rename, and the new name
only if the folder was synced after it. Every result gets its name through this module. :func:`whole` does all steps for
a file or a folder that one block of code makes.
"""

from __future__ import annotations

import errno
import filecmp
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from .errors import FolderSyncWarning
from .processes import may_be_alive, owner_tag

BEHIND_BYTES = 32 << 20  # written between two calls of fsync
_JSON_BYTES = 256 << 20  # a plan of the record has 100 kB
_TEMPORARY = ".s2ct-tmp"  # suffix of unfinished files; a killed process leaves them behind
_LONGEST_START = 160  # bytes of a name in a temporary name; a host name has at most 64


_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}  # CIFS and some FUSE file systems


def sync(path: Path) -> None:
    """fsync a file or a folder. Where the file system cannot sync folders, a warning says so.

    Warns
    -----
    FolderSyncWarning
        Names survive a crash of the program there, and perhaps not a power cut.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC or not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise
        message = "this file system cannot sync folders: after a power cut, run the same command again"
        warnings.warn(message, FolderSyncWarning, stacklevel=1)
    finally:
        os.close(fd)


def sync_tree(root: Path) -> None:
    """fsync every file and folder below ``root``, then ``root``. ``root`` may be a file."""
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))
    if root.is_file():
        sync(root)


def read_json(path: Path) -> Any:
    """The content of a small JSON file that s2ct wrote.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not a file, too large, or not JSON.
    """
    return parse_json(read_small(path))


def read_small(path: Path) -> bytes:
    """All bytes of a file that s2ct wrote, such as a lock or a ledger. Raises as ``read_json``."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:  # a pipe would wait
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        data = file.read(_JSON_BYTES + 1)
    if len(data) > _JSON_BYTES:
        raise ValueError(f"more than {_JSON_BYTES:,} bytes")
    return data


def parse_json(data: bytes | str) -> Any:
    """Parse JSON. All that can be wrong with it is a ``ValueError``."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class WriteBehind:
    """Syncs a growing file in a thread, so that the last fsync is short.

    The kernel reports a disk error once, to the first fsync. So ``grew`` and ``finish`` raise it.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="s2ct-fsync")
        self._syncing: Future[None] | None = None
        self._fresh = 0

    def grew(self, n: int) -> None:
        """Count ``n`` bytes more that were written. Does not wait for the disk."""
        self._fresh += n
        if self._fresh >= BEHIND_BYTES and (self._syncing is None or self._syncing.done()):
            self.finish()
            self._syncing, self._fresh = self._executor.submit(os.fsync, self._fd), 0

    def finish(self) -> None:
        """Wait for the fsync in progress. Bytes written after it started are not synced."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._executor.shutdown()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def publish(work: Path, final: Path) -> None:
    """Rename ``work``, which must be synced, to its final name."""
    os.rename(work, final)
    sync(final.parent)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Make a file or a folder that appears as ``path`` only when it is complete.

    The block gets a temporary path beside ``path``; its name contains the owning process. When the block ends, the
    result is synced and replaces ``path``; a file does not replace a folder. If the block fails, ``path`` is unchanged.
    Leftovers of killed processes are deleted first.

    Raises
    ------
    OSError
        It names ``path`` instead of the temporary path, also if it named no file.
    """
    sweep(path.parent, f"{_start(path.name)}.")
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
    """As :func:`whole`, with an open file instead of a path."""
    with whole(path) as work, open(work, "xb") as file:
        yield file


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` atomically."""
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder in ``folder``, which is made if it is missing. It is deleted at the end.

    Leftovers of killed processes are deleted first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    work = _temporary_path(folder / "work")
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _temporary_path(path: Path) -> Path:
    return path.with_name(f".{_start(path.name)}.{uuid.uuid4().hex[:8]}@{owner_tag()}{_TEMPORARY}")


def _start(name: str) -> str:
    """A name that leaves room for a suffix: file systems allow 255 bytes."""
    if len(os.fsencode(name)) <= _LONGEST_START:
        return name
    return f"{name[:30]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}"


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
    """Delete a file or a tree, if it exists. A tree is renamed first, so that its name never shows half of it."""
    with suppress(FileNotFoundError):  # another process may delete it first
        if path.is_dir() and not path.is_symlink():
            path = path.rename(_temporary_path(path))
        _delete(path)


def beside(path: Path, suffix: str) -> Path:
    """``path`` with a suffix appended to its name. ``path`` may be ``.`` or end with a slash."""
    return Path(os.path.abspath(path) + suffix)  # noqa: PTH100  # resolve() would follow links


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(Path(folder, name).stat().st_size for folder, _, files in os.walk(path) for name in files)


def has_files(root: Path, files: Mapping[str, int]) -> bool:
    """Whether ``root`` has these files with these sizes. An empty name means ``root`` itself."""
    try:
        return all((root / name if name else root).stat().st_size == size for name, size in files.items())
    except OSError:
        return False


def has_same_files(one: Path, other: Path) -> bool:
    """Whether two folders have the same files, with the same bytes."""
    names = [{path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (one, other)]
    return names[0] == names[1] and all(filecmp.cmp(one / name, other / name, shallow=False) for name in names[0])


def sweep(folder: Path, name: str = "") -> None:
    """Delete temporary files of killed processes in ``folder``, of paths that start with ``name``.

    Skips files that it has no permission to delete; they do no harm.
    """
    for path in folder.glob(f".{glob.escape(name)}*{_TEMPORARY}"):
        owner = re.search(rf"@([^@]+\.\d+){re.escape(_TEMPORARY)}$", path.name)
        if not owner or not may_be_alive(owner[1]):
            with suppress(OSError):
                _delete(path)
