"""Attributes that say where on Earth a unit or a store is (ACDD 1.3). They follow from the names of its tiles.

They describe the whole tile: samples have no coordinates. A tile without a known place has none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..tiles import DECIMALS, Bounds, Place, TileArea, bounds_of

EXTENT_NAMES = (
    *("geospatial_lat_min", "geospatial_lat_max", "geospatial_lon_min", "geospatial_lon_max"),
    *("geospatial_bounds", "geospatial_bounds_crs"),
)


def tile_extent(area: TileArea | None) -> dict[str, str | float]:
    """Attributes of a unit: limits, and the four corners of its tile.

    A tile across the 180th meridian has no ``geospatial_bounds``: as one polygon it would go around the Earth.
    """
    return {} if area is None else _extent(area.bounds, area.corners)


def store_extent(areas: Iterable[TileArea | None]) -> dict[str, str | float]:
    """Attributes of the root: the limits of all tiles and their rectangle; none if the place of a tile is unknown."""
    known = list(areas)
    if not known or None in known:
        return {}
    west, south, east, north = bounds = bounds_of(area for area in known if area)
    return _extent(bounds, ((west, south), (east, south), (east, north), (west, north)))


def extent_of(attributes: Any) -> dict[str, Any]:
    """Those of the attributes of a group."""
    return {name: attributes[name] for name in EXTENT_NAMES if name in attributes}


def _extent(bounds: Bounds, corners: tuple[Place, ...]) -> dict[str, str | float]:
    west, south, east, north = bounds
    limits: dict[str, str | float] = dict(zip(EXTENT_NAMES[:4], (south, north, west, east), strict=True))
    if west > east:
        return limits
    # EPSG:4326 has latitude first (ACDD says so too); the first corner closes the ring.
    ring = ", ".join(f"{lat:.{DECIMALS}f} {lon:.{DECIMALS}f}" for lon, lat in (*corners, corners[0]))
    return {**limits, "geospatial_bounds": f"POLYGON (({ring}))", "geospatial_bounds_crs": "EPSG:4326"}
