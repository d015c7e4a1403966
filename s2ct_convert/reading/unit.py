"""One unit: its samples by localid, plain numpy out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..errors import NotAStore, StoreDamaged
from ..missing import NO_DAY
from ..names import UnitName
from ..published import PublishedFeature
from ..store.groups import unit_form
from ..store.layout import IMAGE, PUBLISHED, UnitForm
from .arrays import Array, Columns, read_rows
from .chunks import Chunks
from .groups import Group, recorded_digest
from .images import Images, New, Task


class Sample(NamedTuple):
    """The time series of one sample, in time order.

    Attributes
    ----------
    image : ndarray of uint16, shape (n, bands, height, width)
        Values as published. In the default data set 4 x 42 x 42: bands B2, B3, B4, B8 at 10 m.
    label : ndarray of int8, shape (n,) or (n, k, k)
        Number of the class; -1 no label. In the default data set 0 clear, 1 opaque cloud, 2 thin cloud, 3 haze,
        4 cloud shadow, 5 snow.
    time : ndarray of int32, shape (n,)
        Days since 1970-01-01; -2^31 where there is no date.
    weight : ndarray of float32, shape (n,)
        NaN where the source has none.
    """

    image: npt.NDArray[np.uint16]
    label: npt.NDArray[np.int8]
    time: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]

    @property
    def dates(self) -> npt.NDArray[np.datetime64]:
        """``time`` as datetime64[D], NaT where there is no date."""
        return to_dates(self.time)


def to_dates(time: npt.NDArray[np.int32]) -> npt.NDArray[np.datetime64]:
    """Days since 1970-01-01 as datetime64[D], NaT where there is no date."""
    dates = time.astype("datetime64[D]")
    dates[time == NO_DAY] = np.datetime64("NaT", "D")
    return dates


class Unit:
    """One split of one tile. ``unit["image"]`` and so on are its arrays, read when sliced.

    Attributes
    ----------
    name : UnitName
    attributes : dict
        What is known of the source, and the digests.
    group : Group
        What it is read from.
    layout : int
        Version of the layout of its store.
    dataset : Dataset
        That of its store.
    """

    def __init__(
        self, name: UnitName, group: Group, *, layout: int, dataset: Dataset = DATASET, checked: bool = True
    ) -> None:
        self.dataset = dataset
        self.name, self.attributes, self.group, self.layout = name, group.attributes, group, layout
        self._columns = Columns(group, checked=checked)

    def __repr__(self) -> str:
        return f"<Unit {self.name}: {len(self.localid)} samples, {self.observations} observations>"

    def __getitem__(self, array: str) -> Array:
        """An array by its name.

        Raises
        ------
        KeyError
            If the unit has no array of this name.
        StoreDamaged
            If what is stored is missing or not what was written.
        """
        if array not in self._columns.names:
            raise KeyError(f"{self.name} has no array {array!r}; it has {', '.join(self._columns.names)}")
        table = self._columns.table(array)
        if array == IMAGE.name:
            return Array(table, lambda key: read_rows(key, table.shape[0], self.images))
        return Array(table, lambda key: self._columns.read(array)[key])

    @property
    def observations(self) -> int:
        """Number of observations."""
        return int(self.row_start[-1])

    @property
    def digest(self) -> str:
        """Content digest recorded when the unit was written."""
        return recorded_digest(self.group)

    @property
    def localid(self) -> npt.NDArray[np.int64]:
        """Samples, ascending, shape (samples,)."""
        return self._columns.kept("localid")

    @property
    def row_start(self) -> npt.NDArray[np.int64]:
        """Sample ``i`` has the observations ``row_start[i]`` to ``row_start[i + 1]``; shape (samples + 1,)."""
        return self._columns.kept("row_start")

    @property
    def label(self) -> npt.NDArray[np.int8]:
        """Labels of all observations, shape (obs,) or (obs, k, k); -1 where there is none."""
        return self._columns.kept("label")

    @property
    def time(self) -> npt.NDArray[np.int32]:
        """Days since 1970-01-01 of all observations, shape (obs,); -2^31 where there is no date."""
        return self._columns.kept("time")

    @property
    def date(self) -> npt.NDArray[np.int64]:
        """Dates of all observations as published, shape (obs,); -2^63 where the source has none.

        Raises
        ------
        NotAStore
            If the store has layout 1, which does not keep them.
        """
        if self.layout < 2:
            raise NotAStore("a store of layout 1 does not keep dates as published", where=self.group.where)
        return self._columns.kept("date")

    @cached_property
    def form(self) -> UnitForm:
        """The size of labels and whether dates are missing."""
        label, time = self._columns.table("label"), self._columns.table("time")
        return unit_form(label.shape, time.attributes, self.layout, self.dataset)

    @cached_property
    def published(self) -> Mapping[str, PublishedFeature]:
        """What the arrays do not give back of the source, by the name of its group in ``published``.

        Examples
        --------
        >>> unit.published["labels"].get(17)  # bytes of example 17, None if they are in the arrays  # doctest: +SKIP
        """
        parts = [name.split("/") for name in self._columns.names]
        return {key: self._published(key) for key in sorted({part[1] for part in parts if part[0] == PUBLISHED})}

    def _published(self, key: str) -> PublishedFeature:
        place = f"{PUBLISHED}/{key}"
        data = self.group.table(f"{place}/data")
        try:
            name, kind = str(data.attributes["name"]), str(data.attributes["kind"])
        except KeyError as error:
            raise StoreDamaged(f"{place}/data has no attribute {error}", where=self.group.where) from None
        state, offset = (self._columns.read(f"{place}/{array}") for array in ("state", "offset"))
        return PublishedFeature(key, name, kind, state, offset, data.data)

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """Weights of all observations, shape (obs,); NaN where the source has none."""
        return self._columns.kept("weight")

    @cached_property
    def chunks(self) -> Chunks:
        """Where the pixels are, and how they are packed."""
        return self.group.chunks(IMAGE.name)

    @cached_property
    def _images(self) -> Images:
        crcs = self._columns.kept("image_crc32c") if self._columns.checked else None
        return Images(self.chunks, self.observations, crcs)

    def images(self, ranges: Sequence[slice]) -> list[npt.NDArray[np.uint16]]:
        """Pixels of several ranges of observations, each (n, bands, height, width).

        Chunks that neighbour each other are read at once, a chunk that several ranges share is decoded once, in
        threads.

        Raises
        ------
        IndexError
            If a range goes beyond the unit.
        StoreDamaged
            If what is stored is missing or does not fit its checksums.
        """
        return self._images.read(ranges)

    def plan_images(
        self, ranges: Sequence[slice], new: New | None = None
    ) -> tuple[list[npt.NDArray[np.uint16]], list[Task]]:
        """The arrays of ``images`` before they are read, and what reads them: for reading several units at once."""
        return self._images.plan(ranges, new)

    def rows(self, localid: int) -> slice:
        """Where the observations of a sample are.

        Raises
        ------
        KeyError
            If the unit has no such sample, or several: those without a localid all have -1.
        """
        i, end = (int(np.searchsorted(self.localid, localid, side)) for side in ("left", "right"))
        if i == end:
            raise KeyError(f"{self.name} has no sample with localid {localid}")
        if end - i > 1:
            raise KeyError(
                f"{self.name} has {end - i} samples with localid {localid}: those without a localid have it; "
                f"iterate over store.select(localid={localid}), or take rows of unit.row_start"
            )
        return slice(int(self.row_start[i]), int(self.row_start[i + 1]))

    def sample(self, localid: int) -> Sample:
        """The whole time series of one sample.

        Raises
        ------
        KeyError
            If the unit has no such sample.
        StoreDamaged
            If what is stored is missing or does not fit its checksums.
        """
        (sample,) = self.samples([localid])
        return sample

    def samples(self, localids: Sequence[int] | npt.NDArray[np.int64]) -> list[Sample]:
        """The time series of several samples, in the order they were asked for; faster than one by one.

        Raises
        ------
        KeyError
            If the unit has not all of them.
        StoreDamaged
            If what is stored is missing or does not fit its checksums.
        """
        ranges = [self.rows(int(localid)) for localid in localids]
        return [
            Sample(image, self.label[rows].copy(), self.time[rows].copy(), self.weight[rows].copy())
            for image, rows in zip(self.images(ranges), ranges, strict=True)
        ]
