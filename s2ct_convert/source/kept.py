"""Collects the bytes of features that typed arrays do not hold. Large amounts go to disk."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..published import ABSENT, ELSEWHERE, HERE, PublishedFeature, make_keys
from .example import Kept

SPOOL_BYTES = 1 << 20  # per feature, held in memory; there may be hundreds of features


class _Values:
    """The values of one feature in one form, in the order of examples."""

    def __init__(self, spool: Path | None) -> None:
        # The file has no name, so a crash leaves nothing behind.
        self._file = tempfile.SpooledTemporaryFile(SPOOL_BYTES, dir=None if spool is None else str(spool))
        weakref.finalize(self, self._file.close)  # memory that is mapped outlives it
        self._here: list[tuple[int, int]] = []  # example, bytes
        self._absent: list[int] = []

    def add(self, example: int, data: bytes | None) -> None:
        if data is None:
            self._absent.append(example)
            return
        self._file.write(data)
        self._here.append((example, len(data)))

    def feature(self, key: str, name: str, kind: str, examples: int) -> PublishedFeature:
        state = np.full(examples, ELSEWHERE, np.int8)
        sizes = np.zeros(examples + 1, np.int64)
        state[self._absent] = ABSENT
        for example, size in self._here:
            state[example], sizes[example + 1] = HERE, size
        offset = np.cumsum(sizes)
        return PublishedFeature(key, name, kind, state, offset, self._data(int(offset[-1])))

    def _data(self, size: int) -> npt.NDArray[np.uint8]:
        self._file.flush()
        self._file.seek(0)
        if size <= SPOOL_BYTES:
            return np.frombuffer(self._file.read(), np.uint8)
        self._file.rollover()
        return np.memmap(self._file, np.uint8, "r", shape=(size,))


class KeptBytes:
    """The kept features of a source. Examples are added in order.

    ``spool`` is a folder for features that are too large for memory; None for the temporary folder of the system.
    """

    def __init__(self, spool: Path | None = None) -> None:
        self._spool = spool
        self._values: dict[tuple[str, str], _Values] = {}

    def add(self, example: int, kept: Kept) -> None:
        """Keep one feature of an example."""
        key = (kept.name, str(kept.kind))
        if key not in self._values:
            self._values[key] = _Values(self._spool)
        self._values[key].add(example, kept.data)

    def features(self, examples: int) -> tuple[PublishedFeature, ...]:
        """All kept features, sorted by group name."""
        keys = make_keys(self._values)
        made: Sequence[PublishedFeature] = [
            values.feature(keys[name, kind], name, kind, examples) for (name, kind), values in self._values.items()
        ]
        return tuple(sorted(made, key=lambda one: one.key))
