"""The type of the batches that a dataset makes itself. Imported only when torch is used."""

from __future__ import annotations

from typing import Any

from torch.utils.data._utils.collate import default_collate_fn_map  # documented for custom types

ALREADY = "the dataset makes the batches itself: give batch_size=None to the DataLoader, and collate= to the dataset"


class Batch(dict[str, Any]):
    """A batch: a dict of tensors and lists. A DataLoader that would make a batch of batches raises ``ValueError``."""


def _refuse(batch: Any, **options: Any) -> Any:
    raise ValueError(ALREADY)


default_collate_fn_map[Batch] = _refuse
