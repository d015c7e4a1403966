"""The epoch, and where its iteration begins and stands, for all processes of a DataLoader."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.data import get_worker_info

MOST_WORKERS = 1024
_EPOCH, _START, _BEGUN = 0, 1, 2  # places in the shared memory; _BEGUN is one for each worker


class Stretch(NamedTuple):
    """The batches of one iteration in one process: every ``workers``-th from ``first``."""

    epoch: int
    first: int
    workers: int


class Progress:
    """What processes agree on (the epoch and its first batch), and what each has for itself (its next batch).

    Workers may live for several epochs (``persistent_workers=True``), so the first part is shared memory. Each worker
    notes there that it has begun, so that a start from ``load`` counts for one iteration only.
    """

    def __init__(self) -> None:
        self._shared = torch.zeros(_BEGUN + MOST_WORKERS, dtype=torch.int64).share_memory_()
        self._loaded: tuple[int, int] | None = None  # of this worker alone
        self._next: tuple[int, int] | None = None  # epoch and batch, where this process iterates itself

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return int(self._shared[_EPOCH])

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch. A start from ``load`` stays if it is of this epoch and no iteration has used it."""
        if epoch != self.epoch or self._next is not None or self.read_ahead:
            self._shared[_START] = 0
        self._begin(epoch)

    def load(self, epoch: int, batches: int) -> None:
        """Begin the next iteration at this batch of this epoch; in a worker, for this worker alone."""
        if get_worker_info() is not None:
            self._loaded, self._next = (epoch, batches), (epoch, batches)
            return
        self._shared[_START] = batches
        self._begin(epoch)

    def _begin(self, epoch: int) -> None:
        self._shared[_EPOCH] = epoch
        self._shared[_BEGUN:] = 0
        self._next = None

    @property
    def read_ahead(self) -> bool:
        """Whether workers have begun this epoch. They read ahead, so they do not know what the loop has used."""
        return bool(self._shared[_BEGUN:].any())

    def begin(self) -> Stretch:
        """The batches of an iteration that begins now in this process."""
        worker = get_worker_info()
        if worker is None:
            first = 0 if self._next is not None else int(self._shared[_START])
            self._next = (self.epoch, first)
            return Stretch(self.epoch, first, 1)
        if self._loaded is not None:
            (epoch, first), self._loaded = self._loaded, None
        else:
            begun = bool(self._shared[_BEGUN + worker.id])
            epoch, first = self.epoch, (0 if begun else int(self._shared[_START])) + worker.id
        self._shared[_BEGUN + worker.id] = 1
        self._next = (epoch, first)
        return Stretch(epoch, first, worker.num_workers)

    def passed(self, epoch: int, following: int) -> None:
        """Note the next batch of this process."""
        self._next = (epoch, following)

    def now(self) -> tuple[int, int]:
        """The epoch and the next batch of this process.

        Raises
        ------
        ValueError
            If workers read, and this process does not know what the training loop has used.
        """
        worker = get_worker_info()
        if worker is None and self.read_ahead:
            raise ValueError(
                "the workers of the DataLoader read ahead, so only the training loop knows how many batches it has "
                "used in this epoch; pass them as batches=, or use the StatefulDataLoader of torchdata"
            )
        if self._next is not None:
            return self._next
        return self.epoch, int(self._shared[_START]) + (worker.id if worker else 0)
