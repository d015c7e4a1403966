"""Longitude and latitude of a place in UTM coordinates: the inverse transverse Mercator projection of WGS 84.

Krueger's series to the fourth power of the third flattening n, which is exact to a few micrometres inside a zone.
Source of the formulas: C. F. F. Karney, Transverse Mercator with an accuracy of a few nanometers, J. Geodesy 85 (2011),
equations 14, 15 and 36 (the series of the inverse projection), and 2n, 7/3 n^2, ... (conformal to geographic latitude).
"""

from __future__ import annotations

import math

FALSE_EASTING = 500_000  # m, of the central meridian
FALSE_NORTHING = 10_000_000  # m, of the equator in southern zones
_SCALE = 0.9996  # of the central meridian

_A, _F = 6_378_137.0, 1 / 298.257223563  # WGS 84: semi-major axis in m, flattening
_N = _F / (2 - _F)
_RADIUS = _A / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)  # of the rectifying sphere
_TO_SPHERE = (
    _N / 2 - 2 / 3 * _N**2 + 37 / 96 * _N**3 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 / 1440 * _N**4,
    17 / 480 * _N**3 - 37 / 840 * _N**4,
    4397 / 161280 * _N**4,
)
_TO_ELLIPSOID = (
    2 * _N - 2 / 3 * _N**2 - 2 * _N**3 + 116 / 45 * _N**4,
    7 / 3 * _N**2 - 8 / 5 * _N**3 - 227 / 45 * _N**4,
    56 / 15 * _N**3 - 136 / 35 * _N**4,
    4279 / 630 * _N**4,
)


def lon_lat(zone: int, x: float, y: float) -> tuple[float, float]:
    """Longitude in [-180, 180) and latitude, in degrees.

    Parameters
    ----------
    zone : int
        From 1 to 60.
    x : float
        Easting in m, with the false easting of 500 km.
    y : float
        Metres north of the equator, negative in the south: without the false northing.
    """
    xi, eta = y / (_SCALE * _RADIUS), (x - FALSE_EASTING) / (_SCALE * _RADIUS)
    north, east = xi, eta
    for k, beta in enumerate(_TO_SPHERE, start=1):
        north -= beta * math.sin(2 * k * xi) * math.cosh(2 * k * eta)
        east -= beta * math.cos(2 * k * xi) * math.sinh(2 * k * eta)
    conformal = math.asin(math.sin(north) / math.cosh(east))
    lat = conformal + sum(delta * math.sin(2 * k * conformal) for k, delta in enumerate(_TO_ELLIPSOID, start=1))
    lon = 6 * zone - 183 + math.degrees(math.atan2(math.sinh(east), math.cos(north)))
    return (lon + 180) % 360 - 180, math.degrees(lat)
