"""Collates samples of different lengths into batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .need import need_torch

SERIES = ("image", "label", "time", "weight")
PADDING = {"image": 0, "label": -1, "time": 0, "weight": 0}


def collate_ragged(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Concatenate the series of a batch, with offsets, as jagged nested tensors need them.

    Parameters
    ----------
    items : sequence of dict
        Items of the datasets.

    Returns
    -------
    dict
        ``image`` (total, 4, 42, 42) uint16, ``label`` (total,) or (total, 6, 6) int8, ``time`` (total,) int32,
        ``weight`` (total,) float32, ``offsets`` (batch + 1,) int64, ``localid`` (batch,) int64, as tensors; ``unit``
        a list. ``torch.nested.nested_tensor_from_jagged(batch["image"].float(), batch["offsets"])`` needs no copy.

    Raises
    ------
    MissingPackage
        If PyTorch is not installed.
    """
    torch = need_torch()
    sizes = [len(item["time"]) for item in items]
    batch = {name: torch.from_numpy(np.concatenate([item[name] for item in items])) for name in SERIES}
    batch["offsets"] = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
    return {**batch, **_names(torch, items)}


def collate_padded(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Pad the series of a batch to the longest, and return a mask.

    Returns
    -------
    dict
        As ``collate_ragged``, with (batch, longest, ...) instead of (total, ...), without ``offsets``, and with
        ``mask`` (batch, longest) bool, true where there is an observation. The padding is 0, for labels -1.

    Raises
    ------
    MissingPackage
        If PyTorch is not installed.
    """
    torch = need_torch()
    longest = max(len(item["time"]) for item in items)
    batch = {}
    for name in SERIES:
        first = items[0][name]
        filled = np.full((len(items), longest, *first.shape[1:]), PADDING[name], first.dtype)
        for row, item in zip(filled, items, strict=True):
            row[: len(item[name])] = item[name]
        batch[name] = torch.from_numpy(filled)
    mask = np.arange(longest) < np.array([[len(item["time"])] for item in items])
    batch["mask"] = torch.from_numpy(mask)
    return {**batch, **_names(torch, items)}


def _names(torch: Any, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    localids = np.array([item["localid"] for item in items], np.int64)
    return {"localid": torch.from_numpy(localids), "unit": [item["unit"] for item in items]}
