"""The folder of an export. It appears when all its files are whole; ``export.json`` in it says what they are."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..durable import read_json, whole
from ..errors import MachineError, WrongUsage
from ..paths import check_own_folder
from ..reading.select import Selection
from ..version import __version__
from .items import Data, about, selected

LIST = "export.json"

# Writes the files of a selection into a folder; yields the name of each, with its numbers of samples and observations.
Write = Callable[[Selection, Path], Iterator[tuple[str, int, int]]]


@dataclass(frozen=True)
class ExportedFile:
    """One file of an export.

    Attributes
    ----------
    path : Path
    samples, observations, bytes : int
        Number of samples and observations in it, and its size.
    """

    path: Path
    samples: int
    observations: int
    bytes: int


@dataclass(frozen=True)
class ExportedFolder:
    """An export in a folder.

    Attributes
    ----------
    folder : Path
    format : {"parquet", "webdataset", "netcdf"}
    files : tuple of ExportedFile
    """

    folder: Path
    format: str
    files: tuple[ExportedFile, ...]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(file.samples for file in self.files)

    @property
    def observations(self) -> int:
        """Number of observations."""
        return sum(file.observations for file in self.files)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def write_folder(
    data: Data, folder: str | os.PathLike[str], format: str, write: Write, *, overwrite: bool
) -> ExportedFolder:
    """Export a selection to a folder that is absent, empty or, with ``overwrite``, an earlier export.

    Raises
    ------
    WrongUsage
        If nothing is selected, or the path cannot be a folder.
    DestinationExists
        If there is something else.
    """
    target = check_folder(folder, overwrite=overwrite)
    with selected(data) as selection:
        if not selection:
            raise WrongUsage("no observation matches the selection", todo="select more")
        with _no_space(target), whole(target) as work:
            work.mkdir()
            files = tuple(
                ExportedFile(target / name, samples, observations, (work / name).stat().st_size)
                for name, samples, observations in write(selection, work)
            )
            done = ExportedFolder(target, format, files)
            (work / LIST).write_text(json.dumps(_document(selection, done), indent=2) + "\n", encoding="utf-8")
    return done


@contextmanager
def _no_space(target: Path) -> Iterator[None]:
    """Say of a full disk that nothing is kept, as of other exports something is."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        what, todo = os.strerror(error.errno), "free some space and run the same command again"
        raise MachineError(f"{what}; nothing of this export is kept", where=str(target), todo=todo) from error


def check_folder(folder: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """The path of a folder that an export may take. Raises as :func:`s2ct_convert.paths.check_own_folder`."""
    return check_own_folder(folder, "an export", _names, overwrite=overwrite)


def _names(target: Path) -> set[str]:
    """Names of the files that an earlier export wrote there."""
    try:
        document = read_json(target / LIST)
        return {LIST, *document["files"]} if document["s2ct_export"] else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _document(selection: Selection, done: ExportedFolder) -> dict[str, object]:
    sizes = {
        one.path.name: {"samples": one.samples, "observations": one.observations, "bytes": one.bytes}
        for one in done.files
    }
    return {"s2ct_export": __version__, "format": done.format, **about(selection), "files": sizes}
