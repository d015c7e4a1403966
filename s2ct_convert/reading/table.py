"""The index of a store as a table with one row per sample, and its filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET
from ..errors import StoreDamaged
from ..missing import NO_DAY, NO_LABEL
from ..store.digest import Table
from ..store.layout import NO_LABEL_NAME


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


INDEX_ARRAYS = ("split", "tile", "localid", "row_start", "row_size", "time_first", "time_last", "label_count")

Names = str | Iterable[str] | None
Numbers = int | Iterable[int] | None
Labels = str | int | Iterable[str | int] | None
Dates = slice | str | np.datetime64 | None


class Where(TypedDict, total=False):
    """Arguments of :meth:`Samples.where`."""

    tile: Names
    split: Names
    localid: Numbers
    time: Dates
    label: Labels


@dataclass(frozen=True)
class Samples:
    """All or some samples of a store.

    Attributes
    ----------
    rows : structured ndarray
        One row per sample, sorted by split, tile and localid. Fields: ``split``, ``tile`` (text), ``localid``,
        ``row_start``, ``row_size`` (place of its observations in its unit), ``time_first``, ``time_last``
        (datetime64[D], NaT if it has no dated observation), ``label_count`` (one number per class).
    splits, tiles, classes : tuple of str
        All splits, tiles and classes of the store.

    Examples
    --------
    >>> cloudy = store.samples.where(tile="50SMG", label="opaque_cloud")  # doctest: +SKIP
    >>> cloudy["localid"]  # doctest: +SKIP
    """

    rows: npt.NDArray[Any]
    splits: tuple[str, ...]
    tiles: tuple[str, ...]
    classes: tuple[str, ...] = DATASET.classes

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __getitem__(self, key: Any) -> Any:
        return self.rows[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=bool(copy)) if dtype or copy else self.rows

    def where(
        self,
        *,
        tile: Names = None,
        split: Names = None,
        localid: Numbers = None,
        time: Dates = None,
        label: Labels = None,
    ) -> Samples:
        """The samples that match all arguments.

        Parameters
        ----------
        tile, split, localid : one or several, optional
        time : slice of dates, or one date, optional
            Samples whose series overlaps this period. Both ends are included; ``"2018-06"`` is the whole month.
        label : name or number, or several, optional
            Samples with at least one label of any of these classes.

        Raises
        ------
        KeyError
            If the store does not have a tile, split or class.
        """
        rows = self.rows
        keep = np.ones(len(rows), bool)
        if tile is not None:
            keep &= np.isin(rows["tile"], _known("tile", tile, self.tiles))
        if split is not None:
            keep &= np.isin(rows["split"], _known("split", split, self.splits))
        if localid is not None:
            keep &= np.isin(rows["localid"], np.atleast_1d(np.asarray(_list(localid), np.int64)))
        if time is not None:
            first, last = days(time)
            # Comparisons with NaT are False.
            keep &= (rows["time_first"] <= last) & (rows["time_last"] >= first)
        if label is not None:
            wanted = class_numbers(label, self.classes)
            if all(0 <= one < len(self.classes) for one in wanted):  # the index has no counts for other labels
                keep &= rows["label_count"][:, wanted].any(axis=1)
        return Samples(rows[keep], self.splits, self.tiles, self.classes)


def make_samples(index: Mapping[str, Table]) -> Samples:
    """Make the table from the arrays of the index.

    Raises
    ------
    StoreDamaged
        If arrays are missing or contradict each other.
    """
    try:
        splits, tiles = flag_meanings(index["split"]), flag_meanings(index["tile"])
        classes = tuple(str(index["label_count"].attributes["classes"]).split())
        data = {name: index[name].data for name in INDEX_ARRAYS}
        return Samples(_rows(data, sample_dtype(splits, tiles, len(classes)), splits, tiles), splits, tiles, classes)
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
        rows[name] = np.where(known, index[name].astype("M8[D]"), np.datetime64("NaT"))
    return rows


def flag_meanings(table: Table) -> tuple[str, ...]:
    """The meanings of the values of an array (CF 3.5)."""
    return tuple(str(table.attributes["flag_meanings"]).split())


def days(time: Dates) -> tuple[np.datetime64, np.datetime64]:
    """First and last day of a slice of dates or of one date. A month or a year includes all its days."""
    start, stop = (time.start, time.stop) if isinstance(time, slice) else (time, time)
    first = np.datetime64("0001-01-01") if start is None else np.datetime64(start).astype("M8[D]")
    if stop is None:
        return first, np.datetime64("9999-12-31")
    last = np.datetime64(stop)
    if np.datetime_data(last.dtype)[0] in ("Y", "M", "W"):
        return first, (last + 1).astype("M8[D]") - 1
    return first, last.astype("M8[D]")


def class_numbers(label: Labels, classes: tuple[str, ...]) -> list[int]:
    """Class numbers for these names or numbers. Accepts any int8 number, and ``no_label`` for -1."""
    named = {NO_LABEL_NAME: NO_LABEL} | {name: number for number, name in enumerate(classes)}
    out = []
    for one in _list(label):
        if one not in named and one not in range(-128, 128):
            raise KeyError(
                f"no class {one!r}; the store has {', '.join(classes)} (0 to {len(classes) - 1}), "
                f"and {NO_LABEL_NAME} (-1)"
            )
        out.append(named[one] if isinstance(one, str) else int(one))
    return out


def _list(given: Any) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        return [given]
    return list(given)


def _known(what: str, given: Names, there: tuple[str, ...]) -> list[str]:
    for one in _list(given):
        if one not in there:
            raise KeyError(f"no {what} {one!r}; the store has {', '.join(there)}")
    return _list(given)
