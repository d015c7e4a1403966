"""Error types: one base class; each error has an exit code.

A message gives the place (file, example number, byte offset), what was expected, what was found and what to do.
Users see these errors, never a traceback, unless s2ct has a bug.
"""

from __future__ import annotations

import errno
import os

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_DIFFERENCE = 4
EXIT_SOURCE = 5
EXIT_MACHINE = 6
EXIT_NETWORK = 7
# As a shell reports a program that a signal ended: 128 and the number of the signal.
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141
EXIT_TERMINATED = 143

# The table of `s2ct --help` and of the documentation.
EXIT_CODES = {
    0: "done",
    EXIT_BUG: "a bug in s2ct, with a traceback",
    EXIT_USAGE: "wrong usage, or the destination exists",
    EXIT_INCOMPLETE: "incomplete: units, files or sources are missing; run again",
    EXIT_DIFFERENCE: "verification found a difference, or a store is damaged",
    EXIT_SOURCE: "a source is damaged, or is not what it should be",
    EXIT_MACHINE: "this machine: disk full, no permission, memory",
    EXIT_NETWORK: "the network or the service",
    EXIT_INTERRUPTED: "interrupted (Ctrl-C)",
    EXIT_CLOSED_PIPE: "the output was closed early, for example by head",
    EXIT_TERMINATED: "terminated (SIGTERM)",
}


class PartialStoreWarning(UserWarning):
    """A store lacks some of its units or sources; the message names them."""


class UnpackerWarning(UserWarning):
    """A 7-Zip program fails on an archive that Python reads."""


class FolderSyncWarning(UserWarning):
    """A file system cannot sync folders, so a new name may be lost in a power cut."""


class S2ctError(Exception):
    """Base class of all errors that a user may see.

    Parameters
    ----------
    what : str
        What happened, in one sentence without a full stop.
    where : str, optional
        The file, and the place in it.
    expected, found : str, optional
        One line each.
    todo : str, optional
        What the user can do now.
    """

    exit_code = EXIT_BUG

    def __init__(self, what: str, *, where: str = "", expected: str = "", found: str = "", todo: str = "") -> None:
        self.what, self.where, self.expected, self.found, self.todo = what, where, expected, found, todo
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.found:
            lines.append(f"  found:    {self.found}")
        if self.todo:
            lines.append(f"  to do:    {self.todo}")
        return "\n".join(lines)


class WrongUsage(S2ctError):
    """The command or call is wrong."""

    exit_code = EXIT_USAGE


class MissingPackage(WrongUsage, ImportError):
    """A required package is not installed."""


class DestinationExists(WrongUsage):
    """The destination exists and another command made it."""


class NotAStore(WrongUsage):
    """The path is not an s2ct store."""


class Incomplete(S2ctError):
    """Some units or files are not done; running the command again resumes."""

    exit_code = EXIT_INCOMPLETE


class Difference(S2ctError):
    """Verification found a difference."""

    exit_code = EXIT_DIFFERENCE


class StoreDamaged(Difference):
    """A file of a store is missing, truncated or fails its checksum."""


class SourceError(S2ctError):
    """A source is damaged or has unexpected content."""

    exit_code = EXIT_SOURCE


class SourceTooLarge(SourceError):
    """A source unpacks to more, or decoding it takes more memory, than is allowed. The message names the option."""


class BadName(SourceError):
    """A file name is not ``<split>_<tile>_<number of examples>``."""


class DuplicateUnit(SourceError):
    """A unit has two sources with different content."""


class ShardsMissing(SourceError):
    """Some shards of a TFRecord are missing, so the rest is no source."""


class NotAnArchive(SourceError):
    """The file does not start with the 7z signature."""


class ArchiveDamaged(SourceError):
    """A 7z archive is truncated or fails a checksum."""


class ArchiveUnsupported(SourceError):
    """A 7z archive is encrypted, or uses a method that cannot be decoded here."""


class NotATFRecord(SourceError):
    """The file does not start with a TFRecord header."""


class TFRecordDamaged(SourceError):
    """A TFRecord file is truncated or fails a checksum."""


class ExampleError(SourceError):
    """A record is not a tf.train.Example of this dataset."""


class CountMismatch(SourceError):
    """A file has fewer examples than its name says."""


class NotAsDescribed(SourceError):
    """A source differs from the description of its record, and ``strict`` is on."""


class MachineError(S2ctError):
    """The machine fails: disk full, no permission, out of memory."""

    exit_code = EXIT_MACHINE


class NetworkError(S2ctError):
    """The network or the service fails."""

    exit_code = EXIT_NETWORK


# The machine or the service could not read; the store may be intact.
NOT_THE_STORE = (MachineError, NetworkError)


class SomeFailed(S2ctError):
    """Some of several files or units failed.

    The exit code is that of the machine if it failed, the common one if all failed in the same way, else "incomplete".
    """

    def __init__(self, what: str, codes: set[int], *, some_done: bool, where: str = "", todo: str = "") -> None:
        super().__init__(what, where=where, todo=todo)
        self.exit_code = _combined(codes, some_done=some_done)


def _combined(codes: set[int], *, some_done: bool) -> int:
    if EXIT_MACHINE in codes:
        return EXIT_MACHINE
    if len(codes) == 1 and not some_done:
        return min(codes)
    return EXIT_INCOMPLETE


_TODO = {
    errno.ENOSPC: "free some space and run the same command again; finished work is kept",
    errno.EDQUOT: "raise the quota or free some space and run the same command again; finished work is kept",
    errno.EACCES: "check the permissions, or choose another path",
    errno.EPERM: "check the permissions, or choose another path",
    errno.EROFS: "choose a path on a writable file system",
    errno.ENOTDIR: "choose another path; a part of this one is a file",
    errno.EEXIST: "choose another path, or move the existing file away",
    errno.EISDIR: "choose another path; this one is a folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "use fewer jobs (-j), or a machine with more memory",
}


def from_os_error(error: OSError, where: str = "") -> S2ctError:
    """Convert a failed system call: a missing file is ``WrongUsage``, the rest ``MachineError``.

    ``where`` is used if the error names no file, as with ``write``.
    """
    where = os.fsdecode(error.filename) if error.filename else where
    # Not error.strerror: h5py puts the whole state of its file driver there.
    what = os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, FileNotFoundError):
        return WrongUsage(what, where=where, todo="check the path")
    return MachineError(what, where=where, todo=_TODO.get(error.errno or 0, ""))
