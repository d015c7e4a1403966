"""Makes the table of samples from the arrays of the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..errors import StoreDamaged
from ..missing import NO_DAY
from ..store.digest import Table
from .table import Samples

INDEX_ARRAYS = ("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last", "label_count")


def sample_dtype(splits: tuple[str, ...], tiles: tuple[str, ...], classes: int) -> np.dtype[np.void]:
    """The dtype of a row of the table. Text fields have at least 5 characters, and more for longer names."""
    return np.dtype(
        [
            ("split", f"U{max(5, *map(len, splits), 0)}"),
            ("tile", f"U{max(5, *map(len, tiles), 0)}"),
            ("localid", "i8"),
            ("row_start", "i8"),
            ("row_size", "i4"),
            ("time_first", "M8[D]"),
            ("time_last", "M8[D]"),
            ("label_count", "i4", (classes,)),
        ]
    )


def make_samples(index: Mapping[str, Table], dataset: Dataset = DATASET) -> Samples:
    """Make the table from the arrays of the index of a store of a data set.

    Raises
    ------
    StoreDamaged
        If arrays are missing or contradict each other.
    """
    try:
        splits, tiles = flag_meanings(index["split"]), flag_meanings(index["tile"])
        classes = tuple(str(index["label_count"].attributes["classes"]).split())
        data = {name: index[name].data for name in INDEX_ARRAYS}
        rows = _rows(data, sample_dtype(splits, tiles, len(classes)), splits, tiles)
        rows.flags.writeable = False  # all readers of a store share them
        return Samples(rows, splits, tiles, classes, dataset)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise StoreDamaged("the arrays of the index contradict each other", found=str(error)) from error


def _rows(
    index: Mapping[str, Any], dtype: np.dtype[np.void], splits: tuple[str, ...], tiles: tuple[str, ...]
) -> npt.NDArray[Any]:
    rows = np.zeros(len(index["localid"]), dtype)
    rows["split"] = np.array(splits)[index["split"]] if len(rows) else ""
    rows["tile"] = np.array(tiles)[index["tile"]] if len(rows) else ""
    for name in ("localid", "row_start", "row_size", "label_count"):
        rows[name] = index[name]
    for name in ("time_first", "time_last"):
        known = (index["row_size"] > 0) & (index[name] != NO_DAY)
        rows[name] = np.where(known, index[name].astype("M8[D]"), np.datetime64("NaT", "D"))
    return rows


def flag_meanings(table: Table) -> tuple[str, ...]:
    """The meanings of the values of an array (CF 3.5)."""
    return tuple(str(table.attributes["flag_meanings"]).split())
