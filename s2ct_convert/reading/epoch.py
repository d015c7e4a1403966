"""Reads samples in shuffled order at the speed of sequential reading.

Neighbouring samples share chunks, so reading single samples in random order decodes a third more chunks than exist.
Therefore neighbouring samples are read together as a block, blocks are read in random order, and the samples of
several blocks are mixed in memory (as in annbatch, arXiv 2604.01949).
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

BLOCK_OBS = 1024  # observations per block; 14.5 MB of the default data set
MIXED_BLOCKS = 8  # blocks mixed in memory


class Item(NamedTuple):
    """One sample with its unit and localid."""

    unit: str
    localid: int
    sample: Sample


@dataclass(frozen=True)
class EpochShare:
    """The part of an epoch that one of several readers gets.

    Ranks are the processes of distributed training; each has ``workers`` readers. All ranks get the same number of
    samples. An epoch therefore omits up to one block of samples per rank; another epoch omits other samples.
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
    """
    share = share or EpochShare()
    rng = np.random.default_rng((seed, epoch))
    blocks = _blocks(samples, block_obs, share.ranks)
    if shuffle:
        blocks = [blocks[i] for i in rng.permutation(len(blocks))]
    blocks = _of_rank(blocks, share)[share.worker :: share.workers]
    # A separate generator: the mixing of a share must not depend on the number of shares.
    mixing = np.random.default_rng((seed, epoch, share.rank, share.worker))
    buffers = _Buffers(block_obs, store.dataset.obs_shape)
    for first in range(0, len(blocks), mixed_blocks):
        yield from _mixed(store, blocks[first : first + mixed_blocks], buffers, mixing if shuffle else None)


def count_samples(
    samples: Samples, share: EpochShare, block_obs: int = BLOCK_OBS, *, seed: int = 0, epoch: int = 0
) -> int:
    """Number of samples that each rank gets in a shuffled epoch.

    Raises
    ------
    ValueError
        If there are fewer samples than ranks.
    """
    blocks = _blocks(samples, block_obs, share.ranks)
    order = np.random.default_rng((seed, epoch)).permutation(len(blocks))
    return sum(len(block) for block in _of_rank([blocks[i] for i in order], share))


def _blocks(samples: Samples, block_obs: int, ranks: int) -> list[npt.NDArray[Any]]:
    """Cut the rows of the table into blocks: neighbours in one unit, at most ``block_obs`` observations or one sample.

    With several ranks, blocks are smaller if there would be fewer than eight per rank, so that few samples are cut off.
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
    """The blocks of a rank, cut off so that all ranks have the same number of samples."""
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
    """Memory for pixels, reused once nothing refers to its content: fresh pages cost a tenth of the time."""

    def __init__(self, block_obs: int, obs_shape: tuple[int, ...]) -> None:
        self._block_obs, self._obs_shape = block_obs, obs_shape
        self._arrays: list[Pixels] = []

    def new(self, n: int) -> Pixels:
        """An array for ``n`` observations."""
        if n > self._block_obs:  # one long sample
            return new_images(n, self._obs_shape)
        for array in self._arrays:
            # Three references: the list, the name and the call itself. Every view of the array adds one.
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
    """Read the samples of several blocks. Samples with adjacent rows are views of one array, without copying."""
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
