"""Writes the index over all samples and the root attributes of a store. Safe to run again at any time."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import Incomplete, NotAStore, StoreDamaged, from_os_error
from ..events import OnEvent
from ..missing import NO_DAY
from ..names import UnitName, printable
from ..reading.opening import open_store
from ..store.container import Container
from ..store.digest import TABLES_DIGEST, store_digest, tables_digest
from ..store.extent import store_extent
from ..store.groups import Content, make_content, tables_of
from ..store.layout import STATE_COMPLETE, STATE_INCOMPLETE, STATE_PARTIAL, index_arrays
from ..store.root import root_attributes
from ..version import __version__
from .events import Finalising
from .ledger import Ledger


def complete(
    container: Container,
    ledger: Ledger,
    command: str,
    units: Sequence[UnitName],
    on_event: OnEvent,
    refused: Collection[str] = (),
) -> str:
    """Finalise a store of these units, unless it is finalised already; return its digest.

    Every unit must be done. ``refused`` names sources that were given and are not in the store, although their units
    are.
    """
    try:
        digest = expected_digest(ledger, units)
        wanted = {"content_digest": digest, **_completeness(ledger, units, refused)}
        if container.has_unmerged(units) or _stated(finished(ledger.store)) != wanted:
            on_event(Finalising())
            digest = finalise(container, ledger, command, units, refused)
        container.tidy(units)
        return digest
    except OSError as error:
        raise from_os_error(error, container.where) from error


def finished(store: Path) -> dict[str, Any] | None:
    """Root attributes of a finished store, complete or partial; None if it is not finished or is damaged."""
    try:
        with open_store(store, allow_incomplete=True) as opened:
            _ = opened.samples  # reading the index checks it and the root
            return opened.attributes if opened.finished else None
    except (Incomplete, NotAStore, StoreDamaged):  # it will be finalised again
        return None


def reopen(container: Container, ledger: Ledger) -> None:
    """Mark a finished store as incomplete, before anything in it changes.

    An HDF5 file is marked only if it holds links, since its units change behind it. Any other HDF5 file does not
    change until a new file replaces it.
    """
    if finished(ledger.store) is not None:
        container.begin(ledger.planned(), unfinished_attributes(container))


def unfinished_attributes(container: Container, command: str = "") -> dict[str, Any]:
    """Root attributes of a store that is not finished."""
    return root_attributes(
        state=STATE_INCOMPLETE, version=__version__, command=command, units=0, digest="", dataset=container.dataset
    )


def _completeness(ledger: Ledger, units: Sequence[UnitName], refused: Collection[str]) -> dict[str, str]:
    """Root attributes on completeness: the state and, if it is partial, what is missing."""
    missing = " ".join(map(str, sorted(set(ledger.planned()) - set(units))))
    gaps = {
        "missing_units": missing,
        "refused_sources": ", ".join(sorted(map(printable, refused))),
        "salvaged_units": " ".join(salvaged_units(ledger, units)),
    }
    gaps = {name: text for name, text in gaps.items() if text}
    return {"state": STATE_PARTIAL if gaps else STATE_COMPLETE, **gaps}


def salvaged_units(ledger: Ledger, units: Sequence[UnitName]) -> list[str]:
    """Those of these units that were salvaged from damaged sources."""
    return sorted(str(unit) for unit in units if (entry := ledger.entry(unit)) and entry.salvaged)


def _stated(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The root attributes on content and completeness, of those in the store."""
    names = ("content_digest", "state", "missing_units", "refused_sources", "salvaged_units")
    return {name: attributes[name] for name in names if name in attributes} if attributes else {}


