"""An iterable dataset: every sample once per epoch, in shuffled blocks. Imported only when torch is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Unpack

import torch
import torch.distributed
from torch.utils.data import IterableDataset, get_worker_info

from ..reading.epoch import BLOCK_OBS, MIXED_BLOCKS, EpochShare, count_samples, read_epoch
from ..reading.table import Where
from .samples import SampleDataset, make_item


class ShuffledDataset(IterableDataset[Any]):
    """All samples, shuffled in blocks, as fast as the store can be decoded.

    The same ``seed``, epoch, ranks and workers give the same order. Ranks get disjoint parts of the same length. The
    workers of a rank share its part. Call ``set_epoch`` before each epoch.

    Parameters
    ----------
    path : path-like
        A Zarr or HDF5 store.
    seed : int
    rank, ranks : int, optional
        This rank and the number of ranks. Default: those of ``torch.distributed`` if it is initialised, else 0 of 1.
    block_obs, mixed_blocks : int
        As for ``read_epoch``. They bound the memory of each worker.
    transform : callable, optional
        Applied to each item; items are those of ``SampleDataset``.
    tile, split, localid, time, label : optional
        Selection of samples, as for ``Samples.where``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        seed: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
        block_obs: int = BLOCK_OBS,
        mixed_blocks: int = MIXED_BLOCKS,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        **where: Unpack[Where],
    ) -> None:
        self._samples = SampleDataset(path, **where)
        ready = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = rank if rank is not None else torch.distributed.get_rank() if ready else 0
        self.ranks = ranks if ranks is not None else torch.distributed.get_world_size() if ready else 1
        if not 0 <= self.rank < self.ranks:
            raise ValueError(f"rank {self.rank} of {self.ranks}")
        self.seed, self.block_obs, self.mixed_blocks = seed, block_obs, mixed_blocks
        self.transform = transform
        # Shared memory: workers may live for several epochs (persistent_workers=True).
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, and so the order of samples."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        """Number of samples of this rank in this epoch."""
        share = EpochShare(self.rank, self.ranks)
        epoch = int(self._epoch)
        return count_samples(self._samples.samples, share, self.block_obs, seed=self.seed, epoch=epoch)

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        share = EpochShare(self.rank, self.ranks, worker.id if worker else 0, worker.num_workers if worker else 1)
        for item in read_epoch(
            self._samples.store,
            self._samples.samples,
            seed=self.seed,
            epoch=int(self._epoch),
            share=share,
            block_obs=self.block_obs,
            mixed_blocks=self.mixed_blocks,
        ):
            made = make_item(item.unit, item.localid, item.sample)
            yield self.transform(made) if self.transform else made
