"""Collates samples of different lengths into batches.

Items are dicts with any keys, whose values are numpy arrays, tensors, numbers or anything else. A value is a series if
it has one entry for each observation of its sample.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from .need import need_torch

LENGTHS = ("time", "label", "weight", "image")  # the first of these that an item has gives its number of observations
PADDING = {"label": -1}  # others: 0

Items = Sequence[dict[str, Any]]


def collate_ragged(items: Items, *, series: Collection[str] | None = None) -> dict[str, Any]:
    """Concatenate the series of a batch, with offsets, as jagged nested tensors need them.

    Parameters
    ----------
    items : sequence of dict
        Items of the datasets, as they are or transformed. All have the same keys.
    series : collection of str, optional
        Keys whose values have one entry for each observation. Default: in each item of the batch, the first axis has
        the number of observations (the length of ``time``, or else of ``label``, ``weight`` or ``image``). Name them
        if a value with a fixed length could have the length of a series by chance.

    Returns
    -------
    dict
        ``image`` (total, 4, 42, 42), ``label`` (total,) or (total, 6, 6) int8, ``time`` (total,) int32, ``weight``
        (total,) float32 and other series likewise, ``offsets`` (batch + 1,) int64. Other arrays, tensors and numbers
        are stacked: ``localid`` (batch,) int64. Anything else is a list: ``unit``.
        ``torch.nested.nested_tensor_from_jagged(batch["image"].float(), batch["offsets"])`` needs no copy.

    Raises
    ------
    MissingPackage
        If PyTorch is not installed.
    ValueError
        If items have different keys, no series, or arrays that cannot be joined; the message names the key.
    """
    torch = need_torch()
    sizes = _lengths(items, series, adds="offsets")

    def join(name: str, values: list[Any]) -> Any:
        if all(isinstance(value, np.ndarray) for value in values):
            return torch.from_numpy(np.concatenate(values))
        return torch.cat([torch.as_tensor(value) for value in values])

    batch = _collate(torch, items, _series(items, sizes, series), join)
    return {**batch, "offsets": torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))}


def collate_padded(items: Items, *, series: Collection[str] | None = None) -> dict[str, Any]:
    """Pad the series of a batch to the longest, and return a mask.

    Parameters
    ----------
    items, series
        As for ``collate_ragged``.

    Returns
    -------
    dict
        As ``collate_ragged``, with (batch, longest, ...) instead of (total, ...), without ``offsets``, and with
        ``mask`` (batch, longest) bool, true where there is an observation. The padding is 0, for ``label`` -1.

    Raises
    ------
    MissingPackage, ValueError
        As for ``collate_ragged``.
    """
    torch = need_torch()
    sizes = _lengths(items, series, adds="mask")

    def join(name: str, values: list[Any]) -> Any:
        parts = [torch.as_tensor(value) for value in values]
        shape, dtype = parts[0].shape[1:], parts[0].dtype
        if any((part.shape[1:], part.dtype) != (shape, dtype) for part in parts):
            raise ValueError("different shapes or dtypes")
        filled = torch.full((len(parts), max(sizes), *shape), PADDING.get(name, 0), dtype=dtype)
        for row, part in zip(filled, parts, strict=True):
            row[: len(part)] = part
        return filled

    batch = _collate(torch, items, _series(items, sizes, series), join)
    return {**batch, "mask": torch.from_numpy(np.arange(max(sizes)) < np.array(sizes)[:, None])}


def stack_items(items: Items) -> dict[str, Any]:
    """Stack arrays, tensors and numbers of single observations; anything else makes a list.

    Raises
    ------
    ValueError
        If items are not dicts, have different keys, or arrays that cannot be stacked; the message names the key.
    """
    _check_keys(items)
    return _collate(need_torch(), items, set(), lambda _, values: values)


def _check_keys(items: Items) -> None:
    for item in items:
        if not isinstance(item, Mapping):
            raise ValueError(f"items must be dicts, and this one is a {type(item).__name__}; write your own collate")
        if item.keys() != items[0].keys():
            raise ValueError(f"items have different keys: {sorted(items[0])} and {sorted(item)}")


def _lengths(items: Items, series: Collection[str] | None, *, adds: str) -> list[int]:
    """The number of observations of each item; ``adds`` is the key that the batch gets in addition."""
    from .batch import ALREADY, Batch  # needs torch

    for item in items:
        if isinstance(item, Batch):
            raise ValueError(ALREADY)
    _check_keys(items)
    if any(adds in item for item in items):
        raise ValueError(f"items have a key {adds!r}, which this function adds to batches; rename yours")
    if not items:
        raise ValueError("there are no items to collate")
    names = [name for name in (LENGTHS if series is None else series) if name in items[0]]
    if not names:
        raise ValueError(f"items have no series: none of {', '.join(LENGTHS if series is None else series)}")
    return [len(item[names[0]]) for item in items]


def _series(items: Items, sizes: Sequence[int], series: Collection[str] | None) -> set[str]:
    def is_one(name: str) -> bool:
        values = [item[name] for item in items]
        return all(_is_array(value) and value.ndim > 0 for value in values) and [len(one) for one in values] == sizes

    found = {name for name in items[0] if is_one(name)}
    if series is not None and (wrong := sorted(set(series) - found)):
        raise ValueError(f"{wrong[0]!r} is not a series: not every item has one entry for each observation")
    return found if series is None else set(series)


def _collate(torch: Any, items: Items, series: set[str], join: Callable[[str, list[Any]], Any]) -> dict[str, Any]:
    out = {}
    for name in items[0]:
        values = [item[name] for item in items]
        try:
            if name in series:
                out[name] = join(name, values)
            elif all(_is_array(value) for value in values):
                out[name] = torch.stack([torch.as_tensor(value) for value in values])
            elif all(isinstance(value, bool | int | float | np.number | np.bool_) for value in values):
                out[name] = torch.as_tensor(np.array(values))
            else:
                out[name] = values
        except (ValueError, RuntimeError, TypeError) as error:
            kinds = ", ".join(sorted({f"{value.dtype} {tuple(value.shape)}" for value in values if _is_array(value)}))
            raise ValueError(f"{name!r} cannot be joined to a batch: {kinds} ({error})") from error
    return out


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)
