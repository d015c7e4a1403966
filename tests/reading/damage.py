"""Reads everything in a store piece by piece. Each piece must be right, or raise an error with its place."""

from __future__ import annotations

import hashlib
import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from makers import random_group, write_tfrecord

import s2ct_convert
import s2ct_convert.torch
from s2ct_convert.errors import NotAStore, StoreDamaged
from s2ct_convert.reading.epoch import read_epoch

REFUSED = "refused"
SAMPLES = {"train/50SMG": (3, 9), "val/31TCJ": (4, 5)}
ARRAYS = (
    *("label", "time", "weight", "sample_index", "image_crc32c", "example", "position", "localid", "row_size"),
    *("row_start", "band", "wavelength", "image"),
)


def make_stores(folder: Path) -> dict[str, Path]:
    """Make the same two small units in every container."""
    rng = np.random.default_rng(12)
    sources = []
    for name, (one, other) in SAMPLES.items():
        groups = [random_group(rng, i, n, label_pixels=36 if "val" in name else 1) for i, n in ((one, 5), (other, 3))]
        sources.append(write_tfrecord(folder / "sources", groups, unit=name.replace("/", "_")))
    stores = {"zarr": folder / "d.zarr", "h5": folder / "d.h5", "linked": folder / "linked" / "d.h5"}
    for kind, path in stores.items():
        path.parent.mkdir(exist_ok=True)
        s2ct_convert.convert(sources, path, linked=kind == "linked")
    return stores


def plain_value(value: Any) -> Any:
    """A value that is equal if and only if all bytes, dtypes and shapes are equal."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()
    if isinstance(value, dict):
        return {name: plain_value(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain_value(one) for one in value]
    return value


def questions() -> Iterator[tuple[str, Callable[[s2ct_convert.Store], Any]]]:
    """Names and functions of everything that can be read from an open store."""
    yield "samples", lambda store: store.samples.rows
    yield "index", lambda store: [store.index, store.tiles]
    yield "units", lambda store: list(store.units)
    yield "select", lambda store: list(store.select(label=[0, 1, 2], time=slice("2018-01-05", None)))
    yield "epoch", lambda store: list(read_epoch(store, store.samples, seed=3))
    for name, localids in SAMPLES.items():
        for localid in localids:
            yield f"{name} {localid}", lambda store, name=name, localid=localid: store[name].sample(localid)
        for array in ARRAYS:
            yield f"{name} {array}", lambda store, name=name, array=array: store[name][array][...]


def answers(path: Path) -> dict[str, Any]:
    """Every value read, or ``REFUSED``. Any other error fails the test."""
    out: dict[str, Any] = {}
    try:
        with s2ct_convert.open_store(path) as store:
            for name, ask in questions():
                out[name] = _answer(lambda ask=ask: ask(store))  # type: ignore[misc]
    except (StoreDamaged, NotAStore) as error:
        assert error.where
        out = {name: REFUSED for name, _ in questions()}
    if importlib.util.find_spec("torch"):
        out["torch"] = _answer(lambda: list(s2ct_convert.torch.SampleDataset(path)))
    return out


def _answer(ask: Callable[[], Any]) -> Any:
    try:
        return plain_value(ask())
    except (StoreDamaged, NotAStore) as error:
        assert error.where, error
        return REFUSED


def count(found: dict[str, Any], right: dict[str, Any], what: str) -> Counter[str]:
    """Numbers of right and refused answers. Any other answer fails the test."""
    wrong = [name for name, answer in found.items() if answer not in (REFUSED, right[name])]
    assert not wrong, f"{what}: silently wrong: {', '.join(wrong)}"
    refused = sum(answer == REFUSED for answer in found.values())
    return Counter(right=len(found) - refused, refused=refused)
