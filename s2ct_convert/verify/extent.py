"""Compares the attributes that say where a unit or a store is with the names of its tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..reading.unit import Unit
from ..store.extent import EXTENT_NAMES, extent_of, store_extent, tile_extent
from .findings import Finding


def check_unit_extent(unit: Unit) -> Iterator[Finding]:
    """Differences between the attributes of a unit and the place of its tile."""
    yield from _check(unit.attributes, tile_extent(unit.area), str(unit.name), "the name of the tile")


def check_store_extent(attributes: Mapping[str, Any], units: Sequence[Unit]) -> Iterator[Finding]:
    """Differences between the attributes of the root and the places of all tiles."""
    yield from _check(attributes, store_extent(unit.area for unit in units), "", "the list of tiles")


def _check(attributes: Mapping[str, Any], expected: Mapping[str, Any], unit: str, whose: str) -> Iterator[Finding]:
    found = extent_of(attributes)
    if not found:  # stores of earlier versions have none; if another program deleted them, the digest shows it
        return
    for name in EXTENT_NAMES:
        is_text = isinstance(expected.get(name), str)
        value = found.get(name) if is_text or name not in found else float(found[name])
        if value != expected.get(name):
            yield Finding(f"{name} is {value}, but {whose} gives {expected.get(name)}", unit)
