"""Content digests: a hash of the content of a unit, the same in Zarr and HDF5 and for any chunking or codec.

- sample: sha256 over localid (int64), row_size (int32), date (int64), time (int32), label (int8) and weight (float32)
  of the sample, each whole array little-endian in stored order, then the sha256 of its images (uint16);
- unit: sha256 over (localid int64, sample digest 32 bytes) of each sample in stored order, then of each published
  feature, by key: key, name and kind as a JSON list and a line feed, state (int8), offset (int64), data;
- store: sha256 over (unit name in UTF-8, unit digest 32 bytes) of each unit, sorted by name.

Layout 1 has no date and no published features, and hashes the images themselves in place of their sha256.

The tables digest covers the rest of a group that a reader sees: its attributes, and every array with its
attributes, except the pixels. Each unit has one; the root has one that covers its attributes and the index.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..published import PublishedFeature
from .layout import LAYOUT_VERSION

PREFIX = "sha256:"
_PIECE_BYTES = 4 << 20

_COLUMNS = {"date": "<i8", "time": "<i4", "label": "i1", "weight": "<f4"}
NO_IMAGES = hashlib.sha256().digest()


class ImageDigests:
    """The sha256 of the images of each sample. Samples arrive one after another, each in any number of pieces."""

    def __init__(self) -> None:
        self._done: dict[Any, bytes] = {}
        self._sample: Any = None
        self._images: Any = None

    def sample(self, sample: Any) -> None:
        """Start or continue a sample: the next images belong to it."""
        if self._images is None or sample != self._sample:
            self._end()
            self._sample, self._images = sample, hashlib.sha256()

    def image(self, images: npt.NDArray[np.uint16]) -> None:
        """Add the next images of the sample."""
        self._images.update(np.ascontiguousarray(images, "<u2").data)

    def _end(self) -> None:
        if self._images is not None:
            self._done[self._sample] = self._images.digest()

    def finish(self) -> dict[Any, bytes]:
        """Digests by sample. If another sample came between the pieces of a sample, only the pieces after it count.

        Such a unit must be written again in order.
        """
        self._end()
        self._images = None
        return self._done


def digest_columns(layout: int = LAYOUT_VERSION) -> tuple[str, ...]:
    """Columns of observations that the digest of a sample covers."""
    return tuple(name for name in _COLUMNS if layout > 1 or name != "date")


def sample_digest(localid: int, columns: Mapping[str, npt.NDArray[Any]], images_sha256: bytes) -> bytes:
    """The digest of one sample from its rows of ``digest_columns`` and the sha256 of its images."""
    digest = _begin(localid, columns, LAYOUT_VERSION)
    digest.update(images_sha256)
    return digest.digest()  # type: ignore[no-any-return]


def digest_sample(
    localid: int,
    columns: Mapping[str, npt.NDArray[Any]],
    images: Iterable[npt.NDArray[np.uint16]],
    layout: int = LAYOUT_VERSION,
) -> bytes:
    """The digest of one sample in a store of a layout, from its images, in one or more pieces."""
    digest = _begin(localid, columns, layout)
    inner = digest if layout == 1 else hashlib.sha256()
    for piece in images:
        inner.update(np.ascontiguousarray(piece, "<u2").data)
    if inner is not digest:
        digest.update(inner.digest())
    return digest.digest()  # type: ignore[no-any-return]


def _begin(localid: int, columns: Mapping[str, npt.NDArray[Any]], layout: int) -> Any:
    names = digest_columns(layout)
    digest = hashlib.sha256(struct.pack("<qi", localid, len(columns["time"])))
    for name in names:
        digest.update(np.ascontiguousarray(columns[name], _COLUMNS[name]).data)
    return digest


class UnitDigest:
    """Computes the digest of a unit: add its samples in stored order, then its published features."""

    def __init__(self) -> None:
        self._unit = hashlib.sha256()

    def add(self, localid: int, digest: bytes) -> None:
        """Add the next sample."""
        self._unit.update(struct.pack("<q", localid) + digest)

    def publish(self, features: Sequence[PublishedFeature]) -> None:
        """Add all published features of the unit."""
        for one in sorted(features, key=lambda one: one.key):
            self._unit.update(_json([one.key, one.name, one.kind]))
            for array, dtype in ((one.state, "i1"), (one.offset, "<i8"), (one.data, "u1")):
                for piece in pieces(array):
                    self._unit.update(np.ascontiguousarray(piece, dtype).data)

    def hexdigest(self) -> str:
        """``sha256:...`` of the unit."""
        return PREFIX + self._unit.hexdigest()


def pieces(array: Any) -> Iterator[npt.NDArray[Any]]:
    """Pieces of an array that may not fit in memory, along its first dimension."""
    if not array.ndim or array.size * array.dtype.itemsize <= _PIECE_BYTES:
        yield np.asarray(array[...])
        return
    rows = max(1, _PIECE_BYTES * array.shape[0] // (array.size * array.dtype.itemsize))
    for row in range(0, array.shape[0], rows):
        yield np.asarray(array[row : row + rows])


def store_digest(units: Mapping[str, str]) -> str:
    """``sha256:...`` of a store from the digests of its units by name."""
    store = hashlib.sha256()
    for name, digest in sorted(units.items()):
        store.update(name.encode() + bytes.fromhex(digest.removeprefix(PREFIX)))
    return PREFIX + store.hexdigest()


TABLES_DIGEST = "tables_digest"  # name of the attribute; the digest does not cover it


@dataclass(frozen=True)
class Table:
    """An array as a reader sees it.

    ``data`` is an array or can be sliced like one; None for the pixels, which the content digest covers.
    """

    name: str
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: Mapping[str, Any]
    data: Any


def tables_digest(attributes: Mapping[str, Any], tables: Iterable[Table]) -> str:
    """``sha256:...`` over the attributes of a group and its arrays, sorted by name.

    Each is hashed as JSON (keys sorted, no blanks, ASCII, numbers as numbers) and a line feed. The values of an array
    follow its JSON, little-endian, C order.
    """
    digest = hashlib.sha256(_json({name: value for name, value in attributes.items() if name != TABLES_DIGEST}))
    for table in sorted(tables, key=lambda one: one.name):
        digest.update(_json([table.name, table.dtype, table.dims, table.shape, dict(table.attributes)]))
        for piece in pieces(table.data) if table.data is not None else ():
            digest.update(np.ascontiguousarray(piece, np.dtype(table.dtype).newbyteorder("<")).data)
    return PREFIX + digest.hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"an attribute cannot be a {type(value).__name__}")
