"""Predictions of a model, compared with the labels of a store, for the page of ``s2ct view``."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..dataset import check_default
from ..errors import WrongUsage
from ..missing import NO_DAY
from ..paths import check_readable
from ..reading.labels import one_labels
from ..reading.opening import open_store, open_to_verify
from ..reading.unit import Unit
from ..store.layout import LABELS
from ..words import day, plural
from .prediction_file import UnitColumns, read_columns

NONE = -128  # no prediction of an observation
FORMAT = 1  # of the document for the page
FIRST = 3  # rows that a message names

Column = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Predictions for the observations of one store.

    Attributes
    ----------
    path : Path
        The file.
    store_digest : str
    units : dict of str to ndarray of int8, shape (obs,)
        For each unit with predictions, the predicted class of each observation; -128 where the file has none.
    counts : dict of str to ndarray of int64, shape (n, 4)
        For each of these units: month (1 to 12; 0 without a date), label, prediction, and number of observations.
    rows : int
        Rows of the file.
    not_in_store : int
        How many of them name a unit, a sample or a date that the store does not have. They are not used.
    examples : tuple of str
        The first of these rows, in words.
    """

    path: Path
    store_digest: str
    units: dict[str, Column]
    counts: dict[str, npt.NDArray[np.int64]]
    rows: int
    not_in_store: int
    examples: tuple[str, ...]

    @property
    def used(self) -> int:
        """Number of observations with a prediction."""
        return self.rows - self.not_in_store

    @property
    def same(self) -> int:
        """Number of predictions that are the label."""
        return sum(int(one[one[:, 1] == one[:, 2], 3].sum()) for one in self.counts.values())

    @property
    def matrix(self) -> npt.NDArray[np.int64]:
        """Labels in rows, predictions in columns: int64 of shape (6, 6). Labels outside the classes count nowhere."""
        out = np.zeros((len(LABELS), len(LABELS)), np.int64)
        for one in self.counts.values():
            inside = one[(one[:, 1] >= 0) & (one[:, 1] < len(LABELS))]
            np.add.at(out, (inside[:, 1], inside[:, 2]), inside[:, 3])
        return out

    @property
    def note(self) -> str:
        """What is said of the rows that are not in the store; empty if all are."""
        if not self.not_in_store:
            return ""
        more = f"; and {self.not_in_store - len(self.examples):,} more" * (self.not_in_store > len(self.examples))
        return (
            f"{self.not_in_store:,} of {plural(self.rows, 'row')} of {self.path.name} are not in the store: "
            f"{'; '.join(self.examples)}{more}"
        )

    def document(self) -> bytes:
        """The predictions as JSON for the page."""
        units = {
            name: {"predictions": base64.b64encode(column.tobytes()).decode(), "counts": self.counts[name].tolist()}
            for name, column in self.units.items()
        }
        about = {"format": FORMAT, "file": self.path.name, "store_digest": self.store_digest}
        numbers = {"rows": self.rows, "used": self.used, "note": self.note}
        return json.dumps({**about, **numbers, "units": units}, separators=(",", ":")).encode()


def read_predictions(path: str | os.PathLike[str], store: str | os.PathLike[str]) -> Predictions:
    """Read predictions of a model and find the observation of each.

    Parameters
    ----------
    path : path-like
        CSV, or Parquet (``.parquet``), with the columns ``unit`` (``train/50SMG``), ``localid``, ``date``
        (``YYYY-MM-DD``) and ``prediction`` (number or name of a class). With a column ``obs``, the row in the unit, two
        images of one sample on one date are told apart. Other columns are not read.
    store : path-like
        The store. The file may have predictions for more than it holds.

    Returns
    -------
    Predictions

    Raises
    ------
    WrongUsage
        If the file is not of this form, has two predictions for one observation, a date with two images and no ``obs``,
        or nothing of the store.
    StoreDamaged
        If a table of a unit is damaged.
    MissingPackage
        If the file is Parquet and pyarrow is not installed.

    Examples
    --------
    >>> read_predictions("predictions.csv", "clouds.zarr").same  # doctest: +SKIP
    """
    file = check_readable(path)
    given = read_columns(file)
    lost, ambiguous = _Named(), _Named()
    found: dict[str, Column] = {}
    counts: dict[str, npt.NDArray[np.int64]] = {}
    with open_store(store) as opened:
        check_default(opened.dataset, "predictions", str(store))
        for name, columns in sorted(given.items()):
            unit = opened.units.get(name)
            if unit is None:
                lost.add(columns, np.arange(len(columns.row)), lambda i, name=name: f"there is no unit {name}")  # type: ignore[misc]
                continue
            obs, several = find_rows(unit, columns)
            for rows, which in ((lost, obs < 0), (ambiguous, several)):
                rows.add(columns, np.flatnonzero(which), partial(_words, name, columns))
            used = (obs >= 0) & ~several
            _refuse_duplicates(file, name, columns, obs, used)
            if used.any():
                column = np.full(unit.observations, NONE, np.int8)
                column[obs[used]] = np.array(columns.prediction, np.int8)[used]
                found[name], counts[name] = column, _count(unit, column)
        digest, known = opened.digest, list(opened.units)
    if ambiguous.number:
        raise WrongUsage(
            f"{plural(ambiguous.number, 'row')} may mean one of two images: the sample has several of that date",
            where=str(file), found=ambiguous.in_words(), todo="add a column obs: the row of the image in its unit",
        )  # fmt: skip
    if not found:
        raise WrongUsage(
            "no row is in the store", where=str(file), expected=f"units {', '.join(known)}", found=lost.in_words()
        )
    examples = tuple(words for _, words in lost.first)
    total = sum(len(columns.row) for columns in given.values())
    return Predictions(file, digest, found, counts, total, lost.number, examples)


