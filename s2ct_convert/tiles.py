"""Where a Sentinel-2 tile is on Earth, from its name: ``50SMG`` is a square of the Military Grid Reference System.

The name gives UTM zone, latitude band and a square of 100 x 100 km. A tile begins at the north-west corner of its
square and is 109.8 km wide and high, so that neighbours overlap. It lies on a grid of 60 m, which is counted from the
equator and from easting 0. So its corner is up to 40 m outside of the square. The tests compare this rule with the
metadata of Sentinel-2 products.

Sources: MGRS, NGA.STND.0037 (letters and bands); the metadata of products (size and grid).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

from .utm import FALSE_EASTING, FALSE_NORTHING, lon_lat

SQUARE = 100_000  # m
SIDE = 109_800  # m, of a tile
GRID = 60  # m
DECIMALS = 6  # of degrees: 0.1 m

_BANDS = "CDEFGHJKLMNPQRSTUVWX"  # 8 degrees each from 80 S; X has 12
_COLUMNS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")  # by zone modulo 3; the first letter is at easting 100 km
_ROWS = "ABCDEFGHJKLMNPQRSTUV"  # from the equator, again every 2,000 km; even zones begin at F
_CYCLE = len(_ROWS) * SQUARE
_NAME = re.compile(rf"(\d\d)([{_BANDS}])([A-HJ-NP-Z])([{_ROWS}])", re.ASCII)

Place = tuple[float, float]
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class TileArea:
    """Where a tile is. A sample of the tile is somewhere in it; the record does not say where.

    Attributes
    ----------
    name : str
        Such as ``50SMG``.
    zone : int
        UTM zone, from 1 to 60.
    left, top : int
        North-west corner in m: easting in the zone, and distance north of the equator (negative in the south).
    """

    name: str
    zone: int
    left: int
    top: int

    @property
    def epsg(self) -> int:
        """Code of the coordinate system of the tile: WGS 84 / UTM, 32650 for zone 50 north."""
        return (32600 if self._is_north else 32700) + self.zone

    @property
    def utm_bounds(self) -> tuple[int, int, int, int]:
        """Left, bottom, right and top in m, in the coordinate system ``epsg``."""
        top = self.top + (0 if self._is_north else FALSE_NORTHING)
        return self.left, top - SIDE, self.left + SIDE, top

    @property
    def _is_north(self) -> bool:
        return self.name[2] >= "N"

    @cached_property
    def corners(self) -> tuple[Place, Place, Place, Place]:
        """Longitude and latitude of the corners in degrees (WGS 84): south-west, south-east, north-east, north-west."""
        left, bottom, right, top = self.left, self.top - SIDE, self.left + SIDE, self.top
        south_west, south_east = self._place(left, bottom), self._place(right, bottom)
        return south_west, south_east, self._place(right, top), self._place(left, top)

    @cached_property
    def centre(self) -> Place:
        """Longitude and latitude of the centre of the tile in degrees (WGS 84)."""
        return self._place(self.left + SIDE / 2, self.top - SIDE / 2)

    @cached_property
    def bounds(self) -> Bounds:
        """West, south, east and north in degrees (WGS 84). West > east if the tile crosses the 180th meridian."""
        # The edges are curved: extremes are at corners, the central meridian and the equator.
        x = [self.left, self.left + SIDE]
        y = [self.top - SIDE, self.top]
        x += [FALSE_EASTING] if x[0] < FALSE_EASTING < x[1] else []
        y += [0] if y[0] < 0 < y[1] else []
        places = [self._place(one, other) for one in x for other in y]
        west, east = _span([(lon, lon) for lon, _ in places])
        return west, min(lat for _, lat in places), east, max(lat for _, lat in places)

    @property
    def crosses_180(self) -> bool:
        """Whether the 180th meridian goes through the tile."""
        return self.bounds[0] > self.bounds[2]

    def _place(self, x: float, y: float) -> Place:
        lon, lat = lon_lat(self.zone, x, y)
        return round(lon, DECIMALS), round(lat, DECIMALS)


@cache
def locate_tile(name: str) -> TileArea | None:
    """Where a Sentinel-2 tile is; None if this is not the name of one.

    Parameters
    ----------
    name : str
        Such as ``50SMG``: without a leading T.

    Examples
    --------
    >>> locate_tile("31TCJ").utm_bounds
    (300000, 4790220, 409800, 4900020)
    """
    parts = _NAME.fullmatch(name)
    if not parts:
        return None
    zone, band, row = int(parts[1]), _BANDS.index(parts[2]), _ROWS.index(parts[4])
    column = _COLUMNS[zone % 3].find(parts[3])
    if column < 0 or not 1 <= zone <= 60:
        return None
    south = 8 * band - 80
    north = 84 if band == len(_BANDS) - 1 else south + 8
    square = (row - (0 if zone % 2 else 5)) % len(_ROWS) * SQUARE  # its southern edge, modulo the cycle
    middle = (south + north) / 2 * 111_000  # m; letters repeat every 2,000 km, so this is exact enough
    square += round((middle - square) / _CYCLE) * _CYCLE
    left, top = (column + 1) * SQUARE // GRID * GRID, -(-(square + SQUARE) // GRID) * GRID
    area = TileArea(name, zone, left, top)
    return area if area.bounds[1] < north and area.bounds[3] > south else None


def bounds_of(areas: Iterable[TileArea]) -> Bounds:
    """West, south, east and north of several tiles in degrees; west > east across the 180th meridian.

    West and east are the ends of the shortest arc that holds all tiles.
    """
    bounds = [area.bounds for area in areas]
    west, east = _span([(one[0], one[2]) for one in bounds])
    return west, min(one[1] for one in bounds), east, max(one[3] for one in bounds)


def _span(arcs: list[Place]) -> Place:
    """West and east of the shortest arc that holds all these arcs: it leaves out the widest gap between them."""
    across = [east for west, east in arcs if west > east]  # the 180th meridian
    reach = max(across, default=None)  # how far east the arcs come, so far
    gaps = []
    for west, east in sorted(arcs):
        if reach is not None:
            gaps.append((west - reach, west, reach))
        end = east if west <= east else 180.0
        reach = end if reach is None else max(reach, end)
    if not across and reach is not None:
        first = min(arcs)[0]
        gaps.append((first + 360 - reach, first, reach))
    widest, west, east = max(gaps)
    return (west, east) if widest > 0 else (-180.0, 180.0)
