"""Samples in shuffled order at the speed of reading them in a row.

Reading one sample here and one there decodes a third more chunks than there are, since a chunk is shared by
neighbours. So neighbouring samples are read together as a block, blocks come in random order, and the samples of
several blocks are mixed in memory (as annbatch does, arXiv 2604.01949).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..threads import for_each
from .chunks import Pixels
from .images import call, new_images
from .store import Store
from .table import Samples
from .unit import Sample

BLOCK_OBS = 1024  # observations of a block; 14.5 MB of the default data set
MIXED_BLOCKS = 8  # blocks that are mixed in memory


class Item(NamedTuple):
    """One sample with what tells which it is."""

    unit: str
    localid: int
    sample: Sample


@dataclass(frozen=True)
class EpochShare:
    """The part of an epoch that one of several readers gets.

    Ranks are the processes of distributed training; each has ``workers`` readers. All ranks get the same number of
    samples: up to one block of samples a rank is left out of an epoch, others in the next.
    """

    rank: int = 0
    ranks: int = 1
    worker: int = 0
    workers: int = 1


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
    """Every sample once, in an order that only ``seed``, ``epoch``, ``share`` and the two sizes determine.

    Parameters
    ----------
    store : Store
    samples : Samples
        ``store.samples``, or some of them.
    seed, epoch : int
    share : EpochShare, optional
        The part to read; default: all.
    shuffle : bool
        False: sorted by split, tile and localid.
    block_obs : int
        Observations that are read at once.
    mixed_blocks : int
        Blocks whose samples are mixed. Up to ``block_obs * mixed_blocks`` observations are in memory, of 14,112 bytes
        each in the default data set.

    Raises
    ------
    StoreDamaged
        If what is stored is missing or does not fit its checksums.
    """
    share = share or EpochShare()
    rng = np.random.default_rng((seed, epoch))
    blocks = _blocks(samples, block_obs, share.ranks)
    if shuffle:
        blocks = [blocks[i] for i in rng.permutation(len(blocks))]
    blocks = _of_rank(blocks, share)[share.worker :: share.workers]
    # A generator of its own: what this share mixes must not depend on how many others there are.
    mixing = np.random.default_rng((seed, epoch, share.rank, share.worker))
    buffers = _Buffers(block_obs, store.dataset.obs_shape)
    for first in range(0, len(blocks), mixed_blocks):
        yield from _mixed(store, blocks[first : first + mixed_blocks], buffers, mixing if shuffle else None)


def count_samples(
    samples: Samples, share: EpochShare, block_obs: int = BLOCK_OBS, *, seed: int = 0, epoch: int = 0
) -> int:
    """How many samples each rank gets of a shuffled epoch.

    Raises
    ------
    ValueError
        If there are fewer samples than ranks.
    """
    blocks = _blocks(samples, block_obs, share.ranks)
    order = np.random.default_rng((seed, epoch)).permutation(len(blocks))
    return sum(len(block) for block in _of_rank([blocks[i] for i in order], share))


def _blocks(samples: Samples, block_obs: int, ranks: int) -> list[npt.NDArray[Any]]:
    """Rows of the table in pieces: neighbours of one unit, of at most ``block_obs`` observations or one sample.

    In smaller pieces where there would be fewer than eight for each of several ranks, for what is cut off to be little.
    """
    rows, out, begin, waiting = samples.rows, [], 0, 0
    sizes, splits, tiles = rows["row_size"].tolist(), rows["split"].tolist(), rows["tile"].tolist()
    if ranks > 1:
        block_obs = min(block_obs, sum(sizes) // (8 * ranks))
    for i, size in enumerate(sizes):
        other = i > begin and (splits[i], tiles[i]) != (splits[begin], tiles[begin])
        if i > begin and (other or waiting + size > block_obs):
            out.append(rows[begin:i])
            begin, waiting = i, 0
        waiting += size
    if len(rows):
        out.append(rows[begin:])
    return out


def _of_rank(blocks: list[npt.NDArray[Any]], share: EpochShare) -> list[npt.NDArray[Any]]:
    """The blocks of a rank, cut at the end so that all ranks have the same number of samples."""
    left = min(sum(len(block) for block in blocks[rank :: share.ranks]) for rank in range(share.ranks))
    if not left and blocks:
        raise ValueError(f"{sum(map(len, blocks))} samples are too few for {share.ranks} ranks")
    own = []
    for block in blocks[share.rank :: share.ranks]:
        if not left:
            break
        own.append(block[:left])
        left -= len(own[-1])
    return own


class _Buffers:
    """Memory for pixels, used again once nobody refers to what was in it: fresh pages cost a tenth of the time."""

    def __init__(self, block_obs: int, obs_shape: tuple[int, ...]) -> None:
        self._block_obs, self._obs_shape = block_obs, obs_shape
        self._arrays: list[Pixels] = []

    def new(self, n: int) -> Pixels:
        """An array for ``n`` observations."""
        if n > self._block_obs:  # one long sample
            return new_images(n, self._obs_shape)
        for array in self._arrays:
            # Referred to by the list, the name and the call itself, and by every array that is a part of it.
            if sys.getrefcount(array) == 3:
                return array[:n]
        self._arrays.append(new_images(self._block_obs, self._obs_shape))
        return self._arrays[-1][:n]


def _mixed(
    store: Store, blocks: list[npt.NDArray[Any]], buffers: _Buffers, mixing: np.random.Generator | None
) -> Iterator[Item]:
    items = _read(store, blocks, buffers)
    for i in mixing.permutation(len(items)) if mixing else range(len(items)):
        yield items[i]


def _read(store: Store, blocks: list[npt.NDArray[Any]], buffers: _Buffers) -> list[Item]:
    """The samples of several blocks; those whose rows adjoin are parts of one array, which costs no copying."""
    items, tasks = [], []
    for block in blocks:
        unit = store[f"{block[0]['split']}/{block[0]['tile']}"]
        localids, starts = block["localid"].tolist(), block["row_start"].tolist()
        ends = (block["row_start"] + block["row_size"]).tolist()
        breaks = [k for k in range(1, len(block)) if starts[k] != ends[k - 1]]
        parts = list(pairwise([0, *breaks, len(block)]))
        images, some = unit.plan_images([slice(starts[low], ends[high - 1]) for low, high in parts], buffers.new)
        tasks += some
        for (low, high), image in zip(parts, images, strict=True):
            for k in range(low, high):
                rows = slice(starts[k], ends[k])
                columns = (unit.label[rows].copy(), unit.time[rows].copy(), unit.weight[rows].copy())
                own = image[starts[k] - starts[low] : ends[k] - starts[low]]
                items.append(Item(str(unit.name), localids[k], Sample(own, *columns)))
    for_each(call, tasks)
    return items
