"""An iterable dataset of batches of single images, class-balanced or not. Imported only when torch is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch

from ..reading.epoch import Memory
from ..reading.epoch_plan import Batching, Positions, read_by
from ..reading.filters import class_numbers
from ..reading.single_plan import LANES, LaneWindow, Stream, cut_stream, draw_order, shares, windows_of_lane
from ..reading.singles import Observations, classes_of, read_observations, rows_of_series, unit_bases
from ..reading.store import Store
from .batch import Batch
from .batches import BatchesDataset
from .collate import stack_items
from .items import Item, ItemOptions
from .progress import Stretch
from .samples import SampleDataset

BLOCK_OBS = 64  # two chunks
MIXED_BLOCKS = 128  # of all lanes; with blocks of 64, 116 MB of the default data set

Balance = bool | Mapping[str | int, float]


class Drawn(NamedTuple):
    """How a class is drawn.

    Attributes
    ----------
    observations : int
        Number of its observations.
    per_epoch : int
        Number of observations drawn in an epoch.
    repeats : float
        How often one of its observations comes in an epoch, on average; no two differ by more than one.
    """

    observations: int
    per_epoch: int
    repeats: float


class ObservationOptions(ItemOptions, total=False):
    """Arguments of ``ObservationDataset`` beyond its own: those of ``SampleDataset``, shares and sizes."""

    balance: Balance
    size: int | None
    block_obs: int
    mixed_blocks: int


class ObservationDataset(BatchesDataset):
    """Batches of single images with their labels, shuffled, with classes in equal or given shares.

    A batch is a dict: ``image`` (batch, 4, 42, 42), ``label`` (batch,) or (batch, 6, 6) int8, ``time`` (batch,) int32
    in days since 1970-01-01, ``weight`` (batch,) float32, ``localid`` and ``row`` (of the unit) int64 as tensors, and
    ``unit`` as a list. The dataset makes the batches itself, so give ``batch_size=None`` to the DataLoader. The same
    ``seed``, epoch and number of ranks give the same batches in the same order, with any number of workers. All ranks
    have the same number of batches of the same sizes. Call ``set_epoch`` before each epoch.

    Parameters
    ----------
    path : path-like
        A Zarr or HDF5 store.
    batch_size : int
        Images of a batch on each rank.
    seed : int
    rank, ranks : int, optional
        As for ``ShuffledDataset``.
    drop_last : bool
        Drop an incomplete last batch.
    pad : bool
        As for ``ShuffledDataset``, for images instead of samples.
    collate : callable, optional
        Makes a batch of a list of items. Default: arrays and numbers are stacked, anything else makes a list.
    balance : bool or mapping of class to weight
        True: each class that the store has is drawn equally often. A mapping, such as ``{"clear": 1, "snow": 0.5}``:
        in these proportions, other classes never. Images without a class are left out; of k x k labels the most
        frequent class counts. Images of a rare class come several times in an epoch, see ``drawn``; of a frequent
        class, each epoch has a part, in other blocks each time. False: every image once.
    size : int, optional
        Images of an epoch, on all ranks. Default: as many as there are to draw from.
    block_obs, mixed_blocks : int, optional
        Neighbouring images that are read together, and number of such blocks in memory, of all workers together.
    transform : callable, optional
        Applied to each item last: a dict with the arrays of one image.
    dtype, scale, crop, samples, tile, split, localid, time, label : optional
        As for ``SampleDataset``.

    Raises
    ------
    ValueError
        If there are too few images for the ranks or for one batch, units have labels of different shapes, a class to
        draw has no image, or an argument is out of range.
    KeyError, NotAStore, StoreDamaged, Incomplete, MachineError
        As for ``SampleDataset``.

    Examples
    --------
    >>> dataset = ObservationDataset("clouds.zarr", 64, balance=True, scale=1e-4)  # doctest: +SKIP
    >>> dataset.drawn["snow"].repeats  # doctest: +SKIP
    >>> loader = DataLoader(dataset, batch_size=None, num_workers=2)  # doctest: +SKIP
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
        collate: Callable[[Sequence[Any]], Any] | None = None,
        **options: Unpack[ObservationOptions],
    ) -> None:
        balance, size = options.pop("balance", False), options.pop("size", None)
        self.block_obs = options.pop("block_obs", BLOCK_OBS)
        self.mixed_blocks = options.pop("mixed_blocks", MIXED_BLOCKS)
        if size is not None and size < 1:
            raise ValueError(f"size={size} must be at least 1")
        super().__init__(rank, ranks)
        self._samples = SampleDataset(path, **options)  # type: ignore[misc]  # the others are taken out
        self.seed, self.collate = seed, collate
        store = self._samples.store
        self._units = unit_bases(store.units)
        self._names, self._streams = self._cut(store, balance, size)
        self._window_obs = max(1, store.dataset.cap(self.block_obs * self.mixed_blocks) // LANES)
        self._samples.close()  # each process opens it itself
        total = sum(stream.share for stream in self._streams)
        self.batching = Batching(total, batch_size, self.ranks, drop_last, pad, "observations")
        _ = self.batching.count  # raises now if there are too few

    def _cut(self, store: Store, balance: Balance, size: int | None) -> tuple[list[str], list[Stream]]:
        """What to draw from, with names: the classes, or all."""
        rows = rows_of_series(self._samples.series, self._units)
        shapes = {store.units[name].label.shape[1:] for name, _ in self._units.parts(rows)}
        if len(shapes) > 1:
            raise ValueError(
                f"units have labels of different shapes ({', '.join(map(str, sorted(shapes)))}); select units of one"
            )
        if balance is False:
            groups, weights, names = [rows], [1.0], ["all"]
            numbers = [0]
        else:
            classes = store.dataset.classes
            found = classes_of(store.units, self._units, rows, len(classes))
            counts = [int((found == one).sum()) for one in range(len(classes))]
            chosen = _weights(balance, classes, counts)
            numbers, weights = list(chosen), list(chosen.values())
            groups, names = [rows[found == one] for one in numbers], [classes[one] for one in numbers]
        total = sum(map(len, groups)) if size is None else size
        parts = shares(total, weights) if total and len(groups[0]) else [0] * len(groups)
        streams = [
            cut_stream(number, group, share, self._units.bases[:-1], self.block_obs, self.ranks)
            for number, group, share in zip(numbers, groups, parts, strict=True)
        ]
        return names, streams

    @property
    def drawn(self) -> dict[str, Drawn]:
        """How each class is drawn, by its name; without ``balance``, one entry ``all``."""
        return {
            name: Drawn(len(one.rows), one.share, one.share / max(1, len(one.rows)))
            for name, one in zip(self._names, self._streams, strict=True)
        }

    def batches_in(self, epoch: int) -> int:
        return self.batching.count

    def _batches(self, mine: Stretch) -> Iterator[tuple[int, Any]]:
        order = draw_order(self._streams, self.seed, mine.epoch)
        memory = self._samples.memory(self._window_obs, LANES)
        lanes: dict[int, Iterator[Any]] = {}
        for number in range(mine.first, self.batching.count, mine.workers):
            lane = number % LANES
            if lane not in lanes:
                lanes[lane] = self._lane(lane, order, mine, memory)
            yield number, next(lanes[lane])

    def _lane(self, lane: int, order: Positions, mine: Stretch, memory: Memory) -> Iterator[Any]:
        """The batches of a lane that this process makes."""
        mixing = np.random.default_rng((self.seed, mine.epoch, self.rank, lane, 5))
        for window in windows_of_lane(self.batching, self.rank, lane, self._window_obs, mixing):
            wanted = read_by(np.array(window.numbers), mine.first, mine.workers)
            if wanted.any():
                own = [places for places, one in zip(window.places, wanted, strict=True) if one]
                yield from self._read(LaneWindow([], own), order, memory)

    def _read(self, window: LaneWindow, order: Positions, memory: Memory) -> Iterator[Any]:
        """The batches of a window."""
        drawn = [order[places % len(order)] for places in window.places]
        rows = np.unique(np.concatenate(drawn))
        found = read_observations(self._samples.store, self._units, rows, memory)
        for own, places in zip(drawn, window.places, strict=True):
            more = {"repeated": places >= len(order)} if self.batching.pad else {}
            yield self._batch(found, np.searchsorted(rows, own), more)

    def _batch(self, found: Observations, at: Positions, more: dict[str, Any]) -> Any:
        make = self._samples.make
        arrays: Item = {name: values[at] for name, values in found._asdict().items()}
        arrays = {**arrays, "image": make.image(arrays["image"]), "unit": arrays["unit"].tolist(), **more}
        if make.transform is None and self.collate is None:
            return Batch({name: own if name == "unit" else torch.from_numpy(own) for name, own in arrays.items()})
        items: list[Any] = [{name: own[i] for name, own in arrays.items()} for i in range(len(at))]
        if make.transform is not None:
            items = [make.transform(item) for item in items]
        batch = stack_items(items) if self.collate is None else self.collate(items)
        return Batch(batch) if type(batch) is dict else batch

    def _order(self) -> dict[str, Any]:
        batching = self.batching
        return {
            "store": self._samples.digest,
            "selection": self._samples.series.digest(),
            "drawn": {name: list(one[:2]) for name, one in self.drawn.items()},
            "seed": self.seed,
            "batch_size": batching.batch_size,
            "ranks": batching.ranks,
            "drop_last": batching.drop_last,
            "pad": batching.pad,
            "block_obs": self.block_obs,
            "mixed_blocks": self.mixed_blocks,
        }


def _weights(balance: Balance, classes: tuple[str, ...], counts: Sequence[int]) -> dict[int, float]:
    """The weight of each class to draw, by its number, ascending."""
    if not isinstance(balance, Mapping):
        if not any(counts):
            raise ValueError("balance=True, but no observation has a class")
        return {number: 1.0 for number, count in enumerate(counts) if count}
    weights = {class_numbers(name, classes)[0]: float(weight) for name, weight in balance.items()}
    if any(not 0 <= weight < np.inf for weight in weights.values()) or not any(weights.values()):
        raise ValueError(f"balance={dict(balance)}: weights must be 0 or more, and not all 0")
    chosen = {number: weights[number] for number in sorted(weights) if weights[number]}
    for number in chosen:
        if not 0 <= number < len(classes):
            raise ValueError(f"balance: {number} is the number of no class; they are 0 to {len(classes) - 1}")
        if not counts[number]:
            raise ValueError(f"balance: no observation is of class {classes[number]!r}")
    return chosen
