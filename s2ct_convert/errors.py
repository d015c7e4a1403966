"""What can go wrong, as types: one base class, each error with its exit code and a message that helps.

A message says the place (file, example number, byte offset), what was expected, what was found and what to
do. Everything outside our own bugs reaches the user as one of these and never as a traceback.
"""

from __future__ import annotations

import errno
import os

EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_DIFFERENCE = 4
EXIT_SOURCE = 5
EXIT_MACHINE = 6
EXIT_NETWORK = 7


class PartialStoreWarning(UserWarning):
    """A store was finished without some of its units or sources; the message names them."""


class S2ctError(Exception):
    """Base of all errors a user may meet.

    Parameters
    ----------
    what : str
        What is wrong, in one sentence without a full stop.
    where : str, optional
        The file and the place in it.
    expected, found : str, optional
        Shown on lines of their own.
    todo : str, optional
        What the user can do now.
    """

    exit_code = 1

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
    """The command cannot be carried out as it was given."""

    exit_code = EXIT_USAGE


class MissingPackage(WrongUsage, ImportError):
    """This needs a package that is not installed."""


class DestinationExists(WrongUsage):
    """Something is already there and was not made by the same command."""


class NotAStore(WrongUsage):
    """What was opened is not a store of this layout."""


class Incomplete(S2ctError):
    """Some units or files are not done; running again goes on."""

    exit_code = EXIT_INCOMPLETE


class Difference(S2ctError):
    """Verification found that two things that must be equal are not."""

    exit_code = EXIT_DIFFERENCE


class StoreDamaged(Difference):
    """A file of a store is missing, cut, or does not fit its checksums."""


class SourceError(S2ctError):
    """A source is damaged or not what it should be."""

    exit_code = EXIT_SOURCE


class BadName(SourceError):
    """A file name is not ``<split>_<tile>_<number of examples>``."""


class DuplicateUnit(SourceError):
    """A second source of a unit that has one with other content."""


class NotAnArchive(SourceError):
    """The file does not begin as a 7z archive does."""


class ArchiveDamaged(SourceError):
    """A 7z archive is cut, or its checksums do not fit."""


class ArchiveUnsupported(SourceError):
    """A 7z archive is encrypted or uses a method that cannot be decoded here."""


class NotATFRecord(SourceError):
    """The first bytes are not the header of a TFRecord."""


class TFRecordDamaged(SourceError):
    """A TFRecord file is cut, or one of its checksums does not fit."""


class ExampleError(SourceError):
    """A record is not a tf.train.Example as this dataset has them."""


class CountMismatch(SourceError):
    """A file has less in it than the number in its name."""


class NotAsDescribed(SourceError):
    """A source is not as its record describes it, and the user wants only such."""


class MachineError(S2ctError):
    """This machine: disk full, no permission, memory."""

    exit_code = EXIT_MACHINE


class NetworkError(S2ctError):
    """The network or the remote service."""

    exit_code = EXIT_NETWORK


class SomeFailed(S2ctError):
    """Of several things that were asked for, some could not be done."""

    def __init__(self, what: str, codes: set[int], *, some_done: bool, where: str = "", todo: str = "") -> None:
        super().__init__(what, where=where, todo=todo)
        self.exit_code = _combined(codes, some_done=some_done)


def _combined(codes: set[int], *, some_done: bool) -> int:
    """A fault of this machine is told as such, a fault that all share too; otherwise the work is incomplete."""
    if EXIT_MACHINE in codes:
        return EXIT_MACHINE
    if len(codes) == 1 and not some_done:
        return min(codes)
    return EXIT_INCOMPLETE


_TODO = {
    errno.ENOSPC: "free some space and run the same command again: what is finished is kept",
    errno.EDQUOT: "raise the quota or free some space and run the same command again: what is finished is kept",
    errno.EACCES: "check the permissions, or choose another place",
    errno.EPERM: "check the permissions, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOTDIR: "choose another place: a part of this path is a file",
    errno.EEXIST: "choose another place, or move away what is there",
    errno.EISDIR: "choose another place: this is a folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "use fewer jobs (-j), or a machine with more memory",
}


def from_os_error(error: OSError, where: str = "") -> S2ctError:
    """The error a user sees for a failed system call: a missing file is wrong usage, all else this machine.

    ``where`` is told if the error itself names no file, as those of ``write`` do not.
    """
    where = os.fsdecode(error.filename) if error.filename else where
    # h5py puts the whole state of its file driver into strerror.
    what = os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, FileNotFoundError):
        return WrongUsage(what, where=where, todo="check the path")
    return MachineError(what, where=where, todo=_TODO.get(error.errno or 0, ""))
