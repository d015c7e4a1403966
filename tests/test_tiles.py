"""The name of a Sentinel-2 tile gives its place, as the metadata of Sentinel-2 products have it."""

from __future__ import annotations

import numpy as np
import pytest

from s2ct_convert import tiles
from s2ct_convert.dataset import DATASET, Dataset
from s2ct_convert.tiles import TileArea, bounds_of, locate_tile
from s2ct_convert.utm import FALSE_EASTING, lon_lat

# Code of the coordinate system, ULX and ULY in the metadata of published products: MTD_TL.xml and its predecessor (ESA)
# in the tests of ungarj/s2reader, tileInfo.json (Sentinel-2 on AWS) in those of stactools-packages/sentinel2.
PRODUCTS = {
    "32TNM": (32632, 499980, 4700040),  # S2A_MSIL1C_20170226T102021_N0204_R065_T32TNM
    "53HLA": (32753, 300000, 6100000),  # S2A_OPER_MSI_L1C_TL_SGS__20160905T073438_A006291_T53HLA_N02.04
    "53HMA": (32753, 399960, 6100000),  # S2A_OPER_MSI_L1C_TL_SGS__20160905T073438_A006291_T53HMA_N02.04
    "53HPV": (32753, 600000, 6000040),  # S2A_OPER_MSI_L1C_TL_SGS__20160905T073438_A006291_T53HPV_N02.04
    "10SDG": (32610, 399960, 4200000),  # S2A_MSIL2A_20181231T185801_N0211_R113_T10SDG
    "34LBP": (32734, 199980, 8900020),  # S2A_MSIL2A_20220401T083601_N0400_R064_T34LBP
    "34VEL": (32634, 499980, 6600000),  # S2A_MSIL2A_20240108T101401_N0510_R022_T34VEL
    "60CWS": (32760, 499980, 1200040),  # S2A_MSIL2A_20240109T184751_N0510_R041_T60CWS
    "01VCG": (32601, 300000, 6700020),  # S2B_MSIL2A_20200914T231559_N0500_R087_T01VCG
}


def place(name: str) -> TileArea:
    area = locate_tile(name)
    assert area is not None
    return area


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_tile_is_where_the_metadata_of_products_say(name):
    epsg, left, top = PRODUCTS[name]
    area = place(name)
    assert (area.epsg, area.utm_bounds) == (epsg, (left, top - 109_800, left + 109_800, top))


NO_TILES = (
    "",
    "50S",
    "T50SMG",
    "50smg",
    "00SMG",
    "61CAA",
    "50IMG",
    "50SIG",
    "50SMW",
    "50SAG",
    "50SMM",
    "SITE7",
    "\u06650SMG",
)


@pytest.mark.parametrize("name", NO_TILES)
def test_a_name_that_is_no_tile_has_no_place(name):
    """Among them: letters that the grid does not have, or not in this zone or band."""
    assert locate_tile(name) is None


@pytest.mark.parametrize(
    ("name", "crosses"), {"60CWS": True, "01VCG": True, "01CCV": True, "60WWS": False, "01VEG": False}.items()
)
def test_a_tile_across_180_degrees_has_its_west_east_of_its_east(name, crosses):
    area = place(name)
    west, _, east, _ = area.bounds
    assert area.crosses_180 == (west > east) == crosses
    assert all(-180 <= lon < 180 for lon, _ in (*area.corners, area.centre))


