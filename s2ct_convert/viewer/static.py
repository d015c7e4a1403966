"""``s2ct view --export``: the page and the store as plain files, for any web server that answers Range requests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..durable import remove, whole_file, write_atomic
from ..errors import DestinationExists, WrongUsage
from .page import NOTICES, PREDICTIONS, STORE, TYPES, page_file
from .predictions import Given, for_page
from .view import check_viewable

_PIECE_BYTES = 4 << 20
_ROOT = "zarr.json"
_MARK = b'name="s2ct-store"'  # in our index.html


@dataclass(frozen=True)
class ExportedPage:
    """A static export.

    Attributes
    ----------
    folder : Path
    page : Path
        The file to open through a web server.
    store : Path
        Where the page looks for the store.
    files, bytes : int
        Files of the store in the export, and their size; 0 without the store.
    copied : int
        How many of these files this run copied; the others were there.
    """

    folder: Path
    page: Path
    store: Path
    files: int
    bytes: int
    copied: int


def export_view(
    store: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    with_store: bool = True,
    predictions: Given = None,
    overwrite: bool = False,
    on_total: Callable[[int], None] = lambda n: None,
    on_bytes: Callable[[int], None] = lambda n: None,
) -> ExportedPage:
    """Write the page of :func:`view`, and a copy of the store, as static files.

    The root of the store is copied last: until then, the page says that there is no store. Run it again to resume;
    files with the same size and time are not copied again.

    Parameters
    ----------
    store : path-like
        A finished Zarr store; it may be partial.
    folder : path-like
        New, empty, or with an earlier export of this store.
    with_store : bool
        False: write the page only. It looks for the store in ``folder/store``.
    predictions : path-like or Predictions, optional
        As of :func:`view`. Without it, those of an earlier export are removed.
    overwrite : bool
        Replace an export of another store.
    on_total, on_bytes : callable
        Called once with the bytes of the store, and with the number of bytes after each piece.

    Returns
    -------
    ExportedPage

    Raises
    ------
    DestinationExists
        If the folder holds something else, or another store without ``overwrite``.
    WrongUsage
        If the folder is inside the store, or a part of the store is a symbolic link; and as :func:`view`.
    """
    path, target = check_viewable(store), Path(folder)
    given = for_page(predictions, path)
    _check_target(path, target, with_store=with_store, overwrite=overwrite)
    target.mkdir(parents=True, exist_ok=True)
    if given is None:
        (target / PREDICTIONS).unlink(missing_ok=True)
    else:
        write_atomic(target / PREDICTIONS, given.document())
    for name in (*TYPES, NOTICES):
        write_atomic(target / name, page_file(name, predictions=given is not None))
    files: dict[str, int] = {}
    copied = 0
    if with_store:
        files = dict(_files(path))
        on_total(sum(files.values()))
        copied = sum(_copy(path / name, target / STORE / name, on_bytes) for name in files)
    return ExportedPage(target, target / "index.html", target / STORE, len(files), sum(files.values()), copied)


def _check_target(store: Path, folder: Path, *, with_store: bool, overwrite: bool) -> None:
    if folder.resolve().is_relative_to(store.resolve()):
        raise WrongUsage("the export cannot be inside the store", where=str(folder), todo="choose another folder")
    if not folder.exists():
        return
    page = folder / "index.html"
    ours = page.is_file() and _MARK in page.read_bytes()
    if not folder.is_dir() or not (ours or not any(folder.iterdir())):
        raise DestinationExists(
            "this is not an export of s2ct view", where=str(folder), todo="choose a new or an empty folder"
        )
    copy = folder / STORE
    if not with_store or not copy.exists():
        return
    if copy.samefile(store):
        raise WrongUsage("the export holds this store already", where=str(copy), todo="give --no-store")
    if _digest(copy) not in (None, _digest(store)):
        if not overwrite:
            raise DestinationExists(
                "the export holds another store", where=str(copy), todo="choose another folder, or give --overwrite"
            )
        remove(copy)


def _digest(store: Path) -> str | None:
    """The content digest of a store; None if it has no root yet."""
    try:
        return str(json.loads((store / _ROOT).read_bytes())["attributes"]["content_digest"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return ""


def _files(store: Path) -> Iterator[tuple[str, int]]:
    """Files of the store with their sizes, the root last."""
    for folder, inner, names in os.walk(store):
        inner.sort()
        for name in sorted([*names, *(one for one in inner if Path(folder, one).is_symlink())]):
            path = Path(folder, name)
            if path.is_symlink():
                raise WrongUsage(
                    "a part of the store is a symbolic link", where=str(path), todo="put a copy in its place"
                )
            if not name.startswith(".") and path != store / _ROOT:
                yield path.relative_to(store).as_posix(), path.stat().st_size
    yield _ROOT, (store / _ROOT).stat().st_size


def _is_copy(source: Path, target: Path) -> bool:
    try:
        one, other = source.stat(), target.stat()
    except FileNotFoundError:
        return False
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _copy(source: Path, target: Path, on_bytes: Callable[[int], None]) -> bool:
    """Copy a file with its time, unless the copy is there. Whether it was copied."""
    status = source.stat()
    if _is_copy(source, target):
        on_bytes(status.st_size)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as file, whole_file(target) as out:
        while piece := file.read(_PIECE_BYTES):
            out.write(piece)
            on_bytes(len(piece))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return True
