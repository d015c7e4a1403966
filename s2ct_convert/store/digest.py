"""Content digests: one number for what a unit holds, the same in Zarr and HDF5 and for any chunking or codec.

- sample: sha256 over localid (int64), row_size (int32), time (int32), label (int8), weight (float32) and image
  (uint16) of the sample, each array whole, little-endian, in stored order;
- unit: sha256 over (localid int64, sample digest 32 bytes) of each sample in stored order;
- store: sha256 over (unit name in UTF-8, unit digest 32 bytes) of each unit, sorted by name.

The tables digest covers all the rest of a group that a reader sees: its attributes, and every array with its
attributes but for the pixels. Units carry one of themselves, the root one of its attributes and of the index.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .layout import ArraySpec

PREFIX = "sha256:"


class UnitDigest:
    """Takes the samples of a unit in stored order; images may come in pieces."""

    def __init__(self) -> None:
        self._unit = hashlib.sha256()
        self._sample: Any = None
        self._localid = 0

    def sample(
        self,
        localid: int,
        time: npt.NDArray[np.int32],
        label: npt.NDArray[np.int8],
        weight: npt.NDArray[np.float32],
    ) -> None:
        """Begin the next sample; its images follow."""
        self._end_sample()
        self._sample, self._localid = hashlib.sha256(struct.pack("<qi", localid, len(time))), localid
        for array, dtype in ((time, "<i4"), (label, "i1"), (weight, "<f4")):
            self._sample.update(np.ascontiguousarray(array, dtype))

    def image(self, image: npt.NDArray[np.uint16]) -> None:
        """The next images of the sample."""
        self._sample.update(np.ascontiguousarray(image, "<u2").data)

    def sample_digest(self) -> bytes:
        """The digest of the sample so far."""
        return bytes(self._sample.digest())

    def add(self, localid: int, digest: bytes) -> None:
        """The next sample, whose digest was computed elsewhere."""
        self._end_sample()
        self._sample = None
        self._unit.update(struct.pack("<q", localid) + digest)

    def _end_sample(self) -> None:
        if self._sample is not None:
            self._unit.update(struct.pack("<q", self._localid) + self._sample.digest())

    def hexdigest(self) -> str:
        """``sha256:...`` of the unit; the last call."""
        self._end_sample()
        self._sample = None
        return PREFIX + self._unit.hexdigest()


def store_digest(units: Mapping[str, str]) -> str:
    """``sha256:...`` of a store from the digests of its units by name."""
    store = hashlib.sha256()
    for name, digest in sorted(units.items()):
        store.update(name.encode() + bytes.fromhex(digest.removeprefix(PREFIX)))
    return PREFIX + store.hexdigest()


TABLES_DIGEST = "tables_digest"  # the attribute, which is not a part of what it covers


@dataclass(frozen=True)
class Table:
    """An array as a reader sees it. ``data`` is None for the pixels, which the content digest covers."""

    name: str
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: Mapping[str, Any]
    data: npt.NDArray[Any] | None


def tables_digest(attributes: Mapping[str, Any], tables: Iterable[Table]) -> str:
    """``sha256:...`` over the attributes of a group and its arrays, sorted by name.

    Each as JSON (keys sorted, no blanks, ASCII, numbers as they are) and a line feed; after that of an array its
    values, little-endian, C order.
    """
    digest = hashlib.sha256(_json({name: value for name, value in attributes.items() if name != TABLES_DIGEST}))
    for table in sorted(tables, key=lambda one: one.name):
        digest.update(_json([table.name, table.dtype, table.dims, table.shape, dict(table.attributes)]))
        if table.data is not None:
            digest.update(np.asarray(table.data, np.dtype(table.dtype).newbyteorder("<")).tobytes())
    return PREFIX + digest.hexdigest()


def make_tables(specs: Iterable[ArraySpec], columns: Mapping[str, npt.NDArray[Any]]) -> list[Table]:
    """Arrays of the layout with what is to be written."""
    return [
        Table(spec.name, spec.dtype, spec.dims, columns[spec.name].shape, spec.attributes, columns[spec.name])
        for spec in specs
    ]


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no value of an attribute")