@dataclass
class _Named:
    """Rows that a message is about: how many, and the first of the file in words. A file may have millions."""

    number: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, columns: UnitColumns, places: Rows, words: Callable[[int], str]) -> None:
        """Add rows of a unit, ascending."""
        self.number += len(places)
        new = [(columns.row[i], f"row {columns.row[i]:,}, {words(i)}") for i in places[:FIRST].tolist()]
        self.first = sorted([*self.first, *new])[:FIRST]

    def in_words(self) -> str:
        more = f"; and {self.number - FIRST:,} more" if self.number > FIRST else ""
        return "; ".join(words for _, words in self.first) + more


Given = str | os.PathLike[str] | Predictions | None


def for_page(given: Given, store: Path) -> Predictions | None:
    """Predictions of this store, from their file where a path is given. Raises as :func:`read_predictions`."""
    if given is None:
        return None
    if not isinstance(given, Predictions):
        return read_predictions(given, store)
    with open_to_verify(store) as opened:
        if opened.digest != given.store_digest:
            raise WrongUsage(
                "the predictions were read for another store", where=str(store), found=str(given.path),
                todo="read them with this store",
            )  # fmt: skip
    return given


def find_rows(unit: Unit, columns: UnitColumns) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """The observation of each row, -1 if there is none; and whether there are several."""
    localid, asked = np.array(columns.localid, np.int64), np.array(columns.obs, np.int64)
    time = np.array(columns.time, np.int64)
    n = unit.observations
    if not n:
        return np.full(len(time), -1, np.int64), np.zeros(len(time), bool)
    ids = np.repeat(unit.localid, np.diff(unit.row_start))  # of each observation
    # With obs: the row must be of that sample, and of that date if there is one.
    place = np.where((asked >= 0) & (asked < n), asked, 0)
    right = (place == asked) & (ids[place] == localid) & ((time == NO_DAY) | (unit.time[place] == time))
    # Without: by sample and date, as one number.
    known = np.unique(unit.localid)
    keys = _keys(np.searchsorted(known, ids), unit.time.astype(np.int64))
    order = np.argsort(keys, kind="stable")
    sample = np.minimum(np.searchsorted(known, localid), len(known) - 1)
    low, high = (np.searchsorted(keys[order], _keys(sample, time), side) for side in ("left", "right"))
    hits = np.where(asked >= 0, right, (high - low) * (known[sample] == localid))
    by_date = order[np.minimum(low, n - 1)]
    return np.where(hits > 0, np.where(asked >= 0, place, by_date), -1), hits > 1


def _keys(sample: npt.NDArray[np.intp], time: Rows) -> Rows:
    """A sample and a day, which has 32 bits, as one number."""
    return np.asarray((sample.astype(np.int64) << 32) + (time - NO_DAY))


def _refuse_duplicates(file: Path, name: str, columns: UnitColumns, obs: Rows, used: npt.NDArray[np.bool_]) -> None:
    _, first, number = np.unique(obs[used], return_index=True, return_counts=True)
    if not (number > 1).any():
        return
    places = np.flatnonzero(used)
    twice = _Named()
    twice.add(columns, np.sort(places[first[number > 1]]), partial(_words, name, columns))
    raise WrongUsage(
        f"the file has several predictions for {plural(twice.number, 'observation')} of {name}", where=str(file),
        found=twice.in_words(), todo="keep one row for each observation",
    )  # fmt: skip


def _words(name: str, columns: UnitColumns, i: int) -> str:
    time, obs = columns.time[i], columns.obs[i]
    when = "without a date" if time == NO_DAY else day(time)
    row = f", obs {obs}" if obs >= 0 else ""
    return f"{name} sample {columns.localid[i]} {when}{row}"


def _count(unit: Unit, column: Column) -> npt.NDArray[np.int64]:
    known = column != NONE
    months = unit.dates.astype("M8[M]")
    number = np.where(unit.time == NO_DAY, 0, (months - months.astype("M8[Y]")).astype(np.int64) + 1)
    table = np.stack([number, one_labels(unit.label).astype(np.int64), column.astype(np.int64)], axis=1)[known]
    values, counts = np.unique(table, axis=0, return_counts=True)
    return np.concatenate([values, counts[:, None]], axis=1)
