"""Content digests: one number for what a unit holds, the same in Zarr and HDF5 and for any chunking or codec.

- sample: sha256 over localid (int64), row_size (int32), time (int32), label (int8), weight (float32) and image
  (uint16) of the sample, each array whole, little-endian, in stored order;
- unit: sha256 over (localid int64, sample digest 32 bytes) of each sample in stored order;
- store: sha256 over (unit name in UTF-8, unit digest 32 bytes) of each unit, sorted by name.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

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
