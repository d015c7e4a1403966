"""Compares the index of a store with its units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dataset import Dataset
from ..missing import NO_DAY
from ..reading.store import Store
from ..reading.unit import Unit
from ..store.layout import index_arrays
from .findings import Finding
from .tables import check_tables, read_tables

_SPLITS_OF_LAYOUT_1 = ("train", "val")  # layout 1 numbers both even if one has no units


def check_index(store: Store, units: Sequence[Unit]) -> Iterator[Finding]:
    """Differences between the index and the units. An unfinished store has no index and no differences."""
    if not store.finished:
        return
    splits, tiles = numbered_names(store, units)
    dataset = store.dataset
    expected = _expected(units, splits, tiles, dataset)
    undated = bool((expected["time_first"] == NO_DAY).any())
    specs = index_arrays(splits, tiles, undated=undated, layout=store.layout, dataset=dataset)
    tables = read_tables(store.tree.group("index"), [spec.name for spec in specs])
    lengths = {"class": len(dataset.classes), "sample": sum(len(unit.localid) for unit in units)}
    yield from check_tables(tables, specs, lengths, store.attributes, "index")
    for table in tables:
        if table.data is None or not np.array_equal(table.data, expected[table.name]):
            yield Finding(f"{table.name} differs from the units", "index")


def numbered_names(store: Store, units: Sequence[Unit]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Splits and tiles, in the order in which the index numbers them."""
    splits, tiles = (tuple(sorted(set(n))) for n in ([u.name.split for u in units], [u.name.tile for u in units]))
    if set(splits) < set(_SPLITS_OF_LAYOUT_1) and _recorded_splits(store) == _SPLITS_OF_LAYOUT_1:
        splits = _SPLITS_OF_LAYOUT_1
    return splits, tiles


def _recorded_splits(store: Store) -> tuple[str, ...]:
    try:
        return store.splits
    except Exception:  # no index, or a damaged one, which check_index reports
        return ()


def _expected(
    units: Sequence[Unit], splits: tuple[str, ...], tiles: tuple[str, ...], dataset: Dataset
) -> dict[str, npt.NDArray[Any]]:
    """The expected index, computed from the units sample by sample."""
    rows: dict[str, list[Any]] = {spec.name: [] for spec in index_arrays((), ())}
    number = {tile: i for i, tile in enumerate(tiles)}
    for unit in units:
        for i, localid in enumerate(unit.localid.tolist()):
            low, high = unit.row_start[i : i + 2].tolist()
            time, label = unit.time[low:high], unit.label[low:high]
            time = time[time != NO_DAY]
            rows["split"].append(splits.index(unit.name.split))
            rows["tile"].append(number[unit.name.tile])
            rows["localid"].append(localid)
            rows["row_start"].append(low)
            rows["row_size"].append(high - low)
            none = 0 if unit.layout == 1 else NO_DAY
            rows["time_first"].append(int(time[0]) if len(time) else none)
            rows["time_last"].append(int(time[-1]) if len(time) else none)
            rows["label_count"].append([np.count_nonzero(label == k) for k in range(len(dataset.classes))])
    shape = {"label_count": (-1, len(dataset.classes))}
    return {name: np.array(values).reshape(shape.get(name, (-1,))) for name, values in rows.items()}
