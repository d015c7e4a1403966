"""Makes a store of finished units: the index over all samples and the root attributes. Can be run again any time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..durable import remove
from ..names import SPLITS, UnitName
from ..store.container import Container
from ..store.digest import TABLES_DIGEST, make_tables, store_digest, tables_digest
from ..store.layout import LABELS, STATE_COMPLETE, index_arrays, root_attributes
from ..version import __version__
from .ledger import Ledger


def finalise(container: Container, ledger: Ledger, command: str) -> str:
    """Write index and root; the store is complete when this returns.

    Parameters
    ----------
    command : str
        What made the store, for its ``history``.

    Returns
    -------
    digest : str
        Content digest of the store.
    """
    units = sorted(ledger.planned())
    tiles = tuple(sorted({unit.tile for unit in units}))
    digest = expected_digest(ledger)
    attributes = root_attributes(
        state=STATE_COMPLETE, version=__version__, command=command, units=len(units), digest=digest
    )
    arrays, index = index_arrays(tiles), _index(container, units, tiles)
    attributes[TABLES_DIGEST] = tables_digest(attributes, make_tables(arrays, index))
    work = ledger.work_path("final")
    try:
        container.finalise(units, arrays, index, attributes, work)
    finally:
        remove(work)
    return digest


def expected_digest(ledger: Ledger) -> str:
    """Content digest of a store of all planned units, each of which has its record."""
    records = [record for unit in ledger.planned() if (record := ledger.record(unit))]
    assert len(records) == len(ledger.planned()), "a store is complete when every planned unit has its record"
    return store_digest({record.unit: record.digest for record in records})


def _index(container: Container, units: list[UnitName], tiles: tuple[str, ...]) -> dict[str, npt.NDArray[np.generic]]:
    """Columns of the index; units come sorted by split and tile, samples in a unit by localid."""
    parts: list[dict[str, npt.NDArray[np.generic]]] = []
    for unit in units:
        columns = container.columns(unit, ("localid", "row_start", "row_size", "time", "label"))
        n = len(columns["localid"])
        first, last = _first_last(columns["time"], columns["row_start"])
        parts.append(
            {
                "split": np.full(n, SPLITS.index(unit.split), np.int8),
                "tile": np.full(n, tiles.index(unit.tile), np.int16),
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