def test_bounds_hold_every_point_of_a_tile():
    """Also where an edge bends out between its corners: at the central meridian and the equator."""
    for name in ("50SMG", "32TNM", "53HMA", "31NAA", "31NCA", "31MGV", "33XWJ"):
        area = place(name)
        left, bottom, right, top = area.utm_bounds
        south = 0 if area.epsg < 32700 else 10_000_000
        edge = np.linspace(0, 1, 200)
        points = [(left + (right - left) * t, y - south) for t in edge for y in (bottom, top)]
        points += [(x, bottom + (top - bottom) * t - south) for t in edge for x in (left, right)]
        west, low, east, high = area.bounds
        lons, lats = np.array([lon_lat(area.zone, x, y) for x, y in points]).T
        assert (lons.min(), lats.min(), lons.max(), lats.max()) == pytest.approx((west, low, east, high), abs=1e-4)
        assert lons.min() >= west - 1e-6 and lons.max() <= east + 1e-6
        assert lats.min() >= low - 1e-6 and lats.max() <= high + 1e-6


def test_bounds_of_several_tiles_are_the_shortest_way_around():
    def ends(*names: str) -> tuple[float, float]:
        west, _, east, _ = bounds_of(map(place, names))
        return west, east

    def west(name: str) -> float:
        return place(name).bounds[0]

    def east(name: str) -> float:
        return place(name).bounds[2]

    assert ends("31TCJ") == (west("31TCJ"), east("31TCJ"))
    assert ends("50SMG", "31TCJ") == (west("31TCJ"), east("50SMG"))
    assert ends("01VEG", "59VMG") == (west("59VMG"), east("01VEG"))  # over the Pacific
    assert ends("60CWS", "01VEG", "01VCG") == (west("60CWS"), east("01VEG"))
    assert ends("01VEG", "10SDG", "60CWS") == (west("60CWS"), east("10SDG"))
    equator = [f"{zone:02}N{letter}F" for zone in range(1, 61) for letter in tiles._COLUMNS[zone % 3]]
    assert ends(*equator) == (-180, 180)


def test_a_data_set_without_mgrs_tiles_has_no_places():
    assert DATASET.locate("50SMG") == place("50SMG")
    values = {name: value for name, value in DATASET.values().items() if name != "mgrs_tiles"}
    for other in ({**values, "mgrs_tiles": False}, values):  # the second is of a store of an earlier version
        assert Dataset.from_values(other).locate("50SMG") is None


def every_tile(zone: int) -> list[TileArea]:
    letters = [
        (band, column, row) for band in tiles._BANDS for column in tiles._COLUMNS[zone % 3] for row in tiles._ROWS
    ]
    return [area for one in letters if (area := locate_tile(f"{zone:02}{''.join(one)}"))]


@pytest.mark.slow
@pytest.mark.parametrize("zone", [1, 31, 60])
def test_places_match_proj_to_a_tenth_of_a_nanodegree(zone):
    pyproj = pytest.importorskip("pyproj")
    for hemisphere, south in ((32600, 0), (32700, 10_000_000)):
        areas = [area for area in every_tile(zone) if area.epsg == hemisphere + zone]
        assert len(areas) > 800
        corners = [(x, y) for one in areas for x in (one.left, one.left + 109_800) for y in (one.top, one.top - 1)]
        x, y = np.array(corners).T
        expected = pyproj.Transformer.from_crs(f"EPSG:{hemisphere + zone}", "EPSG:4326", always_xy=True)
        found = np.array([lon_lat(zone, *point) for point in zip(x.tolist(), y.tolist(), strict=True)])
        difference = np.abs(found - np.array(expected.transform(x, y + south)).T)
        difference[:, 0] = np.minimum(difference[:, 0], 360 - difference[:, 0])
        assert difference.max() < 1e-10


@pytest.mark.slow
def test_no_place_is_so_near_a_tie_that_rounding_could_differ():
    """So every machine writes the same digits: sin and cos of two C libraries differ in the 16th digit."""
    for area in every_tile(31):  # every zone has these squares, 6 degrees further
        xs, ys = (area.left, area.left + 54_900, area.left + 109_800), (area.top, area.top - 54_900, area.top - 109_800)
        for x in (*xs, FALSE_EASTING):
            for y in (*ys, 0):
                for degrees in lon_lat(31, x, y):
                    assert abs(degrees * 1e6 % 1 - 0.5) > 1e-6, (area.name, degrees)
