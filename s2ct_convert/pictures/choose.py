"""Chooses the sample of a contact sheet, and the observations that it shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from ..names import fold_split, fold_tile
from ..reading.store import Store
from ..store.layout import LABELS

VARIED = 5  # classes in a sample that is worth showing


@dataclass(frozen=True)
class Choice:
    """A sample, its rows in the unit, and why it was chosen."""

    unit: str
    localid: int
    rows: slice
    why: str


class Which(TypedDict, total=False):
    """The user's selection of a sample; see :func:`choose_sample`."""

    tiles: Iterable[str]
    splits: Iterable[str]
    sample: int | None
    random: bool


def choose_sample(
    store: Store,
    *,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    sample: int | None = None,
    random: bool = False,
    seed: int = 0,
) -> Choice:
    """Choose a sample with at least one observation. Reads only the index of the store.

    Parameters
    ----------
    store : Store
    tiles, splits : iterable of str
        Only samples of these.
    sample : int, optional
        The localid of the sample. Two tiles may have the same localid; then give ``tiles`` or ``splits`` too.
    random : bool
        Draw a random sample; by default, take the first with many classes.
    seed : int
        Seed for ``random``.

    Raises
    ------
    WrongUsage
        If there is no such sample, or more than one.
    """
    index = store.index
    tiles, splits = list(map(fold_tile, tiles)), list(map(fold_split, splits))
    names = [f"{store.splits[s]}/{store.tiles[t]}" for s, t in zip(index["split"], index["tile"], strict=True)]
    asked = [*(f"--tile {tile}" for tile in tiles), *(f"--split {split}" for split in splits)]
    chosen = [one for one in store.units if _is_of(one, tiles, splits)]
    take = np.isin(names, chosen) if chosen else np.zeros(len(names), bool)
    if asked and not take.any():
        raise WrongUsage(
            "the store has no such samples", where=str(store.path), expected=", ".join(store.units),
            found=" ".join(asked), todo="choose one of these",
        )  # fmt: skip
    if sample is not None:
        rows = np.flatnonzero(take & (index["localid"] == sample))
        return _asked_for(store, names, rows, sample, chosen, " ".join(asked))
    rows = np.flatnonzero(take & (index["row_size"] > 0))
    if not len(rows):
        raise WrongUsage("there are no observations to show", where=str(store.path), found=" ".join(asked))
    if random:
        row = int(np.random.default_rng(seed).choice(rows))
        why = f"drawn from {len(rows):,} with seed {seed}"
    else:
        row, why = _varied(rows, index["label_count"])
    return Choice(names[row], int(index["localid"][row]), _rows(store, row), why)


def _rows(store: Store, row: int) -> slice:
    start, size = (int(store.index[name][row]) for name in ("row_start", "row_size"))
    return slice(start, start + size)


def _is_of(unit: str, tiles: Collection[str], splits: Collection[str]) -> bool:
    split, tile = unit.split("/")
    return (not tiles or tile in tiles) and (not splits or split in splits)


def _asked_for(
    store: Store, names: list[str], rows: npt.NDArray[np.intp], localid: int, chosen: list[str], asked: str
) -> Choice:
    if not len(rows):
        localids = np.unique(np.concatenate([store[name].localid for name in chosen]))
        some = ", ".join(str(one) for one in localids[:8])
        raise WrongUsage(
            f"there is no sample {localid}{f' with {asked}' if asked else ''}",
            where=str(store.path),
            expected=f"{some}{f' or one of {len(localids) - 8:,} more' if len(localids) > 8 else ''}",
            todo="choose one of these",
        )
    units = {names[row] for row in rows}
    if len(units) > 1:
        raise WrongUsage(
            f"sample {localid} is in more than one unit",
            where=str(store.path),
            found=", ".join(sorted(units)),
            todo="choose one with --tile and --split",
        )
    why = f"the first of {len(rows)} without localid" if len(rows) > 1 else "as requested"
    sizes = store.index["row_size"][rows]
    row = int(rows[np.argmax(sizes > 0)])  # all samples without a localid have -1
    if not store.index["row_size"][row]:
        raise WrongUsage(f"sample {localid} of {names[row]} has no observations", where=str(store.path))
    return Choice(names[row], localid, _rows(store, row), why)


def _varied(rows: npt.NDArray[np.intp], counts: npt.NDArray[np.int32]) -> tuple[int, str]:
    classes = np.count_nonzero(counts[rows], axis=1)
    if (classes >= VARIED).any():
        why = f"the first with at least {VARIED} of the {len(LABELS)} classes"
        return int(rows[np.argmax(classes >= VARIED)]), why
    most = classes.max()
    return int(rows[np.argmax(classes)]), f"the first with {most} class{'' if most == 1 else 'es'}; none has more"


def spread(n: int, limit: int) -> npt.NDArray[np.intp]:
    """At most ``limit`` of ``n`` observations, evenly along the series, including the first and the last."""
    if n <= limit:
        return np.arange(n)
    return np.rint(np.linspace(0, n - 1, limit)).astype(np.intp) if limit > 1 else np.zeros(1, np.intp)
