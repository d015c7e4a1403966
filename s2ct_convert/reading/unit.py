"""One unit: its samples by localid, plain numpy out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import NotAStore
from ..missing import NO_DAY
from ..names import UnitName
from ..published import PublishedFeature
from ..store.groups import unit_form
from ..store.hdf5_file import get_attributes
from ..store.layout import IMAGE, PUBLISHED, UnitForm
from .chunks import open_chunks
from .images import Images, New, Task


class Sample(NamedTuple):
    """The time series of one sample, in time order.

    Attributes
    ----------
    image : ndarray of uint16, shape (n, 4, 42, 42)
        Bands B2, B3, B4, B8 at 10 m, values as published.
    label : ndarray of int8, shape (n,) or (n, k, k)
        0 clear, 1 opaque cloud, 2 thin cloud, 3 haze, 4 cloud shadow, 5 snow; -1 no label.
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
    dates[time == NO_DAY] = np.datetime64("NaT")
    return dates


class Unit:
    """One split of one tile. ``unit["image"]`` and so on are the arrays of the container, read when sliced.

    Attributes
    ----------
    name : UnitName
    attributes : dict
        What is known of the source, and the content digest.
    """

    def __init__(self, name: UnitName, group: Any, attributes: dict[str, Any], folder: Path, layout: int) -> None:
        self.name, self.attributes, self._group, self._folder = name, attributes, group, folder
        self.layout = layout

    def __repr__(self) -> str:
        return f"<Unit {self.name}: {len(self.localid)} samples, {self.observations} observations>"

    def __getitem__(self, array: str) -> Any:
        return self._group[array]

    @property
    def observations(self) -> int:
        """Number of observations."""
        return int(self.row_start[-1])

    @property
    def digest(self) -> str:
        """Content digest recorded when the unit was written."""
        return str(self.attributes["content_digest"])

    @cached_property
    def localid(self) -> npt.NDArray[np.int64]:
        """Samples, ascending, shape (samples,)."""
        return np.asarray(self._group["localid"][...])

    @cached_property
    def row_start(self) -> npt.NDArray[np.int64]:
        """Sample ``i`` has the observations ``row_start[i]`` to ``row_start[i + 1]``; shape (samples + 1,)."""
        return np.asarray(self._group["row_start"][...])

    @cached_property
    def label(self) -> npt.NDArray[np.int8]:
        """Labels of all observations, shape (obs,) or (obs, 6, 6)."""
        return np.asarray(self._group["label"][...])

    @cached_property
    def time(self) -> npt.NDArray[np.int32]:
        """Days since 1970-01-01 of all observations, shape (obs,)."""
        return np.asarray(self._group["time"][...])

    @cached_property
    def date(self) -> npt.NDArray[np.int64]:
        """Dates of all observations as published, shape (obs,); -2^63 where the source has none.

        Raises
        ------
        NotAStore
            If the store has layout 1, which does not keep them.
        """
        if self.layout < 2:
            raise NotAStore("a store of layout 1 does not keep dates as published", where=str(self._folder))
        return np.asarray(self._group["date"][...])

    @cached_property
    def form(self) -> UnitForm:
        """The size of labels and whether dates are missing."""
        return unit_form(self._group, self.layout)

    @cached_property
    def published(self) -> Mapping[str, PublishedFeature]:
        """What the arrays do not give back of the source, by name of its group in ``published``.

        Examples
        --------
        >>> unit.published["labels"].get(17)  # bytes of example 17, None if they are in the arrays  # doctest: +SKIP
        """
        if self.layout < 2 or PUBLISHED not in self._group:
            return {}
        group = self._group[PUBLISHED]
        return {key: self._published(key, group[key]) for key in sorted(group)}

    def _published(self, key: str, group: Any) -> PublishedFeature:
        data = group["data"]
        attributes = get_attributes(data) if isinstance(data, h5py.Dataset) else dict(data.attrs)
        return PublishedFeature(
            key=key,
            name=str(attributes["name"]),
            kind=str(attributes["kind"]),
            state=np.asarray(group["state"][...]),
            offset=np.asarray(group["offset"][...]),
            data=data,
        )

    @cached_property
    def weight(self) -> npt.NDArray[np.float32]:
        """Weights of all observations, shape (obs,); NaN where the source has none."""
        return np.asarray(self._group["weight"][...])

    @cached_property
    def _images(self) -> Images:
        return Images(open_chunks(self._group[IMAGE.name], self._folder / IMAGE.name), self.observations)

    def images(self, ranges: Sequence[slice]) -> list[npt.NDArray[np.uint16]]:
        """Pixels of several ranges of observations, each (n, 4, 42, 42).

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
            If the unit has no such sample.
        """
        i = int(np.searchsorted(self.localid, localid))
        if i == len(self.localid) or self.localid[i] != localid:
            raise KeyError(f"{self.name} has no sample with localid {localid}")
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
