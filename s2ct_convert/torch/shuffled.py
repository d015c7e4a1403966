"""An iterable dataset of batches: every sample once per epoch, in shuffled blocks. Imported only when torch is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from ..reading.epoch import BLOCK_OBS, MIXED_BLOCKS, Memory, read_windows
from ..reading.epoch_plan import Batching, Positions, Window, blocks_of_rank, cut_blocks, shuffle_blocks, windows
from ..reading.series import Series, shorten
from .batch import Batch
from .collate import collate_ragged
from .items import ItemOptions
from .progress import Progress, Stretch
from .ranks import check_rank, find_rank
from .samples import SampleDataset


class ShuffledOptions(ItemOptions, total=False):
    """Arguments of ``ShuffledDataset`` beyond its own: those of ``SampleDataset``, and sizes."""

    max_length: int | None
    block_obs: int
    mixed_blocks: int


class ShuffledDataset(IterableDataset[Any]):
    """Batches of all samples, shuffled in blocks, as fast as the store can be decoded.

    The dataset makes the batches itself, so give ``batch_size=None`` to the DataLoader. The same ``seed``, epoch and
    number of ranks give the same batches in the same order, with any number of workers. All ranks have the same
    number of batches of the same sizes. Call ``set_epoch`` before each epoch.

    Parameters
    ----------
    path : path-like
        A Zarr or HDF5 store.
    batch_size : int
        Samples of a batch on each rank.
    seed : int
    rank, ranks : int, optional
        This rank and the number of ranks. Default: those of ``torch.distributed`` if it is initialised, else those of
        ``torchrun`` (``RANK`` and ``WORLD_SIZE``), else 0 of 1.
    drop_last : bool
        Drop an incomplete last batch.
    pad : bool
        If the samples cannot be divided equally between ranks. False: up to ``ranks - 1`` samples are left out,
        different ones in each epoch. True: none is left out; the last rank or ranks read the first samples of the
        epoch a second time, and items have ``repeated``, which is True for these.
    collate : callable
        Makes a batch of a list of items: ``collate_ragged``, ``collate_padded``, or your own.
    max_length : int, optional
        Most observations of an item. An item of a longer series has consecutive ones, different ones in each epoch.
    block_obs, mixed_blocks : int, optional
        As for ``read_epoch``. They limit the memory of all workers together.
    dtype, scale, crop, transform, samples, tile, split, localid, time, label : optional
        As for ``SampleDataset``.

    Raises
    ------
    ValueError
        If there are too few samples for the ranks or for one batch, or an argument is out of range.
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
        batch_size: int,
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
        self.block_obs = options.pop("block_obs", BLOCK_OBS)
        self.mixed_blocks = options.pop("mixed_blocks", MIXED_BLOCKS)
        self._samples = SampleDataset(path, **options)  # type: ignore[misc]  # the others are taken out
        self.seed, self.collate, self._rank_given = seed, collate, rank is not None
        self.rank, self.ranks = find_rank(rank, ranks)
        self.batching = Batching(len(self._samples), batch_size, self.ranks, drop_last, pad)
        _ = self.batching.count  # raises now if there are too few samples
        self._progress = Progress()

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return self._progress.epoch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, and so the order of samples."""
        self._progress.set_epoch(epoch)

    def __len__(self) -> int:
        """Number of batches of each rank in an epoch."""
        self._check_rank()
        return self.batching.count

    def __iter__(self) -> Iterator[Any]:
        self._check_rank()
        return self._batches(self._progress.begin())

    def _check_rank(self) -> None:
        if not self._rank_given and get_worker_info() is None:
            check_rank(self.rank, self.ranks)

    def _batches(self, mine: Stretch) -> Iterator[Any]:
        """The batches of this process."""
        series, size = self._series(mine.epoch), self.batching.batch_size
        memory = Memory(self._samples.store.dataset.obs_shape, self.block_obs, self.mixed_blocks)
        unique = self.batching.per_rank - self.batching.repeated(self.rank)
        last = min(self.batching.count * size, self.batching.per_rank) - 1

        def wanted(positions: Positions) -> Any:
            return self.batching.read_by(positions // size, mine.first, mine.workers)

        items = []
        for position, unmixed, (unit, localid, sample) in read_windows(
            self._samples.store, series, self._windows(series, mine.epoch), memory, wanted
        ):
            more = {"repeated": unmixed >= unique} if self.batching.pad else {}
            items.append(self._samples.make(unit, localid, sample, **more))
            if (position + 1) % size == 0 or position == last:
                self._progress.passed(mine.epoch, position // size + mine.workers)
                batch, items = self.collate(items), []
                yield Batch(batch) if type(batch) is dict else batch

    def _series(self, epoch: int) -> Series:
        whole = self._samples.series
        if self.max_length is None:
            return whole
        return shorten(whole, self.max_length, np.random.default_rng((self.seed, epoch, 0, 0, 1)))

    def _windows(self, series: Series, epoch: int) -> Iterator[Window]:
        blocks = shuffle_blocks(cut_blocks(series, self.block_obs, self.ranks), self.seed, epoch)
        own = blocks_of_rank(blocks, self.rank, self.ranks, pad=self.batching.pad)
        return windows(own, self.mixed_blocks, np.random.default_rng((self.seed, epoch, self.rank, 0)))

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """The place in the epoch, to continue from there after a stop.

        Parameters
        ----------
        batches : int, optional
            Batches that the training loop has used in this epoch. Needed if the DataLoader has workers. The
            StatefulDataLoader of torchdata needs no number: it asks the workers.

        Raises
        ------
        ValueError
            If the number is needed, or is not one of 0 to ``len(self)``.
        """
        epoch, now = (self.epoch, batches) if batches is not None else self._progress.now()
        if batches is not None and not 0 <= batches <= self.batching.count:
            raise ValueError(f"batches={batches}, but an epoch has {self.batching.count}")
        return {"epoch": epoch, "batches": now, "order": self._order()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin the next iteration after the batches of a state, without reading them. Later epochs are whole.

        A state is valid for each rank, and for any number of workers.

        Raises
        ------
        ValueError
            If the state comes from another store, or from other arguments that decide the order.
        """
        own = self._order()
        if different := [name for name in own if state["order"].get(name) != own[name]]:
            name = different[0]
            raise ValueError(
                f"the state is of another order: {name} was {state['order'].get(name)!r}, but is {own[name]!r} here"
            )
        self._progress.load(int(state["epoch"]), int(state["batches"]))

    def _order(self) -> dict[str, Any]:
        """What decides which samples are in which batch, besides the epoch and the rank."""
        batching = self.batching
        return {
            "store": self._samples.digest,
            "samples": batching.samples,
            "selection": self._samples.series.digest(),
            "seed": self.seed,
            "batch_size": batching.batch_size,
            "ranks": batching.ranks,
            "drop_last": batching.drop_last,
            "pad": batching.pad,
            "max_length": self.max_length,
            "block_obs": self.block_obs,
            "mixed_blocks": self.mixed_blocks,
        }
