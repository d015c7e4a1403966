"""Samples of a store as a table with one row per sample: its filters, and its parts for a cross-validation."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsIndex

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..errors import MissingPackage
from ..version import install_advice
from .display import ROWS, Shown, Summary, label_names, many
from .filters import Dates, Labels, Names, Numbers, as_list, class_numbers, days, known, numbers
from .folds import group_folds, leave_out

if TYPE_CHECKING:
    import pandas


CENTRE = ("tile_lon", "tile_lat")  # columns that follow from the tile
By = Literal["tile", "unit", "sample"]


class Fold(NamedTuple):
    """One part of a cross-validation: samples to train on, and samples to test on."""

    name: str
    train: Samples
    test: Samples

    def __repr__(self) -> str:
        return f"<Fold {self.name}: train on {len(self.train):,} samples, test on {len(self.test):,}>"


@dataclass(frozen=True, repr=False)
class Samples(Shown):
    """All or some samples of a store.

    ``len`` and iteration are over rows; ``samples["localid"]`` is a column, ``samples[3]`` a row.
    The columns ``tile_lon`` and ``tile_lat`` are the centre of the tile in degrees, NaN where it is unknown. Samples
    have no coordinates.

    Attributes
    ----------
    rows : structured ndarray
        One row per sample, sorted by split, tile and localid. Fields: ``split``, ``tile`` (text), ``localid``,
        ``row_start``, ``row_size`` (place of its observations in its unit), ``time_first``, ``time_last``
        (datetime64[D], NaT if it has no dated observation), ``label_count`` (one number per class).
    splits, tiles, classes : tuple of str
        All splits, tiles and classes of the store.
    dataset : Dataset

    Examples
    --------
    >>> cloudy = store.samples.where(tile="50SMG", label="opaque_cloud")  # doctest: +SKIP
    >>> cloudy["localid"]  # doctest: +SKIP
    """

    rows: npt.NDArray[Any]
    splits: tuple[str, ...]
    tiles: tuple[str, ...]
    classes: tuple[str, ...] = DATASET.classes
    dataset: Dataset = DATASET

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __getitem__(self, key: Any) -> Any:
        return self._centres(CENTRE.index(key)) if isinstance(key, str) and key in CENTRE else self.rows[key]

    def _centres(self, axis: int) -> npt.NDArray[np.float64]:
        """Longitude (0) or latitude (1) of the centre of the tile of each row."""
        tiles, row = np.unique(self.rows["tile"], return_inverse=True)
        areas = [self.dataset.locate(tile) for tile in tiles.tolist()]
        return np.array([area.centre[axis] if area else np.nan for area in areas], float)[row]

    def __contains__(self, row: object) -> bool:
        """Whether this is one of the rows.

        Raises
        ------
        TypeError
            If it is not a row: ``86 in samples`` could mean several columns.
        """
        if not isinstance(row, np.void) or row.dtype != self.rows.dtype:
            raise TypeError('only a row can be in samples; ask for a column: 86 in samples["localid"]')
        return any(one.tobytes() == row.tobytes() for one in self.rows)  # == is False for rows with NaT

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
        ValueError
            If the index has no count of a label, such as ``no_label``: ``store.select(label=...)`` reads the labels.
        """
        if label is not None:
            label = as_list(label)
            if others := [one for one in label if class_numbers(one, self.classes)[0] not in range(len(self.classes))]:
                raise ValueError(f"the index has no count of label {others[0]!r}; use store.select(label=...)")
        return self.may_match(tile=tile, split=split, localid=localid, time=time, label=label)

    def may_match(
        self,
        *,
        tile: Names = None,
        split: Names = None,
        localid: Numbers = None,
        time: Dates = None,
        label: Labels = None,
    ) -> Samples:
        """As ``where``, but of labels without a count in the index every sample may have one."""
        rows = self.rows
        keep = np.ones(len(rows), bool)
        if tile is not None:
            keep &= np.isin(rows["tile"], known("tile", tile, self.tiles))
        if split is not None:
            keep &= np.isin(rows["split"], known("split", split, self.splits))
        if localid is not None:
            keep &= np.isin(rows["localid"], np.array(numbers(localid), np.int64))
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

    def are_in(self, others: Samples) -> bool:
        """Whether each of these samples, with its place, is one of the others."""
        if self.rows.dtype != others.rows.dtype:
            return False
        return {row.tobytes() for row in self.rows} <= {row.tobytes() for row in others.rows}

    def pick(self, wanted: Iterable[tuple[str, int] | int]) -> Samples:
        """The samples of a list.

        Parameters
        ----------
        wanted : iterable of (unit, localid) or localid
            Such as ``("train/50SMG", 86)``. A localid alone means the samples of all units that have it. The order
            does not matter, and a repeated sample counts once.

        Raises
        ------
        KeyError
            If one of them does not exist; the message names the first.
        TypeError
            If one of them is neither.

        Examples
        --------
        >>> store.samples.pick([("train/31TCJ", 86), ("val/31TCJ", 9)])  # doctest: +SKIP
        """
        places: dict[tuple[str, int] | int, list[int]] = {}
        for i, pair in enumerate(zip(_units(self.rows), self["localid"].tolist(), strict=True)):
            for key in (pair, pair[1]):
                places.setdefault(key, []).append(i)
        found: set[int] = set()
        for one in wanted:
            key = _key(one)
            if key not in places:
                name = f"{key[1]} of {key[0]}" if isinstance(key, tuple) else key
                raise KeyError(f"no sample {name} in these {len(self)} samples")
            found.update(places[key])
        return self._part(np.array(sorted(found), np.intp))

    def folds(self, k: int, *, by: By = "tile", seed: int = 0) -> list[Fold]:
        """Cut the samples into ``k`` parts for a cross-validation. Each sample is tested once.

        All samples of a group, such as a tile, are in the same part. Groups are shuffled and dealt out, so that parts
        differ by at most one group. The result depends only on the samples, ``k``, ``by`` and ``seed``.

        Parameters
        ----------
        k : int
        by : {"tile", "unit", "sample"}
            What stays together. Samples of a tile are alike, so "sample" tests on samples like those in training.
        seed : int

        Raises
        ------
        ValueError
            If ``k`` is below 2 or above the number of groups, or ``by`` is unknown.
        """
        parts = group_folds(self._groups(by), k, by, seed)
        return [Fold(str(i), self._part(~test), self._part(test)) for i, test in enumerate(parts)]

    def leave_one_out(self, *, by: By = "tile") -> list[Fold]:
        """One fold per group, such as a tile: test on it, train on all others. Sorted by the name of the group.

        Raises
        ------
        ValueError
            If there is only one group, or ``by`` is unknown.
        """
        groups = self._groups(by)
        return [Fold(name, self._part(~test), self._part(test)) for name, test in leave_out(groups, by)]

    def _groups(self, by: str) -> list[str]:
        """The name of the group of each row."""
        if by == "tile":
            return list(map(str, self["tile"].tolist()))
        if by == "unit":
            return _units(self.rows)
        if by == "sample":  # by place: samples without a localid share -1
            return [
                f"{unit} row {row}" for unit, row in zip(_units(self.rows), self["row_start"].tolist(), strict=True)
            ]
        raise ValueError(f"by={by!r}: samples can be grouped by tile, unit or sample")

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame with one row per sample.

        Columns: ``split``, ``tile``, ``localid``, ``row_start``, ``row_size``, ``time_first``, ``time_last``
        (datetime64[s], NaT without a date), ``tile_lon``, ``tile_lat`` (centre of the tile in degrees, NaN where it is
        unknown), and ``n_<class>`` for each class: its number of labels.

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
        columns |= {name: self[name] for name in CENTRE}
        columns |= {f"n_{name}": self["label_count"][:, i] for i, name in enumerate(self.classes)}
        return pandas.DataFrame(columns)


def _units(rows: npt.NDArray[Any]) -> list[str]:
    """The name of the unit of each row."""
    return [f"{split}/{tile}" for split, tile in zip(rows["split"].tolist(), rows["tile"].tolist(), strict=True)]


def _key(wanted: Any) -> tuple[str, int] | int:
    """A localid, or a unit and a localid."""
    if isinstance(wanted, SupportsIndex):
        return operator.index(wanted)
    if isinstance(wanted, tuple) and len(wanted) == 2 and isinstance(wanted[0], str):
        return wanted[0], operator.index(wanted[1])
    raise TypeError(f"a sample is given by its localid or by (unit, localid), not by {wanted!r}")
