"""PyTorch datasets of stores. The package can be imported without torch; what needs torch raises when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .collate import collate_padded, collate_ragged
from .samples import SampleDataset

if TYPE_CHECKING:
    from .shuffled import ShuffledDataset

__all__ = ["SampleDataset", "ShuffledDataset", "collate_padded", "collate_ragged"]


def __getattr__(name: str) -> Any:
    if name != "ShuffledDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .need import need_torch

    need_torch()  # its base class is torch's
    from .shuffled import ShuffledDataset

    return ShuffledDataset
