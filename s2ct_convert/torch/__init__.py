"""PyTorch datasets of stores.

The package can be imported without torch. What needs torch raises an error
when it is used.

Datasets and batches:
    ShuffledDataset      Every sample once an epoch, shuffled: for training.
    SampleDataset        Samples by number, for validation.
    ObservationDataset   Single images, shuffled, classes in equal shares.
    collate_ragged       Make a batch: one after another, with offsets.
    collate_padded       Make a batch: padded to the longest, with a mask.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .collate import collate_padded, collate_ragged

if TYPE_CHECKING:
    from .observations import ObservationDataset
    from .samples import SampleDataset
    from .shuffled import ShuffledDataset

__all__ = ["ObservationDataset", "SampleDataset", "ShuffledDataset", "collate_padded", "collate_ragged"]


def __dir__() -> list[str]:
    """The public names. help() reads all of them, so without torch those that need it are left out."""
    return [name for name in __all__ if name in globals() or find_spec("torch") is not None]


def __getattr__(name: str) -> Any:
    if name not in ("ObservationDataset", "SampleDataset", "ShuffledDataset"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .need import need_torch

    need_torch()  # their base classes are torch's
    from . import observations, samples, shuffled

    places = {"ObservationDataset": observations, "SampleDataset": samples, "ShuffledDataset": shuffled}
    return getattr(places[name], name)
