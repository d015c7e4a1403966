"""Finds the rank of this process in distributed training."""

from __future__ import annotations

import os

import torch.distributed


def find_rank(rank: int | None, ranks: int | None) -> tuple[int, int]:
    """The rank and the number of ranks: as given, else of ``torch.distributed``, else of ``torchrun``, else 0 of 1.

    Raises
    ------
    ValueError
        If only one of the two is given, or the rank is out of range.
    """
    if (rank is None) != (ranks is None):
        raise ValueError("give both rank= and ranks=, or neither")
    if rank is None or ranks is None:
        rank, ranks = _initialised() or _of_torchrun() or (0, 1)
    if not 0 <= rank < ranks:
        raise ValueError(f"rank {rank} of {ranks}")
    return rank, ranks


def check_rank(rank: int, ranks: int) -> None:
    """Check that a rank that was found before ``torch.distributed`` was initialised is still true.

    Raises
    ------
    ValueError
        If it is not: every rank would train on the same samples.
    """
    now = _initialised()
    if now is not None and now != (rank, ranks):
        raise ValueError(
            f"the dataset was made for rank {rank} of {ranks}, but this process is rank {now[0]} of {now[1]}; "
            "make it after torch.distributed.init_process_group, or pass rank= and ranks="
        )


def _initialised() -> tuple[int, int] | None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return None


def _of_torchrun() -> tuple[int, int] | None:
    """What ``torchrun`` sets for each of its processes."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return None
