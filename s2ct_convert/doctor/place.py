"""A folder for stores: its space, its inodes, its file system, and whether files in it can be locked."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path

import h5py

from ..errors import WrongUsage
from ..words import size
from .findings import Findings

LITTLE_BYTES = 2_000_000_000  # less free space than this is reported
LITTLE_INODES = 10_000
_LOCKING = "HDF5_USE_FILE_LOCKING"


def examine_place(folder: Path, found: Findings) -> None:
    """Report a folder. Writes two small files to it and deletes them.

    Raises
    ------
    WrongUsage
        If there is no such folder.
    """
    if not folder.is_dir():
        raise WrongUsage("there is no such folder", where=str(folder), todo="make it, or give another one")
    found.fact("folder", f"{folder.resolve()} ({_file_system(folder) or 'unknown file system'})", str(folder.resolve()))
    found.values["file_system"] = _file_system(folder)
    _examine_space(folder, found)
    try:
        with tempfile.TemporaryDirectory(prefix=".s2ct-doctor-", dir=folder) as place:
            _examine_locks(Path(place), found)
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else str(error)
        found.fact("file locks", f"not tested: {what}", None)
        found.problem(f"nothing can be written to {folder}: {what}", "choose another folder, or check the permissions")


def _examine_space(folder: Path, found: Findings) -> None:
    there = os.statvfs(folder)
    free = there.f_bavail * there.f_frsize
    inodes = there.f_favail if there.f_files else None  # some file systems do not count them
    words = "inodes not counted" if inodes is None else f"{inodes:,} inodes free"
    found.fact("space", f"{size(free)} free of {size(there.f_blocks * there.f_frsize)}, {words}", free)
    found.values["inodes"] = inodes
    if free < LITTLE_BYTES:
        found.problem(
            f"only {size(free)} are free in {folder}", "free some space; s2ct plan estimates what a store needs"
        )
    if inodes is not None and inodes < LITTLE_INODES:
        found.problem(f"only {inodes:,} inodes are free in {folder}", "delete small files, or write HDF5: one file")


def _examine_locks(place: Path, found: Findings) -> None:
    flock, hdf5, setting = _flock(place / "lock"), _hdf5(place / "lock.h5"), os.environ.get(_LOCKING)
    words = f"flock {flock or 'works'}; HDF5 {hdf5 or 'opens and locks its files'}"
    if setting is not None:
        words += f" ({_LOCKING}={setting})"
    found.fact("file locks", words, {"flock": flock is None, "hdf5": hdf5 is None, _LOCKING: setting})
    if hdf5 and _hdf5(place / "unlocked.h5", locking=False) is None:
        found.problem(f"HDF5 cannot lock files in this folder ({hdf5})", f"export {_LOCKING}=FALSE, or write Zarr")
    elif hdf5:
        found.problem(f"HDF5 cannot write to this folder ({hdf5})", "check its space, or choose another folder")


def _flock(path: Path) -> str | None:
    """What is wrong with locks; None if they work. As HDF5 does, takes a lock once; a second user must be refused."""
    with open(path, "wb") as first, open(path, "wb") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"fails ({os.strerror(error.errno or 0)})"
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return (
                None if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else f"fails ({os.strerror(error.errno or 0)})"
            )
    return "has no effect: a second process gets the same lock"


def _hdf5(path: Path, *, locking: bool | None = None) -> str | None:
    """Why HDF5 cannot write and read a file; None if it can. ``locking``: by default as the environment says."""
    try:
        with h5py.File(path, "w", locking=locking) as file:
            file["x"] = 1
        with h5py.File(path, "r", locking=locking) as file:
            return None if int(file["x"][()]) == 1 else "reads other values than it wrote"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else "an HDF5 error"


def _file_system(folder: Path) -> str | None:
    """Type of the file system, such as ``nfs4``; None if unknown."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        real = folder.resolve()
        # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw
        mounts = [(line.split(" ")[4], line.partition(" - ")[2].split(" ")[0]) for line in lines]
        return max((one for one in mounts if real.is_relative_to(_unescape(one[0]))), key=lambda one: len(one[0]))[1]
    except (OSError, IndexError, ValueError):
        return None


def _unescape(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
