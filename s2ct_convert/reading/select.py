"""A selection of a store, read lazily: samples or single observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..events import OnEvent, ignore
from .display import Shown, Summary, many, series_summary, shown_in_lists
from .filters import Dates, Labels, class_numbers, days
from .folds import draw
from .images import runs_of
from .review import Review
from .rows import UnitRows, Units
from .sample import to_dates
from .table import Samples
from .unit import Unit

if TYPE_CHECKING:
    import xarray

    from .statistics import Statistics

BLOCK_OBS = 1024  # observations read at once; 14.5 MB of the default data set


@shown_in_lists
class SelectedSample(NamedTuple):
    """The selected observations of one sample, in time order.

    ``rows`` are their row numbers in the unit; the other arrays are as in ``Sample``.
    """

    unit: str
    localid: int
    rows: npt.NDArray[np.int64]
    image: npt.NDArray[np.uint16]
    label: npt.NDArray[np.int8]
    time: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]

    @property
    def dates(self) -> npt.NDArray[np.datetime64]:
        """``time`` as datetime64[D], NaT without a date."""
        return to_dates(self.time)

    def _summary(self) -> Summary:
        return series_summary(f"SelectedSample {self.unit} {self.localid}", self)


class Observation(NamedTuple):
    """One timestamp of one sample.

    ``image`` has the shape (bands, height, width), ``label`` the shape () or (k, k). ``time`` is in days since
    1970-01-01.
    """

    unit: str
    localid: int
    row: int
    image: npt.NDArray[np.uint16]
    label: npt.NDArray[np.int8]
    time: np.int32
    weight: np.float32

    @property
    def date(self) -> np.datetime64:
        """``time`` as datetime64[D], NaT without a date."""
        return np.datetime64(to_dates(np.asarray(self.time)[None])[0])

    def __repr__(self) -> str:
        image = f"{self.image.dtype} {' x '.join(map(str, self.image.shape))}"
        label = self.label.tolist() if np.ndim(self.label) == 0 else " x ".join(map(str, self.label.shape))
        return (
            f"<Observation {self.unit} {self.localid}, row {self.row}: {self.date}, image {image}, label {label}, "
            f"weight {self.weight}>"
        )


@dataclass(frozen=True)
class Keep:
    """Which observations of its samples a selection keeps; ``store.select`` explains them."""

    time: Dates = None
    label: tuple[str | int, ...] | None = None
    months: tuple[int, ...] | None = None
    review: Review | None = None
    max_length: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.months is not None and not (self.months and set(self.months) <= set(range(1, 13))):
            raise ValueError(f"months are numbers from 1 to 12, not {', '.join(map(str, self.months)) or 'none'}")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length={self.max_length}: a series has at least one observation")
        if self.seed is not None and self.max_length is None:
            raise ValueError("a seed without max_length draws nothing")

    def mask(self, unit: Unit, classes: tuple[str, ...]) -> npt.NDArray[np.bool_] | None:
        """Which observations of the unit match; None for all."""
        if self.time is None and self.label is None and self.months is None and self.review is None:
            return None
        keep = np.ones(unit.observations, bool) if self.review is None else self.review.mask(unit)
        if self.time is not None:
            first, last = days(self.time)
            keep &= (unit.dates >= first) & (unit.dates <= last)
        if self.months is not None:
            months = unit.dates.astype("M8[M]")
            number = (months - months.astype("M8[Y]")).astype(np.int64) + 1  # of NaT: a large negative number
            keep &= np.isin(number, self.months)
        if self.label is not None:
            found = np.isin(unit.label, class_numbers(self.label, classes))
            keep &= found if found.ndim == 1 else found.any(axis=(1, 2))
        return keep

    def cut(self, unit: Unit, first: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """At most ``max_length`` rows of the sample that begins at row ``first``: neighbours among the selected."""
        most = self.max_length
        if most is None or len(rows) <= most:
            return rows
        begin = 0
        if self.seed is not None:  # the draw depends on nothing but the seed and the sample
            begin = draw(self.seed, f"{unit.name} {first}") % (len(rows) - most + 1)
        return rows[begin : begin + most]


@dataclass(frozen=True, repr=False)
class Selection(Shown):
    """The result of ``store.select``. Images are read during iteration.

    Iteration and ``len`` are over samples with at least one selected observation. ``count`` is the number of
    observations.

    Attributes
    ----------
    table : Samples
        Samples that may have selected observations.
    keep : Keep
        Which observations are selected.
    """

    store: Units
    table: Samples
    keep: Keep = Keep()

    def __iter__(self) -> Iterator[SelectedSample]:
        return self.samples()

    def __len__(self) -> int:
        return self._sizes[0]

    def __bool__(self) -> bool:
        return any(True for _ in self.unit_rows())

    def __contains__(self, sample: object) -> bool:
        """Not defined: comparing with every sample would read all images.

        Raises
        ------
        TypeError
            Always; the message says what to ask.
        """
        raise TypeError('a selection cannot be searched; ask its table: 86 in selection.table["localid"]')

    def _summary(self) -> Summary:
        """Without reading anything: which observations match is known after ``len``."""
        whole = self.table._summary()
        given = [(name, value) for name, value in vars(self.keep).items() if value is not None]
        keep = [(name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)) for name, value in given]
        title = f"Selection from {many(len(self.table), 'sample')}"
        return Summary(title, keep, whole.header, whole.rows, whole.total)

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """Number of samples, and of observations."""
        units = list(self.unit_rows())
        return sum(len(one.rows) for one in units), sum(len(own) for one in units for own in one.rows)

    def samples(self) -> Iterator[SelectedSample]:
        """Yield the samples with their selected observations. Samples without any are omitted."""
        for unit, localids, rows in self._blocks():
            runs = [runs_of(own) for own in rows]
            images = iter(unit.images([run for own in runs for run in own]))
            for localid, own, parts in zip(localids, rows, runs, strict=True):
                pieces = [next(images) for _ in parts]
                image = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
                columns = (unit.label[own], unit.time[own], unit.weight[own])
                yield SelectedSample(str(unit.name), localid, own, image, *columns)

    def observations(self) -> Iterator[Observation]:
        """Yield the selected observations, sorted by split, tile, localid and time."""
        for sample in self.samples():
            for i, row in enumerate(sample.rows.tolist()):
                arrays = (sample.image[i], sample.label[i], sample.time[i], sample.weight[i])
                yield Observation(sample.unit, sample.localid, row, *arrays)

    def count(self) -> int:
        """Number of selected observations."""
        return self._sizes[1]

    def statistics(
        self, *, clear: Labels = "clear", from_pixels: bool = False, on_event: OnEvent = ignore
    ) -> Statistics:
        """Statistics of the selected observations, as ``Store.statistics`` computes them."""
        from .statistics import measure

        return measure(self, clear, on_event, from_pixels=from_pixels)

    def to_xarray(self) -> xarray.Dataset:
        """The selected observations as an xarray Dataset with the dimensions time, band, y and x.

        One sample follows the other, each in time order. Along ``time`` there are also ``split``, ``tile``,
        ``localid`` and ``row`` (of the unit). Images are read when they are used, and checked as everywhere.

        Raises
        ------
        WrongUsage
            If units have labels of different shapes.
        MissingPackage
            If xarray is not installed.

        Examples
        --------
        >>> spring = store.select(tile="50SMG", months=(3, 4, 5)).to_xarray()  # doctest: +SKIP
        >>> spring["image"].sel(band="B8").groupby("localid").mean()  # doctest: +SKIP
        """
        from .datasets import rows_dataset

        return rows_dataset(self.store, list(self.unit_rows()))

    def _blocks(self) -> Iterator[UnitRows]:
        """Blocks of samples of one unit to read at once, with their selected rows."""
        most = self.store.dataset.cap(BLOCK_OBS)
        for unit, localids, rows in self.unit_rows():
            begin, waiting = 0, 0
            for i, own in enumerate(rows):
                if i > begin and waiting + len(own) > most:
                    yield UnitRows(unit, localids[begin:i], rows[begin:i])
                    begin, waiting = i, 0
                waiting += len(own)
            yield UnitRows(unit, localids[begin:], rows[begin:])

    def unit_rows(self) -> Iterator[UnitRows]:
        """The selected rows of each unit that has some. Reads labels and dates, and no images."""
        for unit in self.store.units.values():
            mine = (self.table["split"] == unit.name.split) & (self.table["tile"] == unit.name.tile)
            if not mine.any():
                continue
            mask = self.keep.mask(unit, self.table.classes)
            localids, kept = [], []
            for row in self.table[mine]:
                low = int(row["row_start"])
                rows = np.arange(low, low + int(row["row_size"]))
                rows = self.keep.cut(unit, low, rows if mask is None else rows[mask[rows]])
                if len(rows):
                    localids.append(int(row["localid"]))
                    kept.append(rows)
            if kept:
                yield UnitRows(unit, localids, kept)
