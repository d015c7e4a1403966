"""Scenes for the bundled sample: synthetic, plausible, and the same in each run.

A tile is a deterministic function of place and date. `Land` is the land cover of a window of the tile, `weather` is the
weather of a day, the same for all samples of the tile, and `observe` is the satellite image of both with its label.
Nothing comes from real images.
"""

from __future__ import annotations

import datetime
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint16]
CROP, MARGIN = 42, 18  # 10 m pixels: side of a crop, margin around its centre 6 x 6
GRID_60M = 1830  # 60 m pixels: side of a tile
FIRST_DAY = datetime.date(2018, 1, 2).toordinal()
CLEAR, OPAQUE_CLOUD, THIN_CLOUD, HAZE, CLOUD_SHADOW, SNOW = range(6)


# For B2, B3, B4, B8: reflectance at the ground x 10,000, and the effects of air, haze and clouds.
SURFACE = {
    "soil": (800, 1100, 1500, 2400), "green": (230, 560, 280, 4300), "straw": (950, 1400, 1850, 2900),
    "blossom": (420, 1500, 1250, 4200), "twigs": (380, 520, 680, 1500), "leaves": (190, 430, 230, 3300),
    "needles": (150, 260, 170, 1800), "moss": (380, 640, 720, 2000), "water": (260, 240, 130, 60),
    "gravel": (1200, 1400, 1550, 2000), "roofs": (1350, 1500, 1750, 2200), "snow": (8900, 8800, 8600, 7600),
}  # fmt: skip
AIR_ADDS, AIR_PASSES, SHADOW, HAZINESS, CLOUD_COLOUR = np.array(
    [
        [740, 440, 240, 90],  # added to the light from the ground, at the top of the atmosphere
        [0.82, 0.87, 0.91, 0.95],
        [0.62, 0.66, 0.7, 0.74],  # fraction of the light from the ground that is missing in full shadow
        [1, 0.8, 0.65, 0.35],
        [1, 0.97, 0.98, 1.03],
    ]
)[:, :, None, None]


class Cover(NamedTuple):
    """A land cover: its base surface, texture, visible snow, and vegetation by season.

    ``grows``: for each surface, days since 15 October, when most fields are bare, and the covered fractions.
    """

    base: str
    texture: float
    snow: float
    grows: dict[str, tuple[list[int], list[float]]]


COVERS = {
    "wheat": Cover("soil", 0.03, 1, {
        "green": ([20, 45, 150, 182, 222, 248, 262], [0, 0.2, 0.45, 0.95, 0.9, 0.25, 0]),
        "straw": ([0, 30, 222, 248, 262, 300, 365], [0.3, 0, 0, 0.7, 0.95, 0.6, 0.3])}),
    "maize": Cover("soil", 0.04, 1, {
        "green": ([215, 250, 285, 330, 350], [0, 0.55, 0.97, 0.85, 0]),
        "straw": ([0, 70, 330, 350, 365], [0.3, 0.05, 0, 0.5, 0.3])}),
    "rape": Cover("soil", 0.03, 1, {
        "green": ([0, 40, 150, 178, 188, 208, 218, 256], [0.1, 0.5, 0.6, 0.95, 0.3, 0.3, 0.95, 0]),
        "blossom": ([178, 188, 208, 218], [0, 0.65, 0.65, 0]),
        "straw": ([0, 20, 218, 240, 256, 365], [0.3, 0, 0, 0.4, 0.95, 0.3])}),
    "meadow": Cover("soil", 0.05, 1, {
        "green": ([0, 70, 140, 190, 230, 290, 330, 365], [0.75, 0.6, 0.65, 0.97, 0.9, 0.5, 0.6, 0.75]),
        "straw": ([0, 70, 140, 190, 230, 290, 330, 365], [0.1, 0.2, 0.2, 0, 0.05, 0.4, 0.3, 0.1])}),
    "wood": Cover("twigs", 0.13, 0.5, {
        "leaves": ([0, 25, 40, 165, 200, 320, 365], [0.75, 0.4, 0.1, 0.1, 0.95, 0.95, 0.75])}),
    "conifer": Cover("needles", 0.2, 0.4, {}),
    "birch": Cover("twigs", 0.15, 0.5, {
        "leaves": ([0, 8, 200, 230, 330, 365], [0.25, 0, 0, 0.9, 0.9, 0.25])}),
    "bog": Cover("moss", 0.08, 1, {"green": ([190, 270, 340], [0, 0.3, 0])}),
    "clearing": Cover("soil", 0.12, 0.95, {
        "green": ([0, 10, 200, 260, 330, 365], [0.2, 0.1, 0.1, 0.7, 0.6, 0.2]),
        "straw": ([0, 200, 260, 320, 365], [0.5, 0.6, 0.15, 0.25, 0.5])}),
    "water": Cover("water", 0.02, 1, {}),
    "road": Cover("gravel", 0.05, 0.7, {}),
    "farm": Cover("roofs", 0.25, 0.8, {}),
}  # fmt: skip
NUMBER = {name: number for number, name in enumerate(COVERS)}
ROTATED = -1  # a crop that changes each year
CROPS = np.array([NUMBER[name] for name in ("wheat", "maize", "rape", "wheat", "maize")])


