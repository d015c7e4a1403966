"""Plans an epoch of single observations: which come, how often, in which order and in which batch. Reads no pixels.

Observations are drawn from groups, such as classes. Each group is a stream: its observations in shuffled blocks of
neighbours, again and again until it has given its share. The streams are merged evenly, so that every part of the
epoch has the shares of the whole. Each rank gets one part, and cuts it into ``LANES`` lanes. Batches come from the
lanes in turn. Each lane mixes the observations of a window in memory. So 2, 4 or 8 workers read different lanes, and
the batches do not depend on their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .epoch_plan import BLOCKS_PER_RANK, Batching, Positions

LANES = 8

Rows = npt.NDArray[np.int64]  # of all units of a store, one after another


class Stream(NamedTuple):
    """A group of observations that is drawn from.

    ``rows`` are ascending, a block begins at each of ``begins``, and ``share`` observations are drawn in an epoch.
    """

    number: int
    rows: Rows
    begins: Positions
    share: int


def cut_stream(number: int, rows: Rows, share: int, bases: Rows, span: int, ranks: int) -> Stream:
    """A group with its blocks: the rows within ``span`` neighbouring rows of a unit, fewer if the group is small.

    ``bases`` has the first row of each unit.
    """
    span = max(1, min(span, len(rows) // (BLOCKS_PER_RANK * LANES * ranks)))
    unit = np.searchsorted(bases, rows, side="right") - 1
    block = (rows - bases[unit]) // span
    begins = np.flatnonzero((np.diff(unit, prepend=-1) != 0) | (np.diff(block, prepend=-1) != 0))
    return Stream(number, rows, begins, share)


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """``total`` in whole numbers in proportion to the weights; what is left goes to the largest fractions."""
    exact = total * np.asarray(weights, np.float64) / np.sum(weights)
    out = np.floor(exact).astype(np.int64)
    out[np.argsort(out - exact, kind="stable")[: total - int(out.sum())]] += 1
    return [int(one) for one in out]


def draw_order(streams: Sequence[Stream], seed: int, epoch: int) -> Rows:
    """The rows of an epoch: all streams, merged evenly."""
    drawn = [_draw(stream, seed, epoch) for stream in streams]
    if len(drawn) == 1:
        return drawn[0]
    due = np.concatenate([(np.arange(len(rows)) + 0.5) / max(1, len(rows)) for rows in drawn])
    merged: Rows = np.concatenate(drawn)[np.argsort(due, kind="stable")]
    return merged


def _draw(stream: Stream, seed: int, epoch: int) -> Rows:
    """``share`` rows of a stream. A round has each row once, in shuffled blocks; the last round is a part of one."""
    sizes = np.diff(stream.begins, append=len(stream.rows))
    rounds = [np.zeros(0, np.int64)]
    for number in range(-(-stream.share // max(1, len(stream.rows)))):
        blocks = np.random.default_rng((seed, epoch, stream.number, number, 4)).permutation(len(sizes))
        ends = np.cumsum(sizes[blocks])
        shift = np.repeat(stream.begins[blocks] - (ends - sizes[blocks]), sizes[blocks])
        rounds.append(stream.rows[np.arange(len(stream.rows)) + shift])
    return np.concatenate(rounds)[: stream.share]


class LaneWindow(NamedTuple):
    """Batches that are read together: their numbers, and their places in the order of the epoch.

    A place after the end of the order means a second time: it begins again.
    """

    numbers: list[int]
    places: list[Positions]


def windows_of_lane(
    batching: Batching, rank: int, lane: int, window_obs: int, rng: np.random.Generator
) -> Iterator[LaneWindow]:
    """The windows of a lane, shuffled: at most ``window_obs`` observations, or one batch."""
    size = batching.batch_size
    sizes = np.minimum(size, batching.per_rank - size * np.arange(batching.count))
    begin = rank * batching.per_rank + sum(int(sizes[other::LANES].sum()) for other in range(lane))
    numbers = np.arange(lane, batching.count, LANES)
    if not len(numbers):
        return
    for some in np.array_split(numbers, -(-len(numbers) // max(1, window_obs // size))):
        ends = np.cumsum(sizes[some])
        places = begin + rng.permutation(int(ends[-1]))
        yield LaneWindow(some.tolist(), np.split(places, ends[:-1]))
        begin += int(ends[-1])