def finalise(
    container: Container, ledger: Ledger, command: str, units: Sequence[UnitName], refused: Collection[str] = ()
) -> str:
    """Write the index and the root. Then the store is complete, or partial if something is missing.

    Parameters
    ----------
    command : str
        The command that made the store, for its ``history``.
    refused : collection of str
        Names of sources that are not in the store, although their units are.

    Returns
    -------
    digest : str
        Content digest of the store.
    """
    units = sorted(units)
    for unit in units:
        _check(container, ledger, unit)
    reopen(container, ledger)
    for unit in set(ledger.planned()) - set(units):
        container.set_aside(unit)  # without an entry, a unit is not in the index
    digest, completeness = expected_digest(ledger, units), _completeness(ledger, units, refused)
    attributes = root_attributes(
        state=completeness.pop("state"), version=__version__, command=command, units=len(units), digest=digest,
        dataset=container.dataset,
    )  # fmt: skip
    attributes |= {**completeness, **store_extent(container.dataset.locate(unit.tile) for unit in units)}
    index = _index(container, units)
    attributes[TABLES_DIGEST] = tables_digest(attributes, tables_of(index))
    container.finalise(units, index, attributes)
    return digest


def _check(container: Container, ledger: Ledger, unit: UnitName) -> None:
    """Check that a unit in the store has the digest of its entry, even if several processes worked on it."""
    entry = ledger.entry(unit)
    if entry is None or container.digest(unit) != entry.digest:
        ledger.forget(unit)
        raise Incomplete(
            "the unit in the store is not the one in the ledger",
            where=f"{container.where}: {unit}",
            todo="run the same command again; it makes the unit again",
        )


def expected_digest(ledger: Ledger, units: Sequence[UnitName]) -> str:
    """Content digest of a store of these units. Each unit must have an entry."""
    entries = [entry for unit in units if (entry := ledger.entry(unit))]
    assert len(entries) == len(units), "each unit must have an entry"
    return store_digest({entry.unit: entry.digest for entry in entries})


def _index(container: Container, units: list[UnitName]) -> Content:
    """The index; units are sorted by split and tile, samples in a unit by localid."""
    parts: list[dict[str, npt.NDArray[np.generic]]] = []
    splits, tiles = (tuple(sorted(set(names))) for names in zip(*((u.split, u.tile) for u in units), strict=True))
    dataset = container.dataset
    arrays = index_arrays(splits, tiles, dataset=dataset)
    dtype = {spec.name: spec.dtype for spec in arrays}
    split, tile = ({name: i for i, name in enumerate(names)} for names in (splits, tiles))
    for unit in units:
        columns = container.columns(unit, ("localid", "row_start", "row_size", "time", "label"))
        n = len(columns["localid"])
        first, last = _first_last(columns["time"], columns["row_start"])
        parts.append(
            {
                "split": np.full(n, split[unit.split], dtype["split"]),
                "tile": np.full(n, tile[unit.tile], dtype["tile"]),
                "localid": columns["localid"],
                "row_start": columns["row_start"][:-1],
                "row_size": columns["row_size"],
                "time_first": first,
                "time_last": last,
                "label_count": _label_count(columns["label"], columns["row_start"], len(dataset.classes)),
            }
        )
    index = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    undated = bool((index["time_first"] == NO_DAY).any())
    return make_content(index_arrays(splits, tiles, undated=undated, dataset=dataset), index, {}, {})


def _first_last(
    time: npt.NDArray[np.generic], row_start: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """First and last date of each sample; ``NO_DAY`` if it has none. Its dates are sorted, missing ones last."""
    low = row_start[:-1].astype(np.int64)
    dated = np.append(0, np.cumsum(time != NO_DAY))
    high = low + np.diff(dated[row_start.astype(np.int64)])
    padded = np.append(time, np.int32(NO_DAY)).astype(np.int32)
    some = high > low
    first, last = np.where(some, padded[low], NO_DAY), np.where(some, padded[high - 1], NO_DAY)
    return first.astype(np.int32), last.astype(np.int32)


def _label_count(
    label: npt.NDArray[np.generic], row_start: npt.NDArray[np.generic], classes: int
) -> npt.NDArray[np.int32]:
    """Count of the labels of each class per sample, shape (samples, classes)."""
    flat = label.reshape(len(label), math.prod(label.shape[1:]))
    per_obs = np.stack([np.count_nonzero(flat == k, axis=1) for k in range(classes)], axis=1)
    running = np.vstack([np.zeros((1, classes), np.int64), np.cumsum(per_obs, axis=0)])
    bounds = row_start.astype(np.int64)
    counts: npt.NDArray[np.int32] = (running[bounds[1:]] - running[bounds[:-1]]).astype(np.int32)
    return counts
