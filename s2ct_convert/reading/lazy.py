"""Arrays that xarray reads when it needs them. They can be pickled: another process opens the store again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..store.layout import IMAGE
from .rows import Units


class StoredImages(NamedTuple):
    """Rows of ``image`` of several units, one after the other.

    Attributes
    ----------
    store : Store
    parts : sequence of (unit name, rows)
    obs_shape : tuple of int
    """

    store: Units
    parts: Sequence[tuple[str, npt.NDArray[np.int64]]]
    obs_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Observations, bands, height and width."""
        return sum(len(rows) for _, rows in self.parts), *self.obs_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored."""
        return np.dtype(IMAGE.dtype)

    def read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """The values at an index, a slice or a list of indices for each dimension, independently of each other."""
        wanted = np.arange(self.shape[0])[key[0]]
        places = np.atleast_1d(wanted)
        begin, found = 0, [(np.zeros(0, np.intp), np.empty((0, *self.obs_shape), self.dtype))]
        for name, rows in self.parts:
            mine = np.flatnonzero((places >= begin) & (places < begin + len(rows)))
            if len(mine):
                found.append((mine, self.store.units[name][IMAGE.name][rows[places[mine] - begin]]))
            begin += len(rows)
        images = found[-1][1]
        if len(images) < len(places):  # of several units
            images = np.empty((len(places), *self.obs_shape), self.dtype)
            for mine, part in found:
                images[mine] = part
        return _inner(images if wanted.ndim else images[0], key[1:])


class StoredArray(NamedTuple):
    """Any other array of a unit."""

    store: Units
    unit: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """As ``StoredImages.read``."""
        return _inner(np.asarray(self.store.units[self.unit][self.name][...]), key)


def _inner(values: npt.NDArray[Any], key: Sequence[Any]) -> npt.NDArray[Any]:
    """Index the last dimensions, one after the other."""
    for i, one in enumerate(key):
        at = (slice(None),) * (values.ndim - len(key) + i)
        values = values[(*at, one)]
    return values


def lazy_array(stored: StoredImages | StoredArray) -> Any:
    """An array for a variable of xarray: read at its first use, then kept in memory, as in ``open_dataset``."""
    from xarray.core import indexing

    lazy: Any = indexing.LazilyIndexedArray(_backend(stored))
    cached: Any = indexing.MemoryCachedArray
    return cached(indexing.CopyOnWriteArray(lazy))


def _backend(stored: StoredImages | StoredArray) -> Any:
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Backend(BackendArray):  # type: ignore[misc,unused-ignore]  # defined here, because xarray is optional
        shape, dtype = stored.shape, stored.dtype

        def __getitem__(self, key: Any) -> Any:
            outer = indexing.IndexingSupport.OUTER
            return indexing.explicit_indexing_adapter(key, self.shape, outer, stored.read)

        def __reduce__(self) -> tuple[Any, ...]:
            return _backend, (stored,)

    return Backend()
