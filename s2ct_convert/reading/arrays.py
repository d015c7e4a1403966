"""The arrays of a unit as its readers get them: the values that were written, or ``StoreDamaged``.

When a unit is first used all its small arrays are read (2 MB in a unit of 57,000 observations) and compared with
the digest that was written with them; those that samples are made of are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from ..errors import StoreDamaged
from ..store.digest import Table, pieces
from .groups import Group, check_digest, read_all

KEPT = ("localid", "row_start", "label", "time", "weight", "image_crc32c")


class Columns:
    """The small arrays of a unit.

    Parameters
    ----------
    group : Group
    checked : bool
        False: each array is read for itself and compared with nothing but its own checksum. For verification, which
        says what differs.
    """

    def __init__(self, group: Group, *, checked: bool) -> None:
        self._group, self.checked = group, checked
        self._kept: dict[str, npt.NDArray[Any]] = {}

    @cached_property
    def _seen(self) -> dict[str, int]:
        """CRC-32C of every array when all of them fitted their digest; those to be kept are kept from then on."""
        tables = read_all(self._group)
        check_digest(self._group.where, self._group.attributes, tables)
        found = {table.name: table.data for table in tables if table.data is not None}
        if missing := [name for name in KEPT if name not in found]:
            raise StoreDamaged(f"there is no {missing[0]}", where=self._group.where)
        self._kept |= {name: found[name] for name in KEPT}
        return {name: _crc32c(data) for name, data in found.items()}

    @cached_property
    def names(self) -> list[str]:
        """All arrays of the unit, the pixels too."""
        if self.checked:  # one that is missing is damage
            _ = self._seen
        return self._group.names()

    def table(self, name: str) -> Table:
        """What an array is, without its values."""
        if self.checked:
            _ = self._seen
        return self._group.table(name, values=False)

    def kept(self, name: str) -> npt.NDArray[Any]:
        """One of ``KEPT``, read once."""
        if self.checked:
            _ = self._seen
        if name not in self._kept:
            self._kept[name] = self.read(name)
        return self._kept[name]

    def read(self, name: str) -> npt.NDArray[Any]:
        """An array anew, the caller's own.

        Raises
        ------
        StoreDamaged
            If it is missing, does not fit its checksum, or is not the one that was there at first.
        """
        seen = self._seen if self.checked else {}
        data: npt.NDArray[Any] | None = self._group.table(name).data
        assert data is not None
        if self.checked and seen.get(name) != _crc32c(data):
            raise StoreDamaged(f"{name} has changed while the store was open", where=self._group.where)
        return data


def _crc32c(data: Any) -> int:
    crc = 0
    for piece in pieces(data):
        crc = google_crc32c.extend(crc, np.ascontiguousarray(piece).tobytes())
    return crc


class Array:
    """An array of a unit, read when it is sliced; ``[...]`` and ``np.asarray`` read all of it.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : numpy.dtype
    dims : tuple of str
        Names of the dimensions.
    attributes : dict
    """

    def __init__(self, table: Table, read: Callable[[Any], Any]) -> None:
        self.name, self.shape, self.dims = table.name, table.shape, table.dims
        self.dtype, self.attributes = np.dtype(table.dtype), dict(table.attributes)
        self._read = read

    def __repr__(self) -> str:
        return f"<Array {self.name}: {self.dtype} {self.shape}>"

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """As numpy has it: an array or, where one value is asked for, that.

        Raises
        ------
        IndexError
            If there is no such row.
        StoreDamaged
            If what is stored is missing or does not fit its checksums.
        """
        return self._read(key)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._read(...), dtype=dtype)


def read_rows(key: Any, n: int, images: Callable[[list[slice]], list[npt.NDArray[Any]]]) -> Any:
    """What ``array[key]`` is of an array of ``n`` rows that is read by ranges of rows."""
    first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
    if first is Ellipsis or first is None or (isinstance(key, tuple) and not key):
        (whole,) = images([slice(0, n)])
        return whole[key]
    rows = np.arange(n)[first]  # as numpy reads an index, a slice, a list or a mask
    if rows.ndim == 0:
        (one,) = images([slice(int(rows), int(rows) + 1)])
        return one[0][rest] if rest else one[0]
    wanted, back = np.unique(rows, return_inverse=True)
    ends = np.flatnonzero(np.diff(wanted) != 1) + 1
    runs = [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(wanted, ends) if len(run)]
    parts = images(runs or [slice(0, 0)])
    found = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(wanted) != rows.size or not np.array_equal(wanted, rows.ravel()):
        found = found[back.reshape(rows.shape)]
    return found[(slice(None), *rest)] if rest else found
