"""Exports a store to TFRecords: one file per unit, with every feature of every example equal to the source.

The export proves that nothing was lost. The bytes of a record may differ from the source, because protobuf does not
define the order of features.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..durable import whole_file
from ..errors import DestinationExists, WrongUsage
from ..names import fold_split, fold_tile
from ..paths import check_outside_stores
from ..published import ABSENT
from ..reading.opening import open_store
from ..reading.store import Store
from ..reading.unit import Unit
from ..source.example import Kind, encode_example
from ..source.found import SALVAGED_SUFFIX
from ..source.tfrecord import write_raw_record

BLOCK_OBS = 1024  # images read at once: 14.5 MB in the default data set


@dataclass(frozen=True)
class Exported:
    """One exported unit.

    Attributes
    ----------
    unit : str
        Such as ``train/50SMG``.
    path : Path
        The TFRecord file.
    examples, bytes : int
        Number of examples, and size of the file.
    was_there : bool
        Whether an identical file existed before.
    """

    unit: str
    path: Path
    examples: int
    bytes: int
    was_there: bool


def export_tfrecord(
    store: str | os.PathLike[str] | Store,
    folder: str | os.PathLike[str],
    *,
    tiles: Iterable[str] = (),
    splits: Iterable[str] = (),
    overwrite: bool = False,
    on_bytes: Callable[[int], None] = lambda n: None,
    on_file: Callable[[Exported], None] = lambda one: None,
) -> list[Exported]:
    """Write units as TFRecords, ``<split>_<tile>_<number of examples>``, in the order of their sources.

    The file of a salvaged unit ends with ``.salvaged.tfrecord``.

    Parameters
    ----------
    store : path-like or Store
        A complete or partial store of layout 2.
    folder : path-like
        Created if it does not exist.
    tiles, splits : iterable of str
        Export only these.
    overwrite : bool
        Replace existing files that differ. Identical files always stay.
    on_bytes : callable
        Called with the number of bytes of pixels written since the last call.
    on_file : callable
        Called with each file once it is complete.

    Returns
    -------
    list of Exported

    Raises
    ------
    WrongUsage
        If the store has layout 1, which does not keep every feature of its sources, or has no such unit.
    DestinationExists
        If a different file has the name of the unit.
    StoreDamaged
        If the store cannot be read. No file of that unit remains.

    Examples
    --------
    >>> import s2ct_convert
    >>> s2ct_convert.export_tfrecord("clouds.zarr", "back/", tiles=["50SMG"])  # doctest: +SKIP
    """
    if not isinstance(store, Store):
        with open_store(store) as opened:
            return export_tfrecord(
                opened, folder, tiles=tiles, splits=splits, overwrite=overwrite, on_bytes=on_bytes, on_file=on_file
            )
    units = choose_units(store, tiles, splits)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise WrongUsage("this is a file, not a folder", where=str(folder), todo="choose another path")
    check_outside_stores(folder, "an export")
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for unit in units:
        done.append(_export(unit, folder, overwrite=overwrite, on_bytes=on_bytes))
        on_file(done[-1])
    return done


def choose_units(store: Store, tiles: Iterable[str], splits: Iterable[str]) -> list[Unit]:
    """The units with these tiles and splits; all if none are given.

    Raises
    ------
    WrongUsage
    """
    if store.layout < 2:
        raise WrongUsage(
            "this store has layout 1, which does not keep every feature of its sources",
            where=str(store.path),
            todo="convert the sources again, then export the new store",
        )
    tiles, splits = set(map(fold_tile, tiles)), set(map(fold_split, splits))
    there = list(store.units.values())
    units = [u for u in there if (not tiles or u.name.tile in tiles) and (not splits or u.name.split in splits)]
    missing = tiles - {unit.name.tile for unit in there} or splits - {unit.name.split for unit in there}
    if missing or not units:
        raise WrongUsage(
            "the store has no such unit",
            where=str(store.path),
            expected=" ".join(
                [*(f"--tile {tile}" for tile in sorted(tiles)), *(f"--split {s}" for s in sorted(splits))]
            ),
            found=", ".join(str(unit.name) for unit in there),
        )
    return units


def _export(unit: Unit, folder: Path, *, overwrite: bool, on_bytes: Callable[[int], None]) -> Exported:
    n_examples = int(unit.attributes["source_examples"])
    path = folder / f"{unit.name.key}_{n_examples}{SALVAGED_SUFFIX if unit.salvaged else ''}"
    was_there = False
    with suppress(_Equal), whole_file(path) as file:
        for payload, pixels in example_payloads(unit):
            write_raw_record(file, payload)
            on_bytes(pixels)
        file.flush()
        size = file.tell()
        was_there = path.exists() and filecmp.cmp(path, file.name, shallow=False)
        if was_there:
            raise _Equal
        if path.exists() and not overwrite:
            raise DestinationExists(
                f"this file exists and is not unit {unit.name} of this store",
                where=str(path),
                todo="choose another folder, or give --overwrite to replace the file",
            )
    return Exported(str(unit.name), path, n_examples, size, was_there)


class _Equal(Exception):
    """The existing file is identical and stays."""


def example_payloads(unit: Unit) -> Iterator[tuple[bytes, int]]:
    """The records of a unit in the order of its source, each with its number of bytes of pixels."""
    features = _Features(unit)
    for first, last in features.blocks():
        for number, image in zip(range(first, last), features.images(first, last), strict=True):
            yield features.record(number, image), image.nbytes


class _Features:
    """The features of the examples of a unit."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        example, position = np.asarray(unit[unit.example_order][...]), np.asarray(unit["position"][...])
        self._rows = np.lexsort((position, example))  # rows of the unit, in the order of the source
        n_examples = int(unit.attributes["source_examples"])
        self._starts = np.searchsorted(example, np.arange(n_examples + 1), sorter=self._rows)
        self._owner = np.asarray(unit["sample_index"][...])

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of examples whose images are read at once."""
        first, n, most = 0, len(self._starts) - 1, self._unit.dataset.cap(BLOCK_OBS)
        while first < n:
            last = int(np.searchsorted(self._starts, self._starts[first] + most, side="right")) - 1
            last = min(max(last, first + 1), n)
            yield first, last
            first = last

    def images(self, first: int, last: int) -> list[npt.NDArray[np.uint16]]:
        """The images of each example in a range, in the order of the source."""
        starts = self._starts[first : last + 1]
        rows = self._rows[starts[0] : starts[-1]]
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1) if len(rows) else []
        parts = self._unit.images([slice(int(run[0]), int(run[-1]) + 1) for run in runs])
        images = np.concatenate(parts) if parts else np.empty((0, *self._unit.dataset.obs_shape), np.uint16)
        return np.split(images, (starts[1:-1] - starts[0]).tolist())

    def record(self, number: int, image: npt.NDArray[np.uint16]) -> bytes:
        """The payload of an example with these images."""
        features: dict[str, tuple[Kind, bytes]] = self._from_arrays(number, image)
        for one in self._unit.published.values():
            if one.state[number] == ABSENT:
                features.pop(one.name, None)
        for one in self._unit.published.values():
            if (data := one.get(number)) is not None:
                if one.kind == Kind.RECORD:
                    return data
                features[one.name] = (Kind(one.kind), data)
        return encode_example(features)

    def _from_arrays(self, number: int, image: npt.NDArray[np.uint16]) -> dict[str, tuple[Kind, bytes]]:
        unit, names = self._unit, self._unit.dataset.features
        rows = self._rows[self._starts[number] : self._starts[number + 1]]
        localid = unit.localid[self._owner[rows[:1]]].astype("<i8")
        features: Mapping[str, npt.NDArray[np.generic]] = {
            names.image: image.astype("<u2", copy=False),
            names.labels: unit.label[rows],
            names.dates: unit.date[rows].astype("<i8", copy=False),
            names.weights: unit.weight[rows].astype("<f4", copy=False),
        }
        out = {name: (Kind.BYTES, array.tobytes()) for name, array in features.items()}
        return {names.localid: (Kind.INT64, localid.tobytes()), **out} if len(rows) else out
