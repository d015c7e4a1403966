"""What an export writes: the selected samples of a store, one after another, with all that a unit says about them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from ..reading.opening import open_store
from ..reading.select import Selection
from ..reading.store import Store
from ..reading.unit import Unit
from ..store.root import lacks

SHARD_BYTES = 256 << 20  # of pixels in a file
ABOUT = ("title", "doi", "citation", "license")  # attributes of the root that are true of every part

Data = str | os.PathLike[str] | Store | Selection


@dataclass(frozen=True)
class Item:
    """The selected observations of one sample, in time order.

    ``columns`` has the arrays of the unit along ``obs`` except ``image``, as stored: ``label``, ``time`` and others.
    """

    unit: Unit
    localid: int
    rows: npt.NDArray[np.int64]
    image: npt.NDArray[np.uint16]
    columns: Mapping[str, npt.NDArray[Any]]

    @property
    def key(self) -> str:
        """A name that no other item of the store has: split, tile and localid; the first row if the localid is -1."""
        own = f"{self.unit.name.key}_{self.localid}"
        return f"{own}_{self.rows[0]}" if self.localid == -1 else own


@contextmanager
def selected(data: Data) -> Iterator[Selection]:
    """The selection to export: the given one, or everything in a store."""
    if isinstance(data, Selection):
        yield data
    elif isinstance(data, Store):
        yield data.select()
    else:
        with open_store(data) as store:
            yield store.select()


def items(selection: Selection) -> Iterator[Item]:
    """The samples with their selected observations, in the order of the store. Reads a block of images at a time."""
    name, columns = "", {}
    for sample in selection.samples():
        unit = selection.store.units[sample.unit]
        if sample.unit != name:
            name, columns = sample.unit, unit_columns(unit)
        own = {key: values[sample.rows] for key, values in columns.items()}
        yield Item(unit, sample.localid, sample.rows, sample.image, own)


def unit_columns(unit: Unit) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a unit along ``obs``, except pixels."""
    return {
        key: np.asarray(array[...])
        for key, array in unit.items()
        if array.dims[:1] == ("obs",) and key not in ("image", "sample_index")
    }


def shards(given: Iterable[Item], most: int) -> Iterator[tuple[str, Iterator[Item]]]:
    """Files of at most ``most`` bytes of pixels, each of one split, by name (``train-00000``). A sample is in one file.

    Raises
    ------
    WrongUsage
        If ``most`` is not positive.
    """
    if most < 1:
        raise WrongUsage(f"the size of a shard is {most} bytes", expected="at least 1 byte")
    for name, group in groupby(_named(given, most), key=itemgetter(0)):
        yield name, (item for _, item in group)


def _named(given: Iterable[Item], most: int) -> Iterator[tuple[str, Item]]:
    split, number, used = "", 0, 0
    for item in given:
        size = item.image.nbytes
        if item.unit.name.split != split:
            split, number, used = item.unit.name.split, 0, 0
        elif used + size > most:
            number, used = number + 1, 0
        used += size
        yield f"{split}-{number:05}", item


def about(selection: Selection) -> dict[str, Any]:
    """What every part of the data needs: where it comes from, its bands and classes, what was selected."""
    store = selection.store
    kept = {name: value for name, value in vars(selection.keep).items() if value is not None}
    return {
        **{name: str(store.attributes[name]) for name in ABOUT if name in store.attributes},
        "store_digest": str(store.attributes.get("content_digest", "")),
        **({"store_lacks": lacks(store.attributes)} if lacks(store.attributes) else {}),
        "selected": {name: _in_json(value) for name, value in kept.items()},
        "bands": [band.name for band in store.dataset.bands],
        "image_shape": list(store.dataset.obs_shape),
        "classes": list(selection.table.classes),
    }


def _in_json(value: Any) -> Any:
    if isinstance(value, slice):
        return [None if end is None else str(end) for end in (value.start, value.stop)]
    return list(value) if isinstance(value, tuple) else value if isinstance(value, int) else str(value)
