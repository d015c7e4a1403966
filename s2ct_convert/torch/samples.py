"""A map-style dataset: one item per sample. Imported only when torch is used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from torch.utils.data import Dataset

from ..objects.address import place_of
from ..reading.epoch import Memory
from ..reading.images import runs_of
from ..reading.opening import open_same, open_store
from ..reading.sample import Sample
from ..reading.series import chosen_series
from ..reading.store import Store
from ..reading.table import Samples
from .items import ItemOptions, Making

MAKING = ("dtype", "scale", "crop", "transform")


class SampleDataset(Dataset[Any]):
    """The samples of a store, for ``torch.utils.data.DataLoader``.

    An item is a dict of numpy arrays: ``image`` (n, 4, 42, 42) uint16, ``label`` (n,) or (n, 6, 6) int8, ``time``
    (n,) int32 in days since 1970-01-01, ``weight`` (n,) float32; also ``unit`` and ``localid``. ``collate_ragged``
    and ``collate_padded`` make batches of items. The dataset can be pickled, and each worker opens the store itself, so
    fork and spawn are both safe.

    Parameters
    ----------
    path : path-like
        A Zarr or HDF5 store.
    dtype : numpy dtype, optional
        dtype of ``image``, such as "float32": PyTorch has few operations for uint16.
    scale : float, optional
        Factor of ``image``; 1e-4 gives reflectance, as float32 unless ``dtype`` is another float.
    crop : int, optional
        Height and width of the centre of the patch to keep; 6 is the labelled part of the default data set.
    transform : callable, optional
        Applied to each item last. It may change, add and remove keys, and return tensors.
    samples : Selection, Samples, or iterable, optional
        Only these: a selection of the store, with the observations that it selects; a part of ``store.samples``, such
        as one side of a fold; or a list of ``(unit, localid)`` or of localids. Items are in the order of the store.
    tile, split, localid, time, label : optional
        Samples and observations to keep, as for ``Store.select``: with ``time`` or ``label`` an item has only the
        matching observations, and samples without a match are left out. With ``samples``, both conditions hold.

    Raises
    ------
    KeyError
        If there is no such tile, split, class or sample.
    ValueError
        If the dtype cannot hold the values of ``image``, or ``samples`` are of another store.
    TypeError
        If ``samples`` is none of these.
    NotAStore, StoreDamaged, Incomplete, MachineError
        As ``open_store``. Items raise ``StoreDamaged`` too, also from the workers of a DataLoader.

    Examples
    --------
    >>> train = SampleDataset("clouds.zarr", split="train", scale=1e-4)  # doctest: +SKIP
    >>> loader = DataLoader(train, batch_size=8, num_workers=2, collate_fn=collate_ragged)  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str], **options: Unpack[ItemOptions]) -> None:
        self.path = place_of(path).absolute()
        self.make = Making(**{name: options[name] for name in MAKING if name in options})  # type: ignore[literal-required]
        where: Any = {name: value for name, value in options.items() if name not in MAKING}
        with open_store(path) as store:
            self.digest = store.digest
            self.series = chosen_series(store, where.pop("samples", None), **where)
        self._store: Store | None = None
        self._memory: Memory | None = None
        self._opened_in = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_store": None, "_memory": None}

    @property
    def samples(self) -> Samples:
        """The selected samples as a table, in the order of the items."""
        return self.series.samples

    @property
    def store(self) -> Store:
        """The store, opened in this process.

        Raises
        ------
        StoreDamaged
            If the store was replaced since the dataset was made.
        """
        if self._store is None or self._opened_in != os.getpid():
            self._store, self._opened_in = open_same(self.path, self.digest), os.getpid()
            self._memory = None
        return self._store

    def memory(self, block_obs: int, keep: int) -> Memory:
        """Memory for blocks, the same in each epoch of this process: fresh pages cost time."""
        shape = self.store.dataset.obs_shape
        if self._memory is None:
            self._memory = Memory(shape, block_obs, keep)
        return self._memory

    def close(self) -> None:
        """Close the store in this process. The next read opens it again."""
        if self._store is not None and self._opened_in == os.getpid():
            self._store.close()
        self._store = self._memory = None

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, i: int) -> Any:
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The items of a batch. DataLoaders call this; the samples of a unit are read together."""
        places = [range(len(self))[i] for i in indices]  # raises IndexError, which ends iteration
        names = [self.series.unit(i) for i in places]
        out: list[Any] = [None] * len(places)
        for name in sorted(set(names)):
            mine = [k for k, one in enumerate(names) if one == name]
            for k, sample in zip(mine, self._read(name, [places[k] for k in mine]), strict=True):
                out[k] = self.make(name, self.series.localid(places[k]), sample)
        return out

    def _read(self, name: str, places: Sequence[int]) -> list[Sample]:
        """Samples of a unit, by rows: all samples without a localid have -1."""
        unit = self.store[name]
        rows = [self.series.rows(i) for i in places]
        parted = [runs_of(own) or [slice(0, 0)] for own in rows]
        images = iter(unit.images([run for parts in parted for run in parts]))
        out = []
        for own, parts in zip(rows, parted, strict=True):
            pieces = [next(images) for _ in parts]
            image = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
            out.append(Sample(image, unit.label[own], unit.time[own], unit.weight[own]))
        return out
