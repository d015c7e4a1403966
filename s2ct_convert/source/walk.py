"""Walks a folder for files that may be sources, and notes the files that it skips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..archives.file_kind import is_archive, read_head
from ..archives.stream import SourceReader
from ..paths import special_kind
from .found import some
from .kind import is_tfrecord
from .unfinished import is_unfinished

UNFINISHED, SPECIAL, HIDDEN, STORES = "unfinished downloads", "not files", "hidden", "Zarr stores"


class Walk:
    """One walk through a folder and its subfolders, in sorted order. Links are followed.

    After the walk, ``notes`` lists the skipped paths: unfinished downloads, pipes and devices, hidden folders, hidden
    files that look like sources, Zarr stores. Ledgers, unit files and unfinished new stores are skipped without a note.
    """

    def __init__(self, folder: Path, on_error: Callable[[OSError], None]) -> None:
        self._folder, self._on_error = folder, on_error
        self._left: dict[str, list[str]] = {UNFINISHED: [], SPECIAL: [], HIDDEN: [], STORES: []}

    def __iter__(self) -> Iterator[Path]:
        visited: set[Path] = set()  # links may form a circle
        for root, folders, files in os.walk(self._folder, followlinks=True, onerror=self._on_error):
            here = Path(root)
            if (real := here.resolve()) in visited:
                folders.clear()
                continue
            visited.add(real)
            folders[:] = sorted(name for name in folders if self._enters(here / name))
            for name in sorted(files):
                if self._takes(here / name):
                    yield here / name

    @property
    def notes(self) -> list[str]:
        return [f"{self._folder}: skipped {some(sorted(names))}, {kind}" for kind, names in self._left.items() if names]

    def _enters(self, folder: Path) -> bool:
        if is_unfinished(folder):
            return self._leave(UNFINISHED, folder)
        if (folder / "zarr.json").exists():
            return self._leave(STORES, folder)
        if folder.name.startswith("."):
            return self._leave(HIDDEN, folder)
        return not (_is_ledger(folder) or _has_units(folder) or _is_new_store(folder))

    def _takes(self, file: Path) -> bool:
        if kind := special_kind(file):
            return self._leave(SPECIAL, file, f" ({kind})")
        if is_unfinished(file):
            return self._leave(UNFINISHED, file)
        if file.name.startswith("."):
            return self._leave(HIDDEN, file) if _looks_like_a_source(file) else False
        return True  # includes a broken link, which is reported when it is opened

    def _leave(self, kind: str, path: Path, more: str = "") -> bool:
        self._left[kind].append(f"{path.relative_to(self._folder).as_posix()}{more}")
        return False


def _is_ledger(folder: Path) -> bool:
    return folder.suffix == ".s2ct" and (folder / "store.json").exists()


def _has_units(folder: Path) -> bool:
    """Whether the folder holds the unit files of an HDF5 store beside it."""
    return folder.suffix == ".units" and (folder.with_suffix("").is_file() or _is_ledger(folder.with_suffix(".s2ct")))


def _is_new_store(folder: Path) -> bool:
    """Whether the folder holds an unfinished store that ``--overwrite`` makes."""
    return folder.suffix == ".new" and (folder / "s2ct-new-store").is_file()


def _looks_like_a_source(file: Path) -> bool:
    try:
        with SourceReader(file, with_md5=False) as stream:
            if is_archive(read_head(stream)):
                return True
            stream.seek(0)
            return is_tfrecord(stream)
    except OSError:
        return True  # an unreadable file is noted, not ignored
