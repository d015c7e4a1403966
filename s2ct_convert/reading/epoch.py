"""Samples in shuffled order at the speed of reading them in a row.

Reading one sample here and one there decodes a third more chunks than there are, since a chunk is shared by
neighbours. So neighbouring samples are read together as a block, blocks come in random order, and the samples of
several blocks are mixed in memory (as annbatch does, arXiv 2604.01949).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .store import Store
from .table import Samples
from .unit import Sample

BLOCK_OBS = 1024  # observations of a block, 14.5 MB
MIXED_BLOCKS = 8  # blocks that are mixed in memory


class Item(NamedTuple):
    """One sample with what tells which it is."""

    unit: str
    localid: int
    sample: Sample


@dataclass(frozen=True)
class Shard:
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
    shard: Shard | None = None,
    shuffle: bool = True,
    block_obs: int = BLOCK_OBS,
    mixed_blocks: int = MIXED_BLOCKS,
) -> Iterator[Item]:
    """Every sample once, in an order that only ``seed``, ``epoch``, ``shard`` and the two sizes determine.

    Parameters
    ----------
    store : Store
    samples : Samples
        ``store.samples``, or some of them.
    seed, epoch : int
    shard : Shard, optional
        The part to read; default: all.
    shuffle : bool
        False: sorted by split, tile and localid.
    block_obs : int
        Observations that are read at once.
    mixed_blocks : int
        Blocks whose samples are mixed. Up to ``block_obs * mixed_blocks`` observations of 14,112 bytes are in memory.

    Raises
    ------
    StoreDamaged
        If what is stored is missing or does not fit its checksums.
    """
    shard = shard or Shard()
    rng = np.random.default_rng((seed, epoch))
    blocks = _blocks(samples, block_obs, shard.ranks)
    if shuffle:
        blocks = [blocks[i] for i in rng.permutation(len(blocks))]
    blocks = _of_rank(blocks, shard)[shard.worker :: shard.workers]
    # A generator of its own: what this shard mixes must not depend on how many others there are.
    mixing = np.random.default_rng((seed, epoch, shard.rank, shard.worker))
    for first in range(0, len(blocks), mixed_blocks):
        items = [item for block in blocks[first : first + mixed_blocks] for item in _read(store, block)]
        order = mixing.permutation(len(items)) if shuffle else range(len(items))
        for i in order:
            yield items[i]


def count_samples(samples: Samples, shard: Shard, block_obs: int = BLOCK_OBS, *, seed: int = 0, epoch: int = 0) -> int:
    """How many samples each rank gets of a shuffled epoch.

    Raises
    ------
    ValueError
        If there are fewer samples than ranks.
    """
    blocks = _blocks(samples, block_obs, shard.ranks)
    order = np.random.default_rng((seed, epoch)).permutation(len(blocks))
    return sum(len(block) for block in _of_rank([blocks[i] for i in order], shard))


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


def _of_rank(blocks: list[npt.NDArray[Any]], shard: Shard) -> list[npt.NDArray[Any]]:
    """The blocks of a rank, cut at the end so that all ranks have the same number of samples."""
    left = min(sum(len(block) for block in blocks[rank :: shard.ranks]) for rank in range(shard.ranks))
    if not left and blocks:
        raise ValueError(f"{sum(map(len, blocks))} samples are too few for {shard.ranks} ranks")
    own = []
    for block in blocks[shard.rank :: shard.ranks]:
        if not left:
            break
        own.append(block[:left])
        left -= len(own[-1])
    return own


def _read(store: Store, block: npt.NDArray[Any]) -> Iterator[Item]:
    unit = store[f"{block[0]['split']}/{block[0]['tile']}"]
    localids = block["localid"]
    for localid, sample in zip(localids.tolist(), unit.samples(localids), strict=True):
        yield Item(str(unit.name), localid, sample)
