"""Cuts an epoch into batches by the lengths of series: a budget of observations, similar lengths together.

The whole epoch is cut first, and then whole batches are divided between ranks. So all ranks have the same number of
batches, although batches differ in their number of samples. Every process makes the same plan. Reads no pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .epoch_plan import NO_BATCH, Positions, RankEpoch, Window

Sizes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """When a batch is full, and which samples come together.

    Parameters
    ----------
    batch_size : int, optional
        Most samples of a batch.
    max_observations : int, optional
        Most observations of a batch.
    count_padding : bool
        Count each sample as long as the longest of its batch.
    bucket_by_length : bool
        Sort the samples of a window by length before they are cut into batches.

    Raises
    ------
    ValueError
        If a limit is below 1, or there is none.
    """

    batch_size: int | None = None
    max_observations: int | None = None
    count_padding: bool = False
    bucket_by_length: bool = False

    def __post_init__(self) -> None:
        if self.batch_size is None and self.max_observations is None:
            raise ValueError("give batch_size, max_observations or both")
        for name in ("batch_size", "max_observations"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")

    @property
    def by_length(self) -> bool:
        """Whether batches depend on lengths at all."""
        return self.max_observations is not None or self.bucket_by_length

    def check(self, longest: int) -> None:
        """Check that a series of this length fits into a batch.

        Raises
        ------
        ValueError
            If it does not.
        """
        if self.max_observations is not None and longest > self.max_observations:
            raise ValueError(
                f"a series has {longest} observations, but max_observations={self.max_observations}: "
                "give max_length= to read parts of long series, or a larger max_observations="
            )


class EpochBatches(NamedTuple):
    """The batches of an epoch, of all ranks.

    ``numbers`` has the batch of each position in the windows; ``NO_BATCH`` where it is dropped.
    """

    windows: list[Window]
    numbers: Positions
    total: int

    def per_rank(self, ranks: int, *, pad: bool) -> int:
        """Batches of each rank.

        Raises
        ------
        ValueError
            If there are fewer batches than ranks, unless they are padded.
        """
        if self.total and self.total < ranks and not pad:
            raise ValueError(f"{self.total} batches are too few for {ranks} ranks")
        return -(-self.total // ranks) if pad else self.total // ranks

    def of_rank(self, rank: int, ranks: int, *, pad: bool) -> RankEpoch:
        """Consecutive batches of the epoch. With ``pad``, the first batches follow the last one again."""
        count = self.per_rank(ranks, pad=pad)
        first = rank * count
        passes = range(-(-(first + count) // self.total)) if self.total else range(0)
        parts = [np.where(self.numbers == NO_BATCH, NO_BATCH, self.numbers + one * self.total) for one in passes]
        unwrapped = np.concatenate([np.zeros(0, np.int64), *parts])
        own = (unwrapped >= first) & (unwrapped < first + count)
        return RankEpoch(
            [window for _ in passes for window in self.windows],
            np.where(own, unwrapped - first, NO_BATCH),
            unwrapped >= self.total,
        )


def plan_batches(
    sizes: Sizes, windows: Iterable[Window], limits: Limits, rng: np.random.Generator, *, drop_last: bool = False
) -> EpochBatches:
    """Cut the samples of windows into batches.

    A batch that a window leaves unfinished goes on in the next one. With ``bucket_by_length``, windows are sorted in
    turn upwards and downwards, so that such a batch goes on with similar lengths; the other batches of a window are
    shuffled.

    Parameters
    ----------
    sizes : ndarray of int64, shape (samples,)
        Number of observations of each sample.
    windows : iterable of Window
    limits : Limits
    rng : Generator
        Shuffles batches.
    drop_last : bool
        Drop the last batch of the epoch, which may be smaller than the others.

    Raises
    ------
    ValueError
        If ``drop_last`` leaves no batch.
    """
    out: list[Window] = []
    begins: list[int] = []  # positions at which a batch begins
    cutter, position = _Cutter(limits), 0
    for number, window in enumerate(windows):
        order = window.order
        lengths = sizes[np.concatenate(window.blocks)[order]]
        if limits.bucket_by_length:
            by_length = np.argsort(lengths if number % 2 == 0 else -lengths, kind="stable")
            order, lengths = order[by_length], lengths[by_length]
        cuts = cutter.cut(lengths.tolist())
        if limits.bucket_by_length:
            order, cuts = _shuffled(order, cuts, rng)
        begins += [position + cut for cut in cuts]
        out.append(Window(window.blocks, order))
        position += len(order)
    starts = np.zeros(position, np.int64)
    starts[begins] = 1
    numbers = np.cumsum(starts) - 1
    total = len(begins)
    if drop_last and total:
        total -= 1
        numbers[numbers == total] = NO_BATCH
        if not total:
            raise ValueError(f"drop_last leaves no batch: all {position} samples are in one")
    return EpochBatches(out, numbers, total)


class _Cutter:
    """Cuts a stream of lengths into batches, greedily."""

    def __init__(self, limits: Limits) -> None:
        self._size = limits.batch_size or np.inf
        self._budget = limits.max_observations or np.inf
        self._padded = limits.count_padding
        self._samples = self._total = self._longest = 0  # of the open batch

    def cut(self, lengths: list[int]) -> list[int]:
        """The places in ``lengths`` at which a batch begins. The last batch stays open for the next call."""
        begins = []
        for place, length in enumerate(lengths):
            longest = max(self._longest, length)
            cost = (self._samples + 1) * longest if self._padded else self._total + length
            if self._samples == 0 or self._samples >= self._size or cost > self._budget:
                begins.append(place)
                self._samples, self._total, longest = 0, 0, length
            self._samples, self._total, self._longest = self._samples + 1, self._total + length, longest
        return begins


def _shuffled(order: Positions, cuts: list[int], rng: np.random.Generator) -> tuple[Positions, list[int]]:
    """The same batches in another order: not the last one, and not what belongs to the batch before the first cut."""
    if len(cuts) < 3:
        return order, cuts
    head, *parts = np.split(order, cuts)
    parts = [parts[i] for i in rng.permutation(len(parts) - 1)] + parts[-1:]
    lengths = [len(head), *(len(part) for part in parts[:-1])]
    return np.concatenate([head, *parts]), np.cumsum(lengths).tolist()
