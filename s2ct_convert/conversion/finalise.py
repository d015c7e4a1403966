"""Makes a store of finished units: the index over all samples and the root attributes. Can be run again any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..durable import remove
from ..errors import Incomplete, NotAStore, from_os_error
from ..missing import NO_DAY
from ..names import UnitName
from ..reading.store import open_store
from ..store.container import Container
from ..store.digest import TABLES_DIGEST, store_digest, tables_digest
from ..store.groups import Group, make_group, tables_of
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
    except (Incomplete, NotAStore):
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
    digest = expected_digest(ledger, units)
    state = STATE_PARTIAL if missing else STATE_COMPLETE
    attributes = root_attributes(state=state, version=__version__, command=command, units=len(units), digest=digest)
    if missing:
        attributes["missing_units"] = " ".join(map(str, missing))
    index = _index(container, units)
    attributes[TABLES_DIGEST] = tables_digest(attributes, tables_of(index))
    work = ledger.work_path("final")
    try:
        container.finalise(units, index, attributes, work)
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


def _index(container: Container, units: list[UnitName]) -> Group:
    """The index; units come sorted by split and tile, samples in a unit by localid."""
    parts: list[dict[str, npt.NDArray[np.generic]]] = []
    splits, tiles = (tuple(sorted(set(names))) for names in zip(*((u.split, u.tile) for u in units), strict=True))
    arrays = index_arrays(splits, tiles)
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
                "label_count": _label_count(columns["label"], columns["row_start"]),
            }
        )
    index = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    undated = bool((index["time_first"] == NO_DAY).any())
    return make_group(index_arrays(splits, tiles, undated=undated), index, {}, {})


def _first_last(
    time: npt.NDArray[np.generic], row_start: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """First and last date of each sample, whose dates come first and are sorted; ``NO_DAY`` where it has none."""
    low = row_start[:-1].astype(np.int64)
    dated = np.append(0, np.cumsum(time != NO_DAY))
    high = low + np.diff(dated[row_start.astype(np.int64)])
    padded = np.append(time, np.int32(NO_DAY)).astype(np.int32)
    some = high > low
    first, last = np.where(some, padded[low], NO_DAY), np.where(some, padded[high - 1], NO_DAY)
    return first.astype(np.int32), last.astype(np.int32)


def _label_count(label: npt.NDArray[np.generic], row_start: npt.NDArray[np.generic]) -> npt.NDArray[np.int32]:
    """Labels of each class per sample, shape (samples, classes)."""
    flat = label.reshape(len(label), math.prod(label.shape[1:]))
    per_obs = np.stack([np.count_nonzero(flat == k, axis=1) for k in range(len(LABELS))], axis=1)
    running = np.vstack([np.zeros((1, len(LABELS)), np.int64), np.cumsum(per_obs, axis=0)])
    bounds = row_start.astype(np.int64)
    counts: npt.NDArray[np.int32] = (running[bounds[1:]] - running[bounds[:-1]]).astype(np.int32)
    return counts
