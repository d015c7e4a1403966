"""A map-style dataset: one item per sample."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

from ..reading.opening import open_same, open_store
from ..reading.store import Store
from ..reading.table import Samples, Where
from ..reading.unit import Sample

Item = dict[str, Any]


class SampleDataset:
    """The samples of a store, for ``torch.utils.data.DataLoader``.

    An item is a dict of numpy arrays: ``image`` (n, 4, 42, 42) uint16, ``label`` (n,) or (n, 6, 6) int8, ``time``
    (n,) int32 in days since 1970-01-01, ``weight`` (n,) float32; also ``unit`` and ``localid``. ``collate_ragged``
    and ``collate_padded`` make batches of items. The dataset can be pickled, and each worker opens the store itself, so
    fork and spawn are both safe.

    Parameters
    ----------
    path : path-like
        A Zarr or HDF5 store.
    transform : callable, optional
        Applied to each item.
    tile, split, localid, time, label : optional
        Selection of samples, as for ``Samples.where``. A sample always has its whole series.

    Raises
    ------
    KeyError
        If there is no such tile, split or class.
    NotAStore, StoreDamaged, Incomplete, MachineError
        As ``open_store``. Items raise ``StoreDamaged`` too, also from the workers of a DataLoader.

    Examples
    --------
    >>> train = SampleDataset("clouds.zarr", split="train")  # doctest: +SKIP
    >>> loader = DataLoader(train, batch_size=8, num_workers=2, collate_fn=collate_ragged)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        transform: Callable[[Item], Any] | None = None,
        **where: Unpack[Where],
    ) -> None:
        self.path, self.transform = Path(path).absolute(), transform
        with open_store(path) as store:
            self._digest = store.digest
            self.samples: Samples = store.samples.where(**where)
        self._store: Store | None = None
        self._opened_in = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_store": None}

    @property
    def store(self) -> Store:
        """The store, opened in this process.

        Raises
        ------
        StoreDamaged
            If the store was replaced since the dataset was made.
        """
        if self._store is None or self._opened_in != os.getpid():
            self._store, self._opened_in = open_same(self.path, self._digest), os.getpid()
        return self._store

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Any:
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The items of a batch. Newer DataLoaders call this; the samples of a unit are read together."""
        rows = [self.samples[i] for i in indices]  # raises IndexError, which ends iteration
        names = [f"{row['split']}/{row['tile']}" for row in rows]
        out: list[Any] = [None] * len(rows)
        for name in sorted(set(names)):
            mine = [k for k, one in enumerate(names) if one == name]
            for k, sample in zip(mine, self._read(name, [rows[k] for k in mine]), strict=True):
                item = make_item(name, int(rows[k]["localid"]), sample)
                out[k] = self.transform(item) if self.transform else item
        return out

    def _read(self, name: str, samples: Sequence[Any]) -> list[Sample]:
        """Samples of a unit, by rows: all samples without a localid have -1."""
        unit = self.store[name]
        starts = [int(one["row_start"]) for one in samples]
        ranges = [slice(low, low + int(one["row_size"])) for low, one in zip(starts, samples, strict=True)]
        return [
            Sample(image, unit.label[own].copy(), unit.time[own].copy(), unit.weight[own].copy())
            for image, own in zip(unit.images(ranges), ranges, strict=True)
        ]


def make_item(unit: str, localid: int, sample: Sample) -> Item:
    """The item of one sample."""
    return {**sample._asdict(), "unit": unit, "localid": localid}
