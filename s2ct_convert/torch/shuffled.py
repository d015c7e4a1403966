"""An iterable dataset of batches: every sample once per epoch, in shuffled blocks. Imported only when torch is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np

from ..reading.batch_plan import EpochBatches, Limits, plan_batches
from ..reading.epoch import BLOCK_OBS, MIXED_BLOCKS, read_windows
from ..reading.epoch_plan import Batching, RankEpoch, blocks_of_rank, cut_blocks, read_by, shuffle_blocks, windows
from ..reading.series import Series, shorten
from .batch import Batch
from .batches import BatchesDataset
from .collate import collate_padded, collate_ragged
from .items import ItemOptions
from .progress import Stretch
from .samples import SampleDataset


class ShuffledOptions(ItemOptions, total=False):
    """Arguments of ``ShuffledDataset`` beyond its own: those of ``SampleDataset``, and sizes."""

    max_observations: int | None
    bucket_by_length: bool
    count_padding: bool | None
    max_length: int | None
    block_obs: int
    mixed_blocks: int


class ShuffledDataset(BatchesDataset):
    """Batches of all samples, shuffled in blocks, as fast as the store can be decoded.

    The dataset makes the batches itself, so give ``batch_size=None`` to the DataLoader. The same ``seed``, epoch and
    number of ranks give the same batches in the same order, with any number of workers. All ranks have the same
    number of batches; without ``max_observations`` and ``bucket_by_length``, of the same sizes. Call ``set_epoch``
    before each epoch.

    Parameters
    ----------
    path : path-like
        A Zarr or HDF5 store.
    batch_size : int, optional
        Samples of a batch on each rank. With ``max_observations``: most samples of a batch.
    seed : int
    rank, ranks : int, optional
        This rank and the number of ranks. Default: those of ``torch.distributed`` if it is initialised, else those of
        ``torchrun`` (``RANK`` and ``WORLD_SIZE``), else 0 of 1.
    drop_last : bool
        Drop an incomplete last batch.
    pad : bool
        If the samples cannot be divided equally between ranks. False: up to ``ranks - 1`` samples are left out,
        different ones in each epoch. True: none is left out; the last rank or ranks read the first samples of the
        epoch a second time, and items have ``repeated``, which is True for these. With ``max_observations`` or
        ``bucket_by_length`` this is about batches instead: up to ``ranks - 1`` batches are left out or repeated.
    collate : callable
        Makes a batch of a list of items: ``collate_ragged``, ``collate_padded``, or your own.
    max_observations : int, optional
        Most observations of a batch. The number of batches then differs between epochs: ``len`` is that of the
        current epoch, ``batches_in`` that of any.
    bucket_by_length : bool
        Make each batch of samples of similar length: those in memory (``mixed_blocks``) are sorted by length and cut
        into batches, and the batches are shuffled.
    count_padding : bool, optional
        Whether ``max_observations`` counts each sample as long as the longest of its batch. Default: with
        ``collate_padded``.
    max_length : int, optional
        Most observations of an item. An item of a longer series has consecutive ones, different ones in each epoch.
    block_obs, mixed_blocks : int, optional
        As for ``read_epoch``. They limit the memory of all workers together.
    dtype, scale, crop, transform, samples, tile, split, localid, time, label : optional
        As for ``SampleDataset``.

    Raises
    ------
    ValueError
        If there are too few samples for the ranks or for one batch, a series is longer than ``max_observations``, or
        an argument is out of range.
    KeyError, NotAStore, StoreDamaged, Incomplete, MachineError
        As for ``SampleDataset``.

    Examples
    --------
    >>> dataset = ShuffledDataset("clouds.zarr", 8, split="train", scale=1e-4)  # doctest: +SKIP
    >>> loader = DataLoader(dataset, batch_size=None, num_workers=2)  # doctest: +SKIP
    >>> for epoch in range(10):  # doctest: +SKIP
    ...     dataset.set_epoch(epoch)
    ...     for batch in loader: ...
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        batch_size: int | None = None,
        *,
        seed: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
        drop_last: bool = False,
        pad: bool = False,
        collate: Callable[[Sequence[Any]], Any] = collate_ragged,
        **options: Unpack[ShuffledOptions],
    ) -> None:
        self.max_length = options.pop("max_length", None)
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length={self.max_length} must be at least 1")
        count_padding = options.pop("count_padding", None)
        self.limits = Limits(
            batch_size,
            options.pop("max_observations", None),
            _pads(collate) if count_padding is None else count_padding,
            options.pop("bucket_by_length", False),
        )
        self.block_obs = options.pop("block_obs", BLOCK_OBS)
        self.mixed_blocks = options.pop("mixed_blocks", MIXED_BLOCKS)
        super().__init__(rank, ranks)
        self._samples = SampleDataset(path, **options)  # type: ignore[misc]  # the others are taken out
        self.seed, self.collate, self.drop_last, self.pad = seed, collate, drop_last, pad
        self._planned: tuple[int, EpochBatches] | None = None
        sizes = self._series(0).sizes
        self.limits.check(int(sizes.max(initial=0)))
        _ = self.batches_in(0)  # raises now if there are too few samples

    @property
    def _batching(self) -> Batching:
        """How an epoch is cut by the number of samples alone."""
        return Batching(len(self._samples), self.limits.batch_size or 1, self.ranks, self.drop_last, self.pad)

    def batches_in(self, epoch: int) -> int:
        if self.limits.by_length:
            return self._plan(epoch).per_rank(self.ranks, pad=self.pad)
        return self._batching.count

    def _plan(self, epoch: int) -> EpochBatches:
        """The batches of all ranks, where they depend on lengths."""
        if self._planned is None or self._planned[0] != epoch:
            series = self._series(epoch)
            blocks = shuffle_blocks(cut_blocks(series, self.block_obs, self.ranks), self.seed, epoch)
            mixed = windows(blocks, self.mixed_blocks, np.random.default_rng((self.seed, epoch, 0, 0, 2)))
            shuffling = np.random.default_rng((self.seed, epoch, 0, 0, 3))
            plan = plan_batches(series.sizes, mixed, self.limits, shuffling, drop_last=self.drop_last)
            self._planned = epoch, plan
        return self._planned[1]

    def _own(self, series: Series, epoch: int) -> RankEpoch:
        """What this rank reads in an epoch."""
        if self.limits.by_length:
            return self._plan(epoch).of_rank(self.rank, self.ranks, pad=self.pad)
        blocks = shuffle_blocks(cut_blocks(series, self.block_obs, self.ranks), self.seed, epoch)
        own = blocks_of_rank(blocks, self.rank, self.ranks, pad=self.pad)
        mixing = np.random.default_rng((self.seed, epoch, self.rank, 0))
        return self._batching.of_rank(self.rank, list(windows(own, self.mixed_blocks, mixing)))

    def _batches(self, mine: Stretch) -> Iterator[tuple[int, Any]]:
        series = self._series(mine.epoch)
        own = self._own(series, mine.epoch)
        memory = self._samples.memory(self.block_obs, 2 * self.mixed_blocks)
        wanted = read_by(own.numbers, mine.first, mine.workers)
        items = []
        for position, (unit, localid, sample) in read_windows(
            self._samples.store, series, own.windows, memory, wanted.__getitem__
        ):
            more = {"repeated": bool(own.repeated[position])} if self.pad else {}
            items.append(self._samples.make(unit, localid, sample, **more))
            if own.ends_batch(position):
                batch, items = self.collate(items), []
                yield int(own.numbers[position]), Batch(batch) if type(batch) is dict else batch

    def _series(self, epoch: int) -> Series:
        whole = self._samples.series
        if self.max_length is None:
            return whole
        return shorten(whole, self.max_length, np.random.default_rng((self.seed, epoch, 0, 0, 1)))

    def _order(self) -> dict[str, Any]:
        limits = self.limits
        order = {
            "store": self._samples.digest,
            "samples": len(self._samples),
            "selection": self._samples.series.digest(),
            "seed": self.seed,
            "batch_size": limits.batch_size,
            "ranks": self.ranks,
            "drop_last": self.drop_last,
            "pad": self.pad,
            "max_length": self.max_length,
            "block_obs": self.block_obs,
            "mixed_blocks": self.mixed_blocks,
        }
        if limits.bucket_by_length:
            order["bucket_by_length"] = True
        if limits.max_observations is not None:
            order |= {"max_observations": limits.max_observations, "count_padding": limits.count_padding}
        return order


def _pads(collate: Callable[[Sequence[Any]], Any]) -> bool:
    """Whether this is ``collate_padded``, with or without arguments."""
    while isinstance(collate, partial):
        collate = collate.func
    return collate is collate_padded
