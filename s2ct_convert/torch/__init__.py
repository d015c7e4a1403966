"""PyTorch datasets of stores. The package can be imported without torch; what needs torch raises when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .collate import collate_padded, collate_ragged

if TYPE_CHECKING:
    from .samples import SampleDataset
    from .shuffled import ShuffledDataset

__all__ = ["SampleDataset", "ShuffledDataset", "collate_padded", "collate_ragged"]


def __getattr__(name: str) -> Any:
    if name not in ("SampleDataset", "ShuffledDataset"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .need import need_torch

    need_torch()  # their base classes are torch's
    from . import samples, shuffled

    return samples.SampleDataset if name == "SampleDataset" else shuffled.ShuffledDataset
