"""Puts a finished new store in the place of an old one, also if it is killed at any step.

With ``--overwrite``, a new store is made in the folder ``<store>.new/``, under the same name and with a ledger of its
own. Until it is finished, nothing of the old store changes. Then ``swap.json`` is written, which lists what the new
store consists of. From then on the swap only goes forward: every part of the old store moves to ``<store>.new/old/``,
and every new part to its place, by one rename each. The next run on the store finishes an interrupted swap first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import beside, read_json, remove, sync, write_atomic
from ..errors import DestinationExists
from ..fields import check_fields
from .entries import to_json

STORE_PARTS = ("", ".units")  # suffixes of the store; a new part is moved in right after the old one is moved away
_LEDGER, _LEASES = ".s2ct", "leases"
_OURS, _SWAP, _OLD = "s2ct-new-store", "swap.json", "old"


@dataclass(frozen=True)
class _NewParts:
    """What a new store consists of: suffixes of the store, and names in its ledger."""

    store: tuple[str, ...]
    ledger: tuple[str, ...]


def new_folder(store: Path) -> Path:
    """The folder in which a new store is made."""
    return beside(store, ".new")


def new_store(store: Path) -> Path:
    """The place of the new store in that folder. It has the name of the old one, which is in its links and history."""
    return new_folder(store) / beside(store, "").name


def parts_of(store: Path) -> list[Path]:
    """The store, its unit files and its ledger, as far as they exist."""
    return [path for suffix in (*STORE_PARTS, _LEDGER) if (path := beside(store, suffix)).exists()]


def has_new(store: Path) -> bool:
    """Whether there is a new store, finished or not.

    Raises
    ------
    DestinationExists
        If something else has this name.
    """
    folder = new_folder(store)
    if not os.path.lexists(folder):
        return False
    if _is_ours(folder):
        return True
    if folder.is_dir() and all(path.name.startswith(f".{_OURS}.") for path in folder.iterdir()):
        return False  # a process was killed right after it had made the folder
    raise DestinationExists(
        "a new store is to be made here, and something else has this name",
        where=str(folder),
        todo="move it away, or choose another destination",
    )


def unfinished_note(store: Path) -> str | None:
    """A message if an unfinished new store waits; None if there is none."""
    if not _is_ours(new_folder(store)):
        return None
    return f"{store}.new holds an unfinished new store: --overwrite goes on with it; delete the folder to drop it"


def is_swapping(store: Path) -> bool:
    """Whether a swap was interrupted."""
    folder = new_folder(store)
    return _is_ours(folder) and (folder / _SWAP).exists()


def made_for(store: Path) -> str:
    """What the new store is made for, as given to :func:`start_new`."""
    return (new_folder(store) / _OURS).read_text() if has_new(store) else ""


def start_new(store: Path, purpose: str = "") -> None:
    """Make the folder for a new store; an unfinished new store in it is deleted."""
    folder = new_folder(store)
    remove(folder)
    folder.mkdir()
    write_atomic(folder / _OURS, purpose.encode())
    sync(folder.parent)


def swap(store: Path) -> None:
    """Replace a store by the new one, which must be finished. No other process may use either."""
    new = new_store(store)
    parts = tuple(suffix for suffix in STORE_PARTS if beside(new, suffix).exists())
    names = sorted(path.name for path in beside(new, _LEDGER).iterdir() if path.name != _LEASES)
    write_atomic(new_folder(store) / _SWAP, to_json(_NewParts(parts, tuple(names))))
    finish_swap(store)


def finish_swap(store: Path) -> bool:
    """Finish a swap that was interrupted, if there is one; whether there was."""
    folder = new_folder(store)
    if not _is_ours(folder) or (parts := _read(folder / _SWAP)) is None:
        return False
    old, new = folder / _OLD, new_store(store)
    (old / _LEDGER).mkdir(parents=True, exist_ok=True)
    ledger = beside(store, _LEDGER)
    ledger.mkdir(exist_ok=True)
    for suffix in STORE_PARTS:
        place = beside(store, suffix)
        _replace(place, beside(new, suffix) if suffix in parts.store else None, old / place.name)
    there = {path.name for path in ledger.iterdir()} - {_LEASES}
    for name in sorted(there | set(parts.ledger)):
        _replace(ledger / name, beside(new, _LEDGER) / name if name in parts.ledger else None, old / _LEDGER / name)
    sync(ledger)
    sync(folder.parent)
    remove(folder)
    return True


def _is_ours(folder: Path) -> bool:
    """Whether a run made the folder; if not, nothing in it is read or deleted."""
    return (folder / _OURS).is_file()


def _replace(place: Path, new: Path | None, old: Path) -> None:
    """Move what is at ``place`` to ``old``, and ``new`` to ``place``, unless that was done before."""
    if new is not None and not os.path.lexists(new):
        return
    if os.path.lexists(place):
        os.rename(place, old)
    if new is not None:
        os.rename(new, place)


def _read(path: Path) -> _NewParts | None:
    try:
        values: Any = read_json(path)
        parts = check_fields(_NewParts(tuple(values["store"]), tuple(values["ledger"])))
        if not set(parts.store) <= set(STORE_PARTS) or not all(map(_is_name, parts.ledger)):
            raise ValueError("it names other files")
        return parts
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DestinationExists(
            "cannot read which store is to take the place of another",
            where=str(path),
            found=repr(error),
            todo=f"the new store is in {path.parent}, and the old one may be in {path.parent / _OLD}: "
            f"move one back, then delete {path.parent}",
        ) from error


def _is_name(name: str) -> bool:
    """Whether it names a file in a folder."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name
