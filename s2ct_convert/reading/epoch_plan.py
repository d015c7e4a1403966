"""Plans an epoch: which samples each rank reads, in which order, and which batch they belong to. Reads no pixels.

Samples that are neighbours in the store make a block. Blocks are shuffled, and the blocks of a rank are grouped into
windows; the samples of a window are shuffled. Everything depends only on the seed, the epoch and the number of ranks,
so each process makes the same plan. The number of workers decides who reads a batch, not what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .series import Series

Positions = npt.NDArray[np.int64]  # of samples in the table

BLOCKS_PER_RANK = 8  # at least, with several ranks, so that a small table is shuffled between ranks too
NO_BATCH = -1  # the number of a batch of a position that is in none


class Window(NamedTuple):
    """Blocks that are in memory at the same time.

    ``order[i]`` is the place, in the concatenated blocks, of the sample that comes at position i of the window.
    """

    blocks: list[Positions]
    order: Positions


class RankEpoch(NamedTuple):
    """What one rank reads in an epoch.

    ``numbers`` has the batch of each position in the windows, ``NO_BATCH`` for none; positions of a batch are
    neighbours. ``repeated`` tells which positions come a second time in the epoch.
    """

    windows: list[Window]
    numbers: Positions
    repeated: npt.NDArray[np.bool_]

    def ends_batch(self, position: int) -> bool:
        """Whether the next position is in another batch."""
        return position + 1 == len(self.numbers) or bool(self.numbers[position + 1] != self.numbers[position])


def read_by(numbers: Positions, first: int, workers: int) -> npt.NDArray[np.bool_]:
    """Which batches, by number, a worker reads whose first one is ``first``: every ``workers``-th."""
    mine: npt.NDArray[np.bool_] = (numbers >= first) & ((numbers - first) % workers == 0)
    return mine


def cut_blocks(series: Series, block_obs: int, ranks: int = 1) -> list[Positions]:
    """Cut the table into blocks: neighbours in one unit, at most ``block_obs`` observations or one sample."""
    rows, sizes = series.samples.rows, series.sizes.tolist()
    splits, tiles = rows["split"].tolist(), rows["tile"].tolist()
    if ranks > 1:
        block_obs = min(block_obs, sum(sizes) // (BLOCKS_PER_RANK * ranks))
    out, begin, waiting = [], 0, 0
    for i, size in enumerate(sizes):
        other = i > begin and (splits[i], tiles[i]) != (splits[begin], tiles[begin])
        if i > begin and (other or waiting + size > block_obs):
            out.append(np.arange(begin, i))
            begin, waiting = i, 0
        waiting += size
    if sizes:
        out.append(np.arange(begin, len(sizes)))
    return out


def shuffle_blocks(blocks: Sequence[Positions], seed: int, epoch: int) -> list[Positions]:
    """The blocks in the order of an epoch, the same for all ranks."""
    return [blocks[i] for i in np.random.default_rng((seed, epoch)).permutation(len(blocks))]


def samples_per_rank(samples: int, ranks: int, *, pad: bool = False, what: str = "samples") -> int:
    """Number of samples, or of ``what``, of each rank in an epoch.

    Raises
    ------
    ValueError
        If there are fewer samples than ranks, unless they are padded.
    """
    if samples and samples < ranks and not pad:
        raise ValueError(f"{samples} {what} are too few for {ranks} ranks")
    return -(-samples // ranks) if pad else samples // ranks


def blocks_of_rank(blocks: Sequence[Positions], rank: int, ranks: int, *, pad: bool = False) -> list[Positions]:
    """An equal part of the blocks for each rank. The first and the last block of a part may be cut.

    Without ``pad``, the last ``samples % ranks`` samples of the order are left out. With ``pad``, the order begins
    again after its last sample, so that the first samples come twice.
    """
    own = samples_per_rank(sum(map(len, blocks)), ranks, pad=pad)
    low, high, begin = rank * own, (rank + 1) * own, 0
    out: list[Positions] = []
    for block in cycle(blocks):
        if begin >= high:
            break
        part = block[max(0, low - begin) : max(0, high - begin)]
        if len(part):
            out.append(part)
        begin += len(block)
    return out


def windows(blocks: Sequence[Positions], mixed_blocks: int, mixing: np.random.Generator | None) -> Iterator[Window]:
    """Group blocks into windows, with their samples shuffled, or in order if ``mixing`` is None."""
    for first in range(0, len(blocks), mixed_blocks):
        some = list(blocks[first : first + mixed_blocks])
        n = sum(map(len, some))
        yield Window(some, mixing.permutation(n) if mixing else np.arange(n))


@dataclass(frozen=True)
class Batching:
    """How the samples of an epoch are cut into batches: the same number and sizes for every rank.

    Parameters
    ----------
    samples : int
        Samples of the epoch, of all ranks.
    batch_size : int
        Samples of a batch.
    ranks : int
    drop_last : bool
        Leave out a last batch that is smaller.
    pad : bool
        See ``blocks_of_rank``.
    what : str
        What samples are called in messages.

    Raises
    ------
    ValueError
        If a number is below 1, or there are too few samples for one batch on each rank.
    """

    samples: int
    batch_size: int
    ranks: int = 1
    drop_last: bool = False
    pad: bool = False
    what: str = "samples"

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.ranks < 1:
            raise ValueError(f"batch_size is {self.batch_size} and ranks is {self.ranks}; both must be at least 1")
        if self.samples and not self.count:
            raise ValueError(
                f"drop_last leaves no batch: a rank has {self.per_rank} {self.what}, "
                f"and batch_size is {self.batch_size}"
            )

    @property
    def per_rank(self) -> int:
        """Samples of each rank, before ``drop_last``."""
        return samples_per_rank(self.samples, self.ranks, pad=self.pad, what=self.what)

    @property
    def count(self) -> int:
        """Batches of each rank."""
        whole, rest = divmod(self.per_rank, self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def repeated(self, rank: int) -> int:
        """Number of samples at the end of a rank's part that come a second time in the epoch."""
        return min(self.per_rank, max(0, (rank + 1) * self.per_rank - self.samples))

    def of_rank(self, rank: int, windows: list[Window]) -> RankEpoch:
        """The batches of a rank, from its windows."""
        numbers = np.arange(self.per_rank) // self.batch_size
        numbers[numbers >= self.count] = NO_BATCH
        begins = np.cumsum([0, *(len(window.order) for window in windows)])
        parts = [begin + window.order for begin, window in zip(begins.tolist(), windows, strict=False)]
        unmixed = np.concatenate([np.zeros(0, np.int64), *parts])
        return RankEpoch(windows, numbers, unmixed >= self.per_rank - self.repeated(rank))
