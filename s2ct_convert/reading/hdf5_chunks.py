"""Locates the chunks of ``image`` in an HDF5 file. Apart from ``chunks``, since the import of h5py takes time."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import StoreDamaged
from ..store.codecs import recognise_hdf5
from ..store.hdf5_file import reading
from .chunks import Place, rewritten


class Hdf5Chunks:
    """Chunks of an HDF5 dataset. One walk over the chunk tree reads all places.

    Bytes are read from the file that h5py has open, even if another file replaces its name.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._file: str = dataset.file.filename  # in a linked store: the file of the unit
        with reading(self._file, f"the chunk index of {dataset.name}"):
            self._read_map(dataset)

    def _read_map(self, dataset: h5py.Dataset) -> None:
        plist = dataset.id.get_create_plist()
        codec = recognise_hdf5([plist.get_filter(i)[0] for i in range(plist.get_nfilters())])
        if codec is None or dataset.chunks is None or dataset.chunks[1:] != dataset.shape[1:]:
            raise rewritten(Path(self._file))
        self.codec = codec
        self.chunk_obs: int = dataset.chunks[0]
        self.obs_shape: tuple[int, ...] = dataset.chunks[1:]
        self._offsets = np.full(-(-len(dataset) // self.chunk_obs), -1, np.int64)
        self._sizes = np.zeros(len(self._offsets), np.int64)
        dataset.id.chunk_iter(self._add)
        self._fd = os.dup(dataset.file.id.get_vfd_handle())
        weakref.finalize(self, os.close, self._fd)

    def prepare(self, numbers: Sequence[int]) -> None:
        """Nothing to do: all places are known."""

    def unchanged(self) -> None:
        """Nothing to check: the file stays open."""

    def check_all(self) -> None:
        """Check that every chunk exists, without reading chunks."""
        for number in range(len(self._offsets)):
            self.place(number)

    def _add(self, chunk: Any) -> None:
        number = chunk.chunk_offset[0] // self.chunk_obs
        if number < len(self._offsets) and not chunk.filter_mask:
            self._offsets[number], self._sizes[number] = chunk.byte_offset, chunk.size

    def place(self, number: int) -> Place:
        if self._offsets[number] < 0:
            raise StoreDamaged(f"chunk {number} of image is missing", where=self._file)
        return Place(self._file, int(self._offsets[number]), int(self._sizes[number]), self._fd)
