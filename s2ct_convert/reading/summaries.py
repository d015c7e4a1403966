"""What a store and a unit show of themselves. Damage is shown too: a prompt raises no error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import S2ctError
from .display import ROWS, Summary, label_names, many, period

if TYPE_CHECKING:
    from .store import Store
    from .unit import Unit

MOST_ARRAYS = 18  # of a unit: all, if it has no published features


def store_summary(store: Store) -> Summary:
    """The state of a store, and its first units with their number of samples and observations and their dates."""
    title = f"Store {store.path}: {store.format}, {store.attributes.get('state')}"
    facts = [("lacks", store.lacks)] if store.lacks else []
    try:
        names = list(store)
        title += f", {many(len(names), 'unit')}"
        if not store.finished:
            return Summary(title, facts, ("unit",), [[name] for name in names[:ROWS]], len(names))
        rows = store.samples.rows
    except S2ctError as error:
        return Summary(title, [*facts, ("damaged", error.what)])
    title += f", {many(len(rows), 'sample')}, {many(int(rows['row_size'].sum()), 'observation')}"
    table = []
    for name in names[:ROWS]:
        split, tile = name.split("/")
        own = rows[(rows["split"] == split) & (rows["tile"] == tile)]
        dates = np.concatenate([own["time_first"], own["time_last"]])
        dates = dates[~np.isnat(dates)]
        ends: tuple[Any, Any] = (dates.min(), dates.max()) if len(dates) else ("", "")
        table.append([name, f"{len(own):,}", f"{own['row_size'].sum():,}", *ends])
    return Summary(title, facts, ("unit", "samples", "observations", "first", "last"), table, len(names))


def unit_summary(unit: Unit) -> Summary:
    """Samples, dates, labels and arrays of a unit."""
    try:
        title = f"Unit {unit.name}: {many(len(unit.localid), 'sample')}, {many(unit.observations, 'observation')}"
        classes = unit.dataset.classes
        counts = [int(np.count_nonzero(unit.label == number)) for number in range(len(classes))]
        facts = [("dates", period(unit.dates)), ("labels", label_names(counts, classes))]
        facts += [("salvaged", f"from a damaged source, with {many(len(unit.gaps), 'gap')}")] if unit.salvaged else []
        rows = [
            (one.name, one.dtype, ", ".join(f"{dim} {n:,}" for dim, n in zip(one.dims, one.shape, strict=True)))
            for one in unit.values()
        ]
    except S2ctError as error:
        return Summary(f"Unit {unit.name}", [("damaged", error.what)])
    return Summary(title, facts, ("array", "dtype", "shape"), rows[:MOST_ARRAYS], len(rows))
