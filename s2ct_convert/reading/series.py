"""The series that a reader wants: samples of a store, and which of their observations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np
import numpy.typing as npt

from .filters import Where, as_list
from .rows import Units
from .select import Keep, Selection
from .store import Store
from .table import Samples

Rows = npt.NDArray[np.int64]
Masks = Mapping[str, npt.NDArray[np.bool_]]
Chosen = Selection | Samples | Iterable[int] | Iterable[tuple[str, int]]


@dataclass(frozen=True)
class Series:
    """Samples with their selected observations.

    Attributes
    ----------
    samples : Samples
        Every sample has at least one selected observation if ``masks`` is given.
    sizes : ndarray of int64, shape (samples,)
        Number of selected observations of each sample.
    masks : mapping of str to ndarray of bool, shape (obs,), optional
        Selected observations of each unit, by its name; None selects all observations.
    begins : ndarray of int64, shape (samples,), optional
        The first observation of each sample, counted among its selected ones; None begins with the first.
    """

    samples: Samples
    sizes: npt.NDArray[np.int64]
    masks: Masks | None = None
    begins: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def digest(self) -> str:
        """SHA-256, hex, of the selection: which samples of a store, and which of their observations."""
        digest = hashlib.sha256()
        for name in ("split", "tile", "localid", "row_start"):
            digest.update(np.ascontiguousarray(self.samples.rows[name]).tobytes())
        digest.update(self.sizes.tobytes())
        for unit, mask in sorted((self.masks or {}).items()):
            digest.update(unit.encode() + np.packbits(mask).tobytes())
        return digest.hexdigest()

    def unit(self, i: int) -> str:
        """Name of the unit of a sample."""
        row = self.samples.rows[i]
        return f"{row['split']}/{row['tile']}"

    def localid(self, i: int) -> int:
        """Localid of a sample; -1 if it has none."""
        return int(self.samples.rows["localid"][i])

    def rows(self, i: int) -> Rows:
        """Selected rows of a sample in its unit, ascending."""
        low, n = (int(self.samples.rows[name][i]) for name in ("row_start", "row_size"))
        if self.masks is None:
            rows = np.arange(low, low + n)
        else:
            rows = low + np.flatnonzero(self.masks[self.unit(i)][low : low + n])
        begin = 0 if self.begins is None else int(self.begins[i])
        return rows[begin : begin + int(self.sizes[i])]


def all_series(samples: Samples) -> Series:
    """The whole series of each sample."""
    return Series(samples, samples.rows["row_size"].astype(np.int64))


def chosen_series(store: Store, chosen: Chosen | None, **where: Unpack[Where]) -> Series:
    """The observations of the chosen samples that match all arguments.

    Parameters
    ----------
    store : Store
    chosen : Selection, Samples, or iterable of localid or (unit, localid), optional
        All samples by default. Of a selection, only the observations that it selects.

    Raises
    ------
    KeyError
        If there is no such tile, split, class or sample.
    ValueError
        If the selection or the samples are from another store.
    TypeError
        If ``chosen`` is none of these.
    StoreDamaged
        If the labels or dates of a unit are damaged.
    """
    if chosen is None:
        return select_series(store, store.samples, **where)
    if isinstance(chosen, Selection):
        same = chosen.store.attributes.get("content_digest") == store.digest
        table, only = chosen.table, _masks(chosen)
    else:
        table, only = chosen if isinstance(chosen, Samples) else store.samples.pick(chosen), None
        same = table.are_in(store.samples)
    if not same:
        raise ValueError(f"these samples are from another store, not from {store.path}")
    return select_series(store, table, only, **where)


def _masks(selection: Selection) -> Masks:
    """The observations that a selection selects of each unit that has some."""
    masks = {}
    for unit, _, rows in selection.unit_rows():
        masks[str(unit.name)] = mask = np.zeros(unit.observations, bool)
        mask[np.concatenate(rows)] = True
    return masks


def select_series(store: Units, samples: Samples, only: Masks | None = None, **where: Unpack[Where]) -> Series:
    """The observations that ``store.select`` selects with the same arguments; samples without any are left out.

    Parameters
    ----------
    only : mapping of str to ndarray of bool, shape (obs,), optional
        Observations of each unit to select from; units without an entry have none.

    Raises
    ------
    KeyError
        If there is no such tile, split or class.
    StoreDamaged
        If the labels or dates of a unit are damaged.
    """
    if unknown := sorted(where.keys() - Where.__annotations__):
        raise TypeError(f"there is no argument {unknown[0]!r}; conditions are {', '.join(Where.__annotations__)}")
    table = samples.may_match(**where)
    time, label = where.get("time"), where.get("label")
    if time is None and label is None and only is None:
        return all_series(table)
    keep = Keep(time, None if label is None else tuple(as_list(label)))
    names = np.char.add(np.char.add(table.rows["split"], "/"), table.rows["tile"])
    sizes, masks = np.zeros(len(table), np.int64), {}
    for name in np.unique(names).tolist():
        unit = store.units[name]
        matching = keep.mask(unit, table.classes)
        mask = np.ones(unit.observations, bool) if matching is None else matching
        if only is not None:
            mask &= only.get(name, False)
        masks[name], before = mask, np.concatenate([[0], np.cumsum(mask)])
        mine = table.rows[names == name]
        sizes[names == name] = before[mine["row_start"] + mine["row_size"]] - before[mine["row_start"]]
    kept = replace(table, rows=table.rows[sizes > 0])
    return Series(kept, sizes[sizes > 0], masks)


def shorten(series: Series, longest: int, rng: np.random.Generator) -> Series:
    """At most ``longest`` consecutive observations of each sample, at a random place of its series."""
    sizes = np.minimum(series.sizes, longest)
    return replace(series, sizes=sizes, begins=rng.integers(0, series.sizes - sizes + 1))
