"""What datasets that make their batches themselves have in common. Imported only when torch is used."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from .progress import Progress, Stretch
from .ranks import check_rank, find_rank


class BatchesDataset(IterableDataset[Any]):
    """Batches by number, the same for any number of workers; each rank has as many. Resumes at any batch.

    A subclass says how many batches an epoch has, makes them, and names what decides their order.
    """

    def __init__(self, rank: int | None, ranks: int | None) -> None:
        self._rank_given = rank is not None
        self.rank, self.ranks = find_rank(rank, ranks)
        self._progress = Progress()

    @abstractmethod
    def batches_in(self, epoch: int) -> int:
        """Number of batches of each rank in an epoch, as a schedule of learning rates needs it."""

    @abstractmethod
    def _batches(self, mine: Stretch) -> Iterator[tuple[int, Any]]:
        """The batches of this process with their numbers."""

    @abstractmethod
    def _order(self) -> dict[str, Any]:
        """What decides which samples are in which batch, besides the epoch and the rank: plain values."""

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return self._progress.epoch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, and so the order of samples."""
        self._progress.set_epoch(epoch)

    def __len__(self) -> int:
        """Number of batches of each rank in this epoch."""
        self._check_rank()
        return self.batches_in(self.epoch)

    def __iter__(self) -> Iterator[Any]:
        self._check_rank()
        return self._noted(self._progress.begin())

    def _noted(self, mine: Stretch) -> Iterator[Any]:
        for number, batch in self._batches(mine):
            self._progress.passed(mine.epoch, number + mine.workers)
            yield batch

    def _check_rank(self) -> None:
        if not self._rank_given and get_worker_info() is None:
            check_rank(self.rank, self.ranks)

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
        if batches is not None and not 0 <= batches <= (count := self.batches_in(epoch)):
            raise ValueError(f"batches={batches}, but an epoch has {count}")
        return {"epoch": epoch, "batches": now, "order": self._order()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin the next iteration after the batches of a state, without reading them. Later epochs are whole.

        A state is valid for each rank, and for any number of workers.

        Raises
        ------
        ValueError
            If the state comes from another store, or from other arguments that decide the order.
        """
        own, others = self._order(), state["order"]
        if different := [name for name in {**own, **others} if others.get(name) != own.get(name)]:
            name = different[0]
            raise ValueError(
                f"the state is of another order: {name} was {others.get(name)!r}, but is {own.get(name)!r} here"
            )
        self._progress.load(int(state["epoch"]), int(state["batches"]))
