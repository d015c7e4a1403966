"""Reads samples in shuffled order at the speed of sequential reading.

Neighbouring samples share chunks, so reading single samples in random order decodes a third more chunks than exist.
Therefore neighbouring samples are read together as a block, blocks are read in random order, and the samples of
several blocks are mixed in memory (as in annbatch, arXiv 2604.01949).
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..threads import for_each
from .chunks import Pixels
from .epoch_plan import Positions, Window, blocks_of_rank, cut_blocks, shuffle_blocks, windows
from .images import call, new_images, runs_of
from .sample import Sample
from .series import Series, all_series
from .store import Store
from .table import Samples

BLOCK_OBS = 1024  # observations per block; 14.5 MB of the default data set
MIXED_BLOCKS = 8  # blocks mixed in memory

Wanted = Callable[[Positions], npt.NDArray[np.bool_]]  # which positions of an epoch to read


class Item(NamedTuple):
    """One sample with its unit and localid."""

    unit: str
    localid: int
    sample: Sample


@dataclass(frozen=True)
class EpochShare:
    """The part of an epoch that one of several readers gets.

    Ranks are the processes of distributed training; each has ``workers`` readers. All ranks get the same number of
    samples. An epoch therefore omits up to ``ranks - 1`` samples; another epoch omits other samples.
    """

    rank: int = 0
    ranks: int = 1
    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.ranks and 0 <= self.worker < self.workers):
            raise ValueError(f"{self}: rank is from 0 to ranks - 1, and worker from 0 to workers - 1")


def read_epoch(
    store: Store,
    samples: Samples,
    *,
    seed: int = 0,
    epoch: int = 0,
    share: EpochShare | None = None,
    shuffle: bool = True,
    block_obs: int = BLOCK_OBS,
    mixed_blocks: int = MIXED_BLOCKS,
) -> Iterator[Item]:
    """Yield every sample once, in an order that depends only on ``seed``, ``epoch``, ``share`` and the two sizes.

    Parameters
    ----------
    store : Store
    samples : Samples
        ``store.samples`` or a part of it.
    seed, epoch : int
    share : EpochShare, optional
        The part to read; all by default.
    shuffle : bool
        False: sorted by split, tile and localid.
    block_obs : int
        Observations read at once.
    mixed_blocks : int
        Number of blocks whose samples are mixed. Memory holds up to ``block_obs * mixed_blocks`` observations of
        14,112 bytes each in the default data set.

    Raises
    ------
    StoreDamaged
        If stored bytes are missing or do not match their checksums.
    ValueError
        If there are fewer samples than ranks.
    """
    share, series = share or EpochShare(), all_series(samples)
    blocks = cut_blocks(series, block_obs, share.ranks)
    if shuffle:
        blocks = shuffle_blocks(blocks, seed, epoch)
    blocks = blocks_of_rank(blocks, share.rank, share.ranks)[share.worker :: share.workers]
    # A separate generator: the mixing of a share must not depend on the number of shares.
    mixing = np.random.default_rng((seed, epoch, share.rank, share.worker)) if shuffle else None
    memory = Memory(store.dataset.obs_shape, block_obs, 2 * mixed_blocks)
    for _, item in read_windows(store, series, windows(blocks, mixed_blocks, mixing), memory):
        yield item


def read_windows(
    store: Store, series: Series, parts: Iterable[Window], memory: Memory, wanted: Wanted | None = None
) -> Iterator[tuple[int, Item]]:
    """Yield the samples of windows in order, each with its position, counted over all windows.

    Parameters
    ----------
    wanted : callable, optional
        Selects positions. Samples at other positions are not read.
    """
    begin = 0
    for window in parts:
        positions = np.arange(begin, begin + len(window.order))
        begin += len(window.order)
        mine = np.ones(len(positions), bool) if wanted is None else wanted(positions)
        if not mine.any():
            continue
        read = np.zeros(len(positions), bool)
        read[window.order[mine]] = True
        found = dict(zip(np.flatnonzero(read).tolist(), _read(store, series, window.blocks, read, memory), strict=True))
        for position, place in zip(positions[mine].tolist(), window.order[mine].tolist(), strict=True):
            yield position, found.pop(place)


class _Lent:
    """Memory of one block while any array refers to it.

    numpy keeps the object that lends memory to an array alive for as long as the array, its views, and the tensors
    and buffers made of them (the array interface protocol, version 3).
    """

    def __init__(self, memory: Pixels) -> None:
        self.__array_interface__, self._memory = memory.__array_interface__, memory


class Memory:
    """Memory for blocks, reused once no array refers to it: fresh pages cost a tenth of the time.

    Parameters
    ----------
    obs_shape : tuple of int
        Shape of one patch.
    block_obs : int
        Observations of a block.
    keep : int
        The largest number of unused blocks to keep. Items of the window before may still be in use while a window
        is read, so up to two windows of blocks exist.
    """

    def __init__(self, obs_shape: tuple[int, ...], block_obs: int, keep: int) -> None:
        self._obs_shape, self._block_obs = obs_shape, block_obs
        self._free: deque[Pixels] = deque(maxlen=keep)

    def lend(self, n: int) -> Pixels:
        """An array for ``n`` observations with any content."""
        if n > self._block_obs:  # one long sample
            return new_images(n, self._obs_shape)
        memory = self._free.pop() if self._free else new_images(self._block_obs, self._obs_shape)
        lent = _Lent(memory)
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return np.asarray(lent)[:n]


def _read(
    store: Store, series: Series, blocks: list[Positions], read: npt.NDArray[np.bool_], memory: Memory
) -> list[Item]:
    """Read samples of several blocks, in the order of the blocks. ``read`` selects them.

    The images of a block are views of one array, without copying.
    """
    items: list[Item] = []
    tasks: list[Callable[[], None]] = []
    begin = 0
    for block in blocks:
        wanted = block[read[begin : begin + len(block)]].tolist()
        begin += len(block)
        if not wanted:
            continue
        unit = store[series.unit(wanted[0])]
        rows = [series.rows(i) for i in wanted]
        ends = np.cumsum([len(own) for own in rows]).tolist()
        images = memory.lend(ends[-1])
        tasks += unit.plan_images(runs_of(np.concatenate(rows)), in_pieces(images))[1]
        for i, own, low, high in zip(wanted, rows, [0, *ends], ends, strict=False):
            arrays: tuple[Any, ...] = (unit.label[own], unit.time[own], unit.weight[own])
            items.append(Item(str(unit.name), series.localid(i), Sample(images[low:high], *arrays)))
    for_each(call, tasks, waiting=store.waits)
    return items


def in_pieces(images: Pixels) -> Callable[[int], Pixels]:
    """A function that returns the next ``n`` observations of the array at each call."""
    used = 0

    def take(n: int) -> Pixels:
        nonlocal used
        used += n
        return images[used - n : used]

    return take
