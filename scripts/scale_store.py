"""Makes stores of many units with one sample each, ready for finalise: one unit is converted, the others are copies.

Files that do not differ between units are hard links to one file, to save disk space; the number of names, folders and
bytes read is that of a real store. Copies name their unit in their attributes (Zarr) or are all equal (HDF5), so their
``tables_digest`` does not match, and `s2ct verify store` would report it.
"""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
from make_sample import Example, record

import s2ct_convert
from s2ct_convert.names import UnitName
from s2ct_convert.store.layout import STATE_INCOMPLETE
from s2ct_convert.store.root import root_attributes
from s2ct_convert.units.entries import StoreOptions
from s2ct_convert.units.ledger import Ledger
from s2ct_convert.units.unit import open_container

KINDS = {
    "zarr": StoreOptions("zarr", "balanced"),
    "hdf5": StoreOptions("hdf5", "gzip"),
    "linked": StoreOptions("hdf5", "gzip", True),
}
SPLITS = ("train", "val")
TILE = "50SMG"  # tile of the copied units
OBSERVATIONS = 3
MOST_LINKS = 60_000  # per file; ext4 allows 65,000


def unit_names(n: int) -> list[UnitName]:
    """Names of ``n`` units: both splits of as many tiles as necessary."""
    parts = itertools.product(range(1, 61), "CDEFGHJKLMNPQRSTUVWX", "ABCDEFGHJKLMNPQRSTUVWXYZ", "ABCDEFGHJKLMNPQRSTUV")
    tiles = (f"{zone:02}{band}{column}{row}" for zone, band, column, row in parts)
    return [UnitName(split, tile) for tile, split in itertools.islice(itertools.product(tiles, SPLITS), n)]


def make_store(folder: Path, kind: str, n: int) -> Path:
    """Make a store of ``n`` finished units with their ledger, without index and root."""
    folder.mkdir(parents=True, exist_ok=True)
    options, suffix = KINDS[kind], ".zarr" if kind == "zarr" else ".h5"
    one, many = folder / f"one{suffix}", folder / f"{kind}-{n}{suffix}"
    _convert(folder / "sources", one)
    copy, ledger, units = _Copy(), Ledger(many), unit_names(n)
    ledger.begin(options, units)
    open_container(many, options).begin(
        units, root_attributes(state=STATE_INCOMPLETE, version="", command="", units=0, digest="")
    )
    for unit in units:
        if kind == "zarr":
            copy.folder(one / unit.split / TILE, many / unit.split / unit.tile, unit)
        else:
            copy.file(Path(f"{one}.units", f"{unit.split}_{TILE}.h5"), Path(f"{many}.units", f"{unit.key}.h5"))
        noted = Path(f"{one}.s2ct", "units", f"{unit.split}_{TILE}.json")
        Path(f"{many}.s2ct", "units", f"{unit.key}.json").write_bytes(_for(unit, noted.read_bytes()))
    for path in (one, Path(f"{one}.units"), Path(f"{one}.s2ct")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return many


def _convert(folder: Path, store: Path) -> None:
    """Convert one tile in both splits, with one sample each, to a store with one file per unit."""
    folder.mkdir(exist_ok=True)
    sources = [folder / f"{split}_{TILE}_1" for split in SPLITS]
    for source in sources:
        image = np.arange(OBSERVATIONS * 4 * 42 * 42, dtype="<u2").reshape(OBSERVATIONS, 4, 42, 42)
        days = 736_700 + 5 * np.arange(OBSERVATIONS, dtype="<i8")
        label, weight = np.arange(OBSERVATIONS, dtype="i1"), np.ones(OBSERVATIONS, "<f4")
        source.write_bytes(record(Example(7, image, label, days, weight)))
    s2ct_convert.convert(sources, store, linked=store.suffix == ".h5")


def _for(unit: UnitName, content: bytes) -> bytes:
    """Replace the tile; the length stays the same, so sizes in the ledger stay correct."""
    return content.replace(TILE.encode(), unit.tile.encode())


class _Copy:
    """Copies files by hard links, with a new copy when a file has too many links."""

    def __init__(self) -> None:
        self._latest: dict[Path, Path] = {}
        self._links: dict[Path, int] = {}

    def file(self, source: Path, target: Path) -> None:
        if self._links.get(source, MOST_LINKS) >= MOST_LINKS:
            shutil.copyfile(source, target)
            self._latest[source], self._links[source] = target, 1
        else:
            os.link(self._latest[source], target)
            self._links[source] += 1

    def folder(self, source: Path, target: Path, unit: UnitName) -> None:
        for folder, _, names in os.walk(source):
            home = target / Path(folder).relative_to(source)
            home.mkdir()
            for name in names:
                if home == target:  # the attributes of the unit
                    (home / name).write_bytes(_for(unit, Path(folder, name).read_bytes()))
                else:
                    self.file(Path(folder, name), home / name)
