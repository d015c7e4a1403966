"""A unit of an open store: its samples by localid, as numpy arrays."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET, Dataset
from ..errors import NotAStore, StoreDamaged
from ..gaps import Gap, gaps_from_text
from ..names import UnitName
from ..published import PublishedFeature
from ..store.groups import unit_form
from ..store.layout import FOUND, GAPS, IMAGE, PUBLISHED, SALVAGED, UnitForm
from ..tiles import TileArea
from .arrays import Array, Columns, read_rows
from .chunks import Chunks
from .display import OwnMapping, Shown, Summary, shown_in_lists
from .groups import Group, recorded_digest
from .images import Images, New, Task
from .sample import Sample, to_dates
from .summaries import unit_summary


@shown_in_lists
class Unit(Shown, OwnMapping[Array]):
    """One split of one tile. It is a mapping of its arrays: ``unit["image"]`` is read when sliced.

    ``in``, ``len`` and iteration are over names of arrays; the samples are in ``localid``.

    Attributes
    ----------
    name : UnitName
    attributes : dict
        Facts about the source, and the digests.
    group : Group
        The group in the store.
    layout : int
        Layout version of the store.
    dataset : Dataset
        The data set of the store.
    """

    def __init__(
        self, name: UnitName, group: Group, *, layout: int, dataset: Dataset = DATASET, checked: bool = True
    ) -> None:
        self.dataset = dataset
        self.name, self.attributes, self.group, self.layout = name, group.attributes, group, layout
        self._columns = Columns(group, checked=checked)

    def _summary(self) -> Summary:
        return unit_summary(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.names)

    def __len__(self) -> int:
        return len(self._columns.names)

    def __getitem__(self, array: str) -> Array:
        """An array by its name.

        Raises
        ------
        KeyError
            If the unit has no array of this name.
        StoreDamaged
            If stored bytes are missing or damaged.
        """
        if array not in self._columns.names:
            if not isinstance(array, str):
                raise TypeError(f"unit[...] takes the name of an array; a sample is unit.sample({array!r})")
            raise KeyError(f"{self.name} has no array {array!r}; it has {', '.join(self._columns.names)}")
        table = self._columns.table(array)
        if array == IMAGE.name:
            return Array(table, lambda key: read_rows(key, table.shape[0], self.images))
        return Array(table, lambda key: self._columns.read(array)[key])

    @property
    def area(self) -> TileArea | None:
        """Where its tile is on Earth: corners, centre and bounds. None if the name of the tile does not say so."""
        return self.dataset.locate(self.name.tile)

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
        """Ids of the samples, ascending, shape (samples,)."""
        return self._columns.kept("localid")

    @property
    def row_start(self) -> npt.NDArray[np.int64]:
        """Sample ``i`` has the observations ``row_start[i]`` to ``row_start[i + 1]``; shape (samples + 1,)."""
        return self._columns.kept("row_start")

    @property
    def label(self) -> npt.NDArray[np.int8]:
        """Labels of all observations, shape (obs,) or (obs, k, k); -1 without a label."""
        return self._columns.kept("label")

    @property
    def time(self) -> npt.NDArray[np.int32]:
        """Days since 1970-01-01 of all observations, shape (obs,); -2^31 without a date."""
        return self._columns.kept("time")

    @property
    def dates(self) -> npt.NDArray[np.datetime64]:
        """``time`` as datetime64[D], NaT without a date; shape (obs,)."""
        return to_dates(self.time)

    @property
    def date(self) -> npt.NDArray[np.int64]:
        """Dates of all observations as published, shape (obs,); -2^63 without a date in the source.

        Raises
        ------
        NotAStore
            If the store has layout 1, which does not contain them.
        """
        if self.layout < 2:
            raise NotAStore("a store of layout 1 does not contain dates as published", where=self.group.where)
        return self._columns.kept("date")

    @cached_property
    def form(self) -> UnitForm:
        """Size of labels, and whether dates are missing."""
        label, time = self._columns.table("label"), self._columns.table("time")
        return unit_form(label.shape, time.attributes, self.attributes, self.layout, self.dataset)

    @property
    def salvaged(self) -> bool:
        """Whether the unit was salvaged from a damaged source, and may lack observations, also of its samples."""
        return SALVAGED in self.attributes

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is missing of a salvaged unit, in the order of its source; empty for other units.

        Raises
        ------
        StoreDamaged
            If the attribute that holds them is invalid.
        """
        return gaps_from_text(str(self.attributes.get(GAPS, "[]")), self.group.where)

    @property
    def example_order(self) -> str:
        """Name of the array with the order of the examples: ``example``, or ``found`` of a salvaged unit."""
        return FOUND.name if self.salvaged else "example"

    @cached_property
    def published(self) -> Mapping[str, PublishedFeature]:
        """Features that cannot be restored from the arrays, by the name of their group in ``published``.

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
        """Weights of all observations, shape (obs,); NaN without a weight in the source."""
        return self._columns.kept("weight")

    @cached_property
    def chunks(self) -> Chunks:
        """Places and codec of the chunks of pixels."""
        return self.group.chunks(IMAGE.name)

    @cached_property
    def _images(self) -> Images:
        crcs = self._columns.kept("image_crc32c") if self._columns.checked else None
        return Images(self.chunks, self.observations, crcs)

    def images(self, ranges: Sequence[slice]) -> list[npt.NDArray[np.uint16]]:
        """Pixels of several ranges of observations, each of shape (n, bands, height, width).

        Neighbouring chunks are read at once. A chunk that several ranges share is decoded once. Decoding uses threads.

        Raises
        ------
        IndexError
            If a range ends after the last row of the unit.
        StoreDamaged
            If stored bytes are missing or do not match their checksums.
        """
        return self._images.read(ranges)

    def plan_images(
        self, ranges: Sequence[slice], new: New | None = None
    ) -> tuple[list[npt.NDArray[np.uint16]], list[Task]]:
        """The arrays of ``images``, unfilled, and the tasks that fill them: for reading several units at once."""
        return self._images.plan(ranges, new)

    def rows(self, localid: int) -> slice:
        """Rows of the observations of a sample.

        Raises
        ------
        KeyError
            If the unit has no such sample, or several: all samples without a localid have -1.
        """
        localid = operator.index(localid)
        i, end = (int(np.searchsorted(self.localid, localid, side)) for side in ("left", "right"))
        if i == end:
            raise KeyError(f"{self.name} has no sample with localid {localid}")
        if end - i > 1:
            raise KeyError(
                f"{self.name} has {end - i} samples without a localid, stored as {localid}; "
                f"iterate over store.select(localid={localid}), or take rows from unit.row_start"
            )
        return slice(int(self.row_start[i]), int(self.row_start[i + 1]))

    def sample(self, localid: int) -> Sample:
        """The whole time series of one sample.

        Raises
        ------
        KeyError
            If the unit has no such sample.
        StoreDamaged
            If stored bytes are missing or do not match their checksums.
        """
        (sample,) = self.samples([localid])
        return sample

    def samples(self, localids: Sequence[int] | npt.NDArray[np.int64]) -> list[Sample]:
        """The time series of several samples, in the order of ``localids``. Faster than one by one.

        Raises
        ------
        KeyError
            If the unit does not have all of them.
        StoreDamaged
            If stored bytes are missing or do not match their checksums.
        """
        ranges = [self.rows(localid) for localid in localids]
        return [
            Sample(image, self.label[rows].copy(), self.time[rows].copy(), self.weight[rows].copy())
            for image, rows in zip(self.images(ranges), ranges, strict=True)
        ]
