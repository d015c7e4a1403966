"""Reads the arrays of a unit: returns the values as written, or raises ``StoreDamaged``.

The first use of a unit reads all its small arrays (2 MB in a unit of 57,000 observations) and compares them with
the recorded digest. The arrays that samples need stay in memory.
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
        False: each array is read separately and compared only with its own checksum. For verification, which
        reports the differences itself.
    """

    def __init__(self, group: Group, *, checked: bool) -> None:
        self._group, self.checked = group, checked
        self._kept: dict[str, npt.NDArray[Any]] = {}

    @cached_property
    def _seen(self) -> dict[str, int]:
        """CRC-32C of every array at the time when all matched their digest. Also fills the arrays to keep."""
        tables = read_all(self._group)
        check_digest(self._group.where, self._group.attributes, tables)
        found = {table.name: table.data for table in tables if table.data is not None}
        if missing := [name for name in KEPT if name not in found]:
            raise StoreDamaged(f"the array {missing[0]} is missing", where=self._group.where)
        self._kept |= {name: _fixed(found[name]) for name in KEPT}
        return {name: _crc32c(data) for name, data in found.items()}

    @cached_property
    def names(self) -> list[str]:
        """Names of all arrays of the unit, including the pixels."""
        if self.checked:  # raises if one is missing
            _ = self._seen
        return self._group.names()

    def table(self, name: str) -> Table:
        """The description of an array, without its values."""
        if self.checked:
            _ = self._seen
        return self._group.table(name, values=False)

    def kept(self, name: str) -> npt.NDArray[Any]:
        """One of ``KEPT``, read once."""
        if self.checked:
            _ = self._seen
        if name not in self._kept:
            self._kept[name] = _fixed(self.read(name))
        return self._kept[name]

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read an array from the store; the caller owns the result.

        Raises
        ------
        StoreDamaged
            If it is missing, does not match its checksum, or has changed since the first read.
        """
        seen = self._seen if self.checked else {}
        data: npt.NDArray[Any] | None = self._group.table(name).data
        assert data is not None
        if self.checked and seen.get(name) != _crc32c(data):
            raise StoreDamaged(f"{name} has changed while the store was open", where=self._group.where)
        return data


def _fixed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array that nobody can write to: all readers of a unit share it."""
    array.flags.writeable = False
    return array


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
        """An array or a single value, as in numpy.

        Raises
        ------
        IndexError
            If a row is out of range.
        StoreDamaged
            If stored bytes are missing or do not match their checksums.
        """
        return self._read(key)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._read(...), dtype=dtype)


def read_rows(key: Any, n: int, images: Callable[[list[slice]], list[npt.NDArray[Any]]]) -> Any:
    """The value of ``array[key]`` for an array of ``n`` rows that is read by ranges of rows."""
    first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
    if first is Ellipsis or first is None or (isinstance(key, tuple) and not key):
        (whole,) = images([slice(0, n)])
        return whole[key]
    rows = np.arange(n)[first]  # an index, a slice, a list or a mask, as in numpy
    wanted, back = np.unique(rows, return_inverse=True)
    ends = np.flatnonzero(np.diff(wanted) != 1) + 1
    runs = [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(wanted, ends) if len(run)]
    parts = images(runs or [slice(0, 0)])
    found = parts[0] if len(parts) == 1 else np.concatenate(parts)
    in_order = np.array_equal(wanted, rows)
    if isinstance(first, slice):
        found = found if in_order else found[back]
        return found[(slice(None), *rest)] if rest else found
    # numpy combines an index or a list with the lists for other dimensions, so all are applied together.
    return found if in_order and not rest else found[(back.reshape(rows.shape)[()], *rest)]
