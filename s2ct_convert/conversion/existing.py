"""What is at a destination: what ``--overwrite`` would replace or delete."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..durable import size_of
from ..errors import S2ctError
from ..reading.opening import is_ours, open_store
from ..units.ledger import Ledger


@dataclass(frozen=True)
class Existing:
    """A store and the files that belong to it.

    Attributes
    ----------
    paths : tuple of Path
        The store, its unit files and its ledger, as far as they exist.
    units : tuple of str
        Its units; empty if it is too damaged to list them.
    bytes : int
        Size of all these files.
    """

    paths: tuple[Path, ...]
    units: tuple[str, ...]
    bytes: int


def find_existing(store: Path) -> Existing | None:
    """What ``overwrite`` replaces at a destination; None if there is nothing that it may replace."""
    ledger = Ledger(store)
    if not ledger.exists() and not _is_store(store):
        return None
    # Not beside(), whose paths are absolute: the user is shown what was typed.
    paths = tuple(path for name in ("", ".units", ".s2ct") if (path := Path(f"{store}{name}")).exists())
    return Existing(paths, _units(store, ledger), sum(map(size_of, paths)))


def _is_store(store: Path) -> bool:
    if not store.exists():
        return False
    try:
        return is_ours(store)
    except S2ctError:  # damaged or locked: the conversion itself refuses or reports it
        return False


def _units(store: Path, ledger: Ledger) -> tuple[str, ...]:
    with suppress(S2ctError), open_store(store, allow_incomplete=True) as opened:
        return tuple(opened.units)
    with suppress(S2ctError):
        return tuple(str(unit) for unit in ledger.planned() if ledger.entry(unit))
    return ()