def mix(*keys: ArrayLike) -> NDArray[np.uint64]:
    """Hash integers to 64 bits, elementwise (the finaliser of SplitMix64 after each)."""
    h = np.asarray(0x9E3779B97F4A7C15, np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            h = (h ^ np.asarray(key).astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
            h = (h ^ h >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
            h = h ^ h >> np.uint64(31)
    return h


def uniform(*keys: ArrayLike) -> Floats:
    """Hash integers to [0, 1)."""
    return np.asarray((mix(*keys) >> np.uint64(11)) * 2.0**-53)


def noise(seed: ArrayLike, y: Floats, x: Floats) -> Floats:
    """Perlin's gradient noise with grid step 1 and about unit variance."""
    row, column = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    v, u = y - row, x - column

    def corner(i: int, j: int) -> Floats:
        angle = 2 * np.pi * uniform(seed, row + i, column + j)
        return np.cos(angle) * (u - j) + np.sin(angle) * (v - i)

    down, across = (t**3 * (t * (6 * t - 15) + 10) for t in (v, u))
    upper = corner(0, 0) * (1 - across) + corner(0, 1) * across
    lower = corner(1, 0) * (1 - across) + corner(1, 1) * across
    return 3.8 * (upper * (1 - down) + lower * down)


def fractal(seed: ArrayLike, y: Floats, x: Floats, scale: float, octaves: int, gain: float = 0.55) -> Floats:
    """Sum of noises at ``scale`` pixels, half of it and so on, each rotated; about unit variance."""
    total = np.zeros_like(y)
    for k in range(octaves):
        turn, step = 2 * np.pi * float(uniform(seed, k)), scale / 2**k
        c, s = np.cos(turn) / step, np.sin(turn) / step
        total += gain**k * noise(mix(seed, k), c * y + s * x, c * x - s * y)
    return np.asarray(total / np.sqrt(sum(gain ** (2 * k) for k in range(octaves))))


def cells(seed: ArrayLike, y: Floats, x: Floats, size: float) -> tuple[NDArray[np.uint64], Floats]:
    """Voronoi cells about ``size`` pixels wide: the hash of each pixel's cell, and the distance to its border."""
    i, j = np.mgrid[-1:2, -1:2].reshape(2, 9, 1, 1)
    row, column = (y // size).astype(np.int64) + i, (x // size).astype(np.int64) + j
    down = (row + uniform(seed, row, column, 0)) * size - y
    away = np.hypot(down, (column + uniform(seed, row, column, 1)) * size - x)
    cell = np.take_along_axis(mix(seed, row, column), away.argmin(axis=0)[None], 0)[0]
    first, second = np.sort(away, axis=0)[:2]
    return cell, (second - first) / 2


class Land:
    """A window of a tile: 3 x 3 points per pixel, and a border of one pixel around the crop for the optical blur."""

    def __init__(self, tile: str, top: int, left: int) -> None:
        self.seed = zlib.crc32(tile.encode())
        self.boreal = tile[2] > "T"
        steps = (np.arange(3 * (CROP + 2)) + 0.5) / 3 - 1
        self.y, self.x = np.meshgrid(top + steps, left + steps, indexing="ij")
        self.cover, self.parcel = self._forest() if self.boreal else self._fields()
        self.fine = fractal(mix(self.seed, 90), self.y, self.x, 2.6, 2, 0.8)
        self.broad = fractal(mix(self.seed, 91), self.y, self.x, 40, 4)

    def _field(self, kind: int, scale: float, octaves: int = 5) -> Floats:
        return fractal(mix(self.seed, kind), self.y, self.x, scale, octaves)

    def _fields(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Blocks between roads with parallel rows of parcels; woods, hedges, farms, a river."""
        block, to_road = cells(mix(self.seed, 1), self.y, self.x, 75)
        angle = np.pi * uniform(block, 1)
        c, s = np.cos(angle), np.sin(angle)
        along, across = c * self.x + s * self.y, c * self.y - s * self.x
        across /= 11 + 12 * uniform(block, 2)
        row = np.floor(across).astype(np.int64)
        along = along / (16 + 26 * uniform(block, row, 3)) + uniform(block, row, 4)
        parcel = mix(block, row, np.floor(along).astype(np.int64))
        cover = np.full(parcel.shape, ROTATED)
        cover[uniform(parcel, 5) < 0.22] = NUMBER["meadow"]
        hedge = (across - row < 0.075) & (uniform(block, row, 6) < 0.35)
        cover[hedge | (uniform(parcel, 7) < 0.05) | (self._field(8, 130) > 1.05)] = NUMBER["wood"]
        cover[to_road < 0.45] = NUMBER["road"]
        plot = uniform(self.seed, 9, (self.y // 2).astype(np.int64), (self.x // 2).astype(np.int64))
        village = (to_road > 0.6) & (to_road < 5) & (self._field(10, 60, 3) > 1.2)
        cover[village & (plot < 0.5)] = NUMBER["farm"]
        river = np.abs(self._field(11, 500, 4))
        cover[river < 0.05] = NUMBER["wood"]
        cover[river < 0.025] = NUMBER["water"]
        return cover, parcel

    def _forest(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Conifers and birches with clearings, bogs, lakes and a few forest roads."""
        parcel, _ = cells(mix(self.seed, 1), self.y, self.x, 26)
        cover = np.where(self._field(2, 50) > 0.7, NUMBER["birch"], NUMBER["conifer"])
        cover[uniform(parcel, 3) < 0.14] = NUMBER["clearing"]
        cover[self._field(4, 110) > 0.8] = NUMBER["bog"]
        cover[cells(mix(self.seed, 5), self.y, self.x, 150)[1] < 0.35] = NUMBER["road"]
        cover[self._field(6, 170) > 0.75] = NUMBER["water"]
        return cover, parcel

    def seen(self, date: int) -> tuple[Floats, Floats]:
        """Reflectance x 10,000 at the top of the air without clouds (4, 42, 42), and fraction of snow (42, 42)."""
        day = datetime.date.fromordinal(date)
        year = day.year - (day < datetime.date(day.year, 10, 15))
        since = date - datetime.date(year, 10, 15).toordinal()
        # A boreal winter lasts from late November to late April, or starts and ends up to two weeks earlier.
        early = 14 * float(uniform(self.seed, 12, year))
        depth = float(np.interp(since + early, [32, 44, 180, 198], [0, 1, 1, 0])) if self.boreal else 0.0
        lying = np.clip(3 * (depth - 0.07 * self.broad) - 1, 0, 1)
        crop = CROPS[(5 * uniform(self.parcel, year)).astype(np.int64)]
        cover = np.where(self.cover == ROTATED, crop, self.cover)
        days = since + 16 * uniform(self.parcel, year, 1) - 8
        vigour = 0.88 + 0.12 * uniform(self.parcel, year, 2) + 0.07 * self.broad
        tone = (0.75 + 0.5 * uniform(self.parcel, 3)) * (1 + 0.06 * self.broad)
        drift = 1 + 0.025 * self.broad + 0.015 * self.fine
        surface, snow = np.empty((4, *cover.shape)), np.empty(cover.shape)
        for number, kind in enumerate(COVERS.values()):
            at = cover == number
            parts = {name: np.interp(days[at], *table) for name, table in kind.grows.items()}
            if "green" in parts:
                parts["green"] = np.clip(parts["green"] * vigour[at], 0, 1)
            bare = np.clip(1 - sum(parts.values(), np.zeros(at.sum())), 0, 1)
            parts[kind.base] = bare * tone[at] if kind.base == "soil" else bare
            uneven = 1 + kind.texture * self.fine[at]
            snow[at] = lying[at] * np.clip(kind.snow * uneven, 0, 1)
            grown = sum(np.outer(SURFACE[name], part) for name, part in parts.items())
            surface[:, at] = grown * uneven * (1 - snow[at]) + np.outer(SURFACE["snow"], drift[at] * snow[at])
        low_sun = 1 + 0.25 * np.cos(2 * np.pi * (since - 67) / 365.25)  # maximum on 21 December
        return optics(AIR_ADDS * low_sun + AIR_PASSES * surface), optics(snow)


def optics(points: Floats) -> Floats:
    """Average 3 x 3 points to a pixel, blur slightly, remove the border."""
    size = CROP + 2
    pixels = points.reshape(*points.shape[:-2], size, 3, size, 3).mean(axis=(-3, -1))
    for _ in range(2):  # down, then across
        pixels = 0.14 * pixels[..., :-2, :] + 0.72 * pixels[..., 1:-1, :] + 0.14 * pixels[..., 2:, :]
        pixels = pixels.swapaxes(-1, -2)
    return np.asarray(pixels)


class Weather(NamedTuple):
    """For each pixel (42, 42) of a crop: opacities, brightness of the cloud, blocked fraction of the sun."""

    cloud: ArrayLike = 0.0
    bright: ArrayLike = 0.0
    haze: ArrayLike = 0.0
    shade: ArrayLike = 0.0


def weather(tile: str, date: int, top: int, left: int) -> Weather:
    """Clear sky, cumulus with shadows, overcast, cirrus or haze: one kind per day for the whole tile."""
    seed = mix(zlib.crc32(tile.encode()), date)
    y, x = np.meshgrid(top + np.arange(CROP) + 0.5, left + np.arange(CROP) + 0.5, indexing="ij")
    some = float(uniform(seed, 1))
    billows = fractal(mix(seed, 2), y, x, 30, 4)

    def cumulus(y: Floats, x: Floats) -> Floats:
        return np.clip(2.6 * (fractal(mix(seed, 3), y, x, 48, 5, 0.5) - 0.25 - 0.5 * some), 0, None)

    match int(np.searchsorted([0.4, 0.63, 0.79, 0.91], uniform(seed, 0), side="right")):
        case 0:
            return Weather()
        case 1:  # far: distance in pixels to the cloud that shades this pixel, towards a sun in the south-south-east
            depth, far = cumulus(y, x), 18 + 22 * float(uniform(seed, 4))
            bright = 4300 + 1500 * (1 - np.exp(-depth)) + 250 * billows
            shade = 1 - np.exp(-1.6 * cumulus(y + 0.92 * far, x + 0.39 * far))
            return Weather(1 - np.exp(-1.6 * depth), bright, shade=shade)
        case 2:
            depth = np.clip(2.8 + 1.3 * fractal(mix(seed, 3), y, x, 160, 6), 0, None)
            return Weather(1 - np.exp(-depth), 3600 + 2200 * some + 600 * billows)
        case 3:
            c, s = np.cos(np.pi * some), np.sin(np.pi * some)
            streaks = fractal(mix(seed, 3), 2.5 * (c * y - s * x), c * x + s * y, 150, 6)
            return Weather(1 - np.exp(-np.clip(0.5 + 0.28 * streaks, 0, None)), 4500.0)
        case _:
            return Weather(haze=0.3 + 0.04 * fractal(mix(seed, 3), y, x, 150, 3))


def observe(land: Land, above: Weather, date: int, rng: np.random.Generator) -> tuple[Pixels, int]:
    """One observation, uint16 (4, 42, 42), and its label: the class of most of the centre 6 x 6 pixels."""
    ground, snow = land.seen(date)
    cloud, bright, haze, shade = (np.broadcast_to(np.asarray(layer, float), snow.shape) for layer in above)
    seen = AIR_ADDS + (ground - AIR_ADDS) * (1 - SHADOW * shade)
    seen += HAZINESS * haze * (2800 - 0.4 * seen)
    # The ground lights a cloud from below, so a cloud over snow is not darker than the snow.
    seen += cloud * (CLOUD_COLOUR * bright + 0.3 * seen - seen)
    seen += rng.standard_normal(seen.shape) * (4 + 0.004 * seen)
    covers = np.select(
        [cloud > 0.72, cloud > 0.2, shade > 0.4, snow > 0.3, haze > 0.1],
        [OPAQUE_CLOUD, THIN_CLOUD, CLOUD_SHADOW, SNOW, HAZE],
        CLEAR,
    )
    label = int(np.bincount(covers[MARGIN:-MARGIN, MARGIN:-MARGIN].ravel()).argmax())
    return np.clip(seen.round(), 0, 65535).astype("<u2"), label


def points(tile: str) -> NDArray[np.int64]:
    """Rows and columns (500, 2) on the 60 m grid by localid; the crops around them are inside the tile."""
    margin = MARGIN // 6
    return np.random.default_rng(zlib.crc32(tile.encode())).integers(margin, GRID_60M - margin, (500, 2))


def acquisitions(tile: str) -> list[int]:
    """Acquisition dates of the tile: every 5 days, some missing, and a few more from the next orbit."""
    seed = zlib.crc32(tile.encode())
    regular = FIRST_DAY + int(3 * uniform(seed, 13)) + 5 * np.arange(220)
    kept = regular[uniform(seed, 14, regular) > 0.14]
    return sorted([*kept.tolist(), *(kept[uniform(seed, 15, kept) < 0.08] + 3).tolist()])
