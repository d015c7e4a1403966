"""Makes a store of finished units: the index over all samples and the root attributes. Can be run again any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..durable import remove
from ..errors import Incomplete, NotAStore, StoreDamaged, from_os_error
from ..names import SPLITS, UnitName
from ..reading.store import open_store
from ..store.container import Container
from ..store.digest import TABLES_DIGEST, make_tables, store_digest, tables_digest
from ..store.layout import LABELS, STATE_COMPLETE, STATE_PARTIAL, index_arrays, root_attributes
from ..version import __version__
from .events import Finalising, OnEvent
from .ledger import Ledger


def complete(container: Container, ledger: Ledger, command: str, units: Sequence[UnitName], on_event: OnEvent) -> str:
    """Finalise a store of these units, each of which is done, unless it is just that already; its digest."""
    try:
        digest = expected_digest(ledger, units)
        if container.has_unmerged(units) or finished_digest(container.path) != digest:
            on_event(Finalising())
            digest = finalise(container, ledger, command, units)
        container.tidy(units)
        return digest
    except OSError as error:
        raise from_os_error(error, str(container.path)) from error


def finished_digest(store: Path) -> str | None:
    """Digest of a store that is finished as it is."""
    try:
        with open_store(store) as opened:
            return opened.digest
    except (Incomplete, NotAStore, StoreDamaged):  # it is finalised anew
        return None


def finalise(container: Container, ledger: Ledger, command: str, units: Sequence[UnitName]) -> str:
    """Write index and root; the store is complete when this returns, or partial where other units are planned.

    Parameters
    ----------
    command : str
        What made the store, for its ``history``.

    Returns
    -------
    digest : str
        Content digest of the store.
    """
    units, missing = sorted(units), sorted(set(ledger.planned()) - set(units))
    for unit in units:
        _check(container, ledger, unit)
    tiles = tuple(sorted({unit.tile for unit in units}))
    digest = expected_digest(ledger, units)
    state = STATE_PARTIAL if missing else STATE_COMPLETE
    attributes = root_attributes(state=state, version=__version__, command=command, units=len(units), digest=digest)
    if missing:
        attributes["missing_units"] = " ".join(map(str, missing))
    arrays, index = index_arrays(tiles), _index(container, units, tiles)
    attributes[TABLES_DIGEST] = tables_digest(attributes, make_tables(arrays, index))
    work = ledger.work_path("final")
    try:
        container.finalise(units, arrays, index, attributes, work)
    finally:
        remove(work)
    return digest


def _check(container: Container, ledger: Ledger, unit: UnitName) -> None:
    """See that what stands in the place of a unit is what its record is of, whoever may have worked on it."""
    record = ledger.record(unit)
    if record is None or container.digest(unit) != record.digest:
        ledger.forget(unit)
        raise Incomplete(
            "what stands in the place of the unit is not what the ledger notes",
            where=f"{container.path}: {unit}",
            todo="run the same command again: it is made anew",
        )


def expected_digest(ledger: Ledger, units: Sequence[UnitName]) -> str:
    """Content digest of a store of these units, each of which has its record."""
    records = [record for unit in units if (record := ledger.record(unit))]
    assert len(records) == len(units), "a store is made of units that have their records"
    return store_digest({record.unit: record.digest for record in records})


def _index(container: Container, units: list[UnitName], tiles: tuple[str, ...]) -> dict[str, npt.NDArray[np.generic]]:
    """Columns of the index; units come sorted by split and tile, samples in a unit by localid."""
    parts: list[dict[str, npt.NDArray[np.generic]]] = []
    number, dtype = {tile: i for i, tile in enumerate(tiles)}, {spec.name: spec.dtype for spec in index_arrays(tiles)}
    for unit in units:
        columns = container.columns(unit, ("localid", "row_start", "row_size", "time", "label"))
        n = len(columns["localid"])
        first, last = _first_last(columns["time"], columns["row_start"])
        parts.append(
            {
                "split": np.full(n, SPLITS.index(unit.split), np.int8),
                "tile": np.full(n, number[unit.tile], dtype["tile"]),
                "localid": columns["localid"],
                "row_start": columns["row_start"][:-1],
                "row_size": columns["row_size"],
                "time_first": first,
                "time_last": last,
                "label_count": _label_count(columns["label"], columns["row_start"]),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _first_last(
    time: npt.NDArray[np.generic], row_start: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """First and last date of each sample, whose times are sorted; 0 for a sample without observations."""
    low, high = row_start[:-1].astype(np.int64), row_start[1:].astype(np.int64)
    padded = np.append(time, np.int32(0)).astype(np.int32)
    some = high > low
    return np.where(some, padded[low], 0).astype(np.int32), np.where(some, padded[high - 1], 0).astype(np.int32)


def _label_count(label: npt.NDArray[np.generic], row_start: npt.NDArray[np.generic]) -> npt.NDArray[np.int32]:
    """Labels of each class per sample, shape (samples, classes)."""
    flat = label.reshape(len(label), math.prod(label.shape[1:]))
    per_obs = np.stack([np.count_nonzero(flat == k, axis=1) for k in range(len(LABELS))], axis=1)
    running = np.vstack([np.zeros((1, len(LABELS)), np.int64), np.cumsum(per_obs, axis=0)])
    bounds = row_start.astype(np.int64)
    counts: npt.NDArray[np.int32] = (running[bounds[1:]] - running[bounds[:-1]]).astype(np.int32)
    return counts
