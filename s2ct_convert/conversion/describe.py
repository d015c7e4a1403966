"""The documents of ``s2ct info``: of a store here; of sources in describe_sources.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..archives.unpackers import SIGNATURE
from ..dataset import DATASET, Dataset
from ..durable import beside, size_of
from ..errors import NotAStore
from ..missing import NO_DAY
from ..names import UnitName
from ..objects.address import AnyPath, ObjectPath
from ..paths import check_spelling
from ..reading.opening import open_store
from ..reading.store import Store
from ..reading.unit import Unit
from ..store.codecs import find_codec
from ..store.hdf5_file import is_hdf5
from ..tiles import TileArea
from ..units.entries import StoreOptions, UnitEntry
from ..units.ledger import Ledger
from .describe_sources import describe_archive, describe_folder, describe_tfrecord

Document = dict[str, Any]


def describe(path: AnyPath, *, unit: str | None = None) -> Document:
    """Describe the file, folder or store at ``path``; ``unit`` is the unit of a source whose name does not give it.

    Raises
    ------
    S2ctError
        If the format is unknown, or the source is damaged.
    """
    if isinstance(path, ObjectPath):
        return _store(path, None)
    ledger = Ledger(path)
    if (path.is_dir() and (path / "zarr.json").exists()) or (path.is_file() and is_hdf5(path)):
        return _store(path, ledger)
    if ledger.exists():
        return _unfinished(path, ledger)
    if not path.exists():
        raise NotAStore("there is no such file or folder", where=str(path), todo=check_spelling(path))
    if path.is_dir():
        return describe_folder(path, unit)
    with open(path, "rb") as file:
        if file.read(len(SIGNATURE)) == SIGNATURE:
            return describe_archive(path, unit)
    return describe_tfrecord(path, unit)


def _store(path: AnyPath, ledger: Ledger | None) -> Document:
    local = path if isinstance(path, Path) else None
    with open_store(local or str(path), allow_incomplete=True) as store:
        if local and ledger and not store.finished and ledger.exists():
            return _unfinished(local, ledger)
        counted = _by_unit(store.samples.rows) if store.finished else {}
        units = [
            _unit(unit, _counts(counted[name]) if name in counted else _read(unit))
            for name, unit in store.units.items()
        ]
        return {
            "format": store.format,
            "path": str(path),
            "state": store.attributes["state"],
            "codec": _codec(store),
            "bytes": size_of(local) + _linked_bytes(local) if local else None,  # an address is not listed
            "units": units,
            "missing": str(store.attributes.get("missing_units", "")).split(),
            "refused_sources": str(store.attributes.get("refused_sources", "")),
            "salvaged": str(store.attributes.get("salvaged_units", "")).split(),
            **_totals(units),
            "digest": store.digest or None,
            **_about(store.dataset),
        }


def _about(dataset: Dataset) -> Document:
    """DOI and classes of the data set, if it is not the default one."""
    return {} if dataset == DATASET else {"dataset": dataset.doi, "classes": list(dataset.classes)}


def _linked_bytes(path: Path) -> int:
    units = beside(path, ".units")
    return size_of(units) if units.is_dir() else 0


def _unit(unit: Unit, counts: Document) -> Document:
    return {
        "split": unit.name.split,
        "tile": unit.name.tile,
        **counts,
        "digest": unit.digest,
        "source_file": str(unit.attributes["source_file"]),
        "source_md5": str(unit.attributes["source_md5"]) or None,
        "date_encoding": str(unit.attributes["date_encoding"]) or None,
        **_number_in_name(unit),
        **_place(unit.area),
        "notes": str(unit.attributes.get("notes", "")).splitlines(),
        "gaps": [dataclasses.asdict(gap) for gap in unit.gaps] if unit.salvaged else None,
        "examples": int(unit.attributes["source_examples"]),
    }


def _place(area: TileArea | None) -> Document:
    """Centre and bounds (west, south, east, north) of a tile in degrees."""
    lon, lat = area.centre if area else (None, None)
    return {"tile_lon": lon, "tile_lat": lat, "tile_bounds": list(area.bounds) if area else None}


def _number_in_name(unit: Unit) -> Document:
    if "name_count" not in unit.attributes:
        return {"name_count": None, "name_counts": ""}
    return {"name_count": int(unit.attributes["name_count"]), "name_counts": str(unit.attributes["name_counts"])}


def _by_unit(rows: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Split the rows of the index by unit; they are sorted by unit."""
    ends = np.flatnonzero((rows["split"][1:] != rows["split"][:-1]) | (rows["tile"][1:] != rows["tile"][:-1])) + 1
    return {f"{part['split'][0]}/{part['tile'][0]}": part for part in np.split(rows, ends) if len(part)}


def _counts(rows: npt.NDArray[Any]) -> Document:
    """Counts of a unit from its rows of the index."""
    some = rows[(rows["row_size"] > 0) & ~np.isnat(rows["time_first"])]
    return {
        "samples": len(rows),
        "observations": int(rows["row_size"].sum()),
        "time_first": int(some["time_first"].min().astype(int)) if len(some) else None,
        "time_last": int(some["time_last"].max().astype(int)) if len(some) else None,
        "label_count": rows["label_count"].sum(0, dtype=int).tolist(),
    }


def _read(unit: Unit) -> Document:
    """The same counts from the arrays of a unit, if there is no index or the unit has no sample."""
    time, label = unit.time[unit.time != NO_DAY], unit.label
    return {
        "samples": len(unit.localid),
        "observations": unit.observations,
        "time_first": int(time.min()) if len(time) else None,
        "time_last": int(time.max()) if len(time) else None,
        "label_count": [int(np.count_nonzero(label == k)) for k in range(len(unit.dataset.classes))],
    }


def _unfinished(path: Path, ledger: Ledger) -> Document:
    """Describe an unfinished store from its ledger; its files may be in any state."""
    entries = [(unit, ledger.entry(unit)) for unit in sorted(ledger.planned())]
    options = ledger.options()
    dataset = options.dataset if options else DATASET
    units = [_of_entry(unit, entry, dataset) for unit, entry in entries if entry]
    return {
        "format": options.format if options else None,
        "path": str(path),
        "state": "incomplete",
        "codec": _planned_codec(options) if options else None,
        "bytes": sum(entry.bytes for _, entry in entries if entry),
        "units": units,
        "missing": [str(unit) for unit, entry in entries if not entry],
        **_totals(units),
        "digest": None,
        **_about(dataset),
    }


_FROM_ENTRY = (
    *("samples", "observations", "time_first", "time_last", "label_count", "digest"),
    *("source_file", "source_md5", "date_encoding", "name_count", "name_counts"),
)


def _of_entry(unit: UnitName, entry: UnitEntry, dataset: Dataset) -> Document:
    fields = {name: getattr(entry, name) for name in _FROM_ENTRY}
    gaps = None if entry.gaps is None else [dataclasses.asdict(gap) for gap in entry.gaps]
    notes = [note.line(dataset) for note in entry.notes]
    about = {**fields, **_place(dataset.locate(unit.tile)), "notes": notes, "gaps": gaps, "examples": entry.examples}
    return {"split": unit.split, "tile": unit.tile, **about}


def _totals(units: list[Document]) -> Document:
    return {name: sum(unit[name] for unit in units) for name in ("samples", "observations")}


def _codec(store: Store) -> str:
    """The codec of the images, in words."""
    return next(iter(store.units.values())).chunks.codec.in_words()


def _planned_codec(options: StoreOptions) -> str:
    """The same before the store has images."""
    return find_codec(options.format, options.codec).in_words()
