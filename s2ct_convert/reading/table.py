"""Samples of a store as a table with one row per sample: and its filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET
from ..errors import MissingPackage
from ..version import install_advice
from .display import ROWS, Shown, Summary, label_names, many
from .filters import Dates, Labels, Names, Numbers, as_list, class_numbers, days, known

if TYPE_CHECKING:
    import pandas


class Where(TypedDict, total=False):
    """Arguments of :meth:`Samples.where`."""

    tile: Names
    split: Names
    localid: Numbers
    time: Dates
    label: Labels


@dataclass(frozen=True, repr=False)
class Samples(Shown):
    """All or some samples of a store.

    ``len`` and iteration are over rows; ``samples["localid"]`` is a column, ``samples[3]`` a row.

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

    def __contains__(self, row: object) -> bool:
        """Whether this is one of the rows.

        Raises
        ------
        TypeError
            If it is not a row: ``86 in samples`` could mean several columns.
        """
        if not isinstance(row, np.void) or row.dtype != self.rows.dtype:
            raise TypeError('only a row can be in samples; ask for a column: 86 in samples["localid"]')
        return bool((self.rows == row).any())

    def _summary(self) -> Summary:
        title = f"Samples: {many(len(self), 'sample')}, {many(int(self['row_size'].sum()), 'observation')}"
        facts = (("labels", label_names(self["label_count"].sum(axis=0).tolist(), self.classes)),)
        names = ("split", "tile", "localid", "row_size", "time_first", "time_last")
        rows = [[row[name] for name in names] for row in self.rows[:ROWS]]
        return Summary(title, facts, names, rows, len(self))

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
            keep &= np.isin(rows["tile"], known("tile", tile, self.tiles))
        if split is not None:
            keep &= np.isin(rows["split"], known("split", split, self.splits))
        if localid is not None:
            keep &= np.isin(rows["localid"], np.atleast_1d(np.asarray(as_list(localid), np.int64)))
        if time is not None:
            first, last = days(time)
            # Comparisons with NaT are False.
            keep &= (rows["time_first"] <= last) & (rows["time_last"] >= first)
        if label is not None:
            wanted = class_numbers(label, self.classes)
            if all(0 <= one < len(self.classes) for one in wanted):  # the index has no counts for other labels
                keep &= rows["label_count"][:, wanted].any(axis=1)
        return self._part(keep)

    def _part(self, keep: npt.NDArray[Any]) -> Samples:
        """Some of the rows, by a mask or by their numbers."""
        return replace(self, rows=self.rows[keep])

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame with one row per sample.

        Columns: ``split``, ``tile``, ``localid``, ``row_start``, ``row_size``, ``time_first``, ``time_last``
        (datetime64[s], NaT without a date), and ``n_<class>`` for each class: its number of labels.

        Raises
        ------
        MissingPackage
            If pandas is not installed.

        Examples
        --------
        >>> frame = store.samples.to_pandas()  # doctest: +SKIP
        >>> frame.groupby("tile")["n_snow"].sum()  # doctest: +SKIP
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingPackage("this needs pandas, which xarray brings", todo=install_advice("xarray")) from error
        columns = {name: self[name] for name in self.rows.dtype.names or () if name != "label_count"}
        columns |= {name: columns[name].astype("M8[s]") for name in ("time_first", "time_last")}
        columns |= {name: columns[name].tolist() for name in ("split", "tile")}
        columns |= {f"n_{name}": self["label_count"][:, i] for i, name in enumerate(self.classes)}
        return pandas.DataFrame(columns)
