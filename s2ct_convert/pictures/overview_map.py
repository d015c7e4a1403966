"""Draws where the tiles of a store are: their outlines between lines of longitude and latitude, and their names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..tiles import Place, TileArea, bounds_of
from ..words import plural
from .sheet import GREY, INK, LINE, Sheet

FILL = "#a9c4dc"
LEAST = 8.0  # degrees of latitude that the map shows, so that one tile is not the whole map
AROUND = 0.08  # of height and width, left free around the tiles
STEPS = (1, 2, 5, 10, 15, 30, 45)  # degrees between two lines
NAME, LETTER = 12, 8.6  # height and width in pixels: of a name, of its letters

Pixel = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Frame:
    """A rectangle of the sheet with a part of the Earth. A degree of latitude has the same length everywhere.

    A degree of longitude has the length that it has in the middle of the map.

    Attributes
    ----------
    x, y, width, height : float
        Place on the sheet, in pixels.
    west, north : float
        Upper left corner in degrees.
    scale : float
        Pixels of a degree of latitude.
    shrink : float
        Length of a degree of longitude, in degrees of latitude.
    """

    x: float
    y: float
    width: float
    height: float
    west: float
    north: float
    scale: float
    shrink: float

    @classmethod
    def around(cls, areas: Iterable[TileArea], box: Box) -> Frame:
        """The frame that shows these tiles in the box. It is as wide as the box, or as the whole Earth."""
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        west, south, east, north = bounds_of(areas)
        east += 360 if east < west else 0
        middle_lon, middle_lat = (west + east) / 2, (south + north) / 2
        shrink = math.cos(math.radians(middle_lat))
        tall = max((north - south) / (1 - 2 * AROUND), LEAST)
        scale = min(height / tall, width * (1 - 2 * AROUND) / ((east - west) * shrink))
        width = min(width, 360 * shrink * scale)
        return cls(
            left, top, width, height, middle_lon - width / 2 / scale / shrink, middle_lat + height / 2 / scale, scale,
            shrink,
        )  # fmt: skip

    def pixel(self, place: Place) -> Pixel:
        """Place on the sheet of a longitude and latitude."""
        lon, lat = place
        return self.x + (lon - self.west) % 360 * self.shrink * self.scale, self.y + (self.north - lat) * self.scale

    @property
    def east(self) -> float:
        """Right edge in degrees; above 180 across the 180th meridian."""
        return self.west + self.width / self.scale / self.shrink

    @property
    def south(self) -> float:
        """Lower edge in degrees."""
        return self.north - self.height / self.scale


def draw_map(sheet: Sheet, x: float, y: float, width: float, height: float, areas: Mapping[str, TileArea]) -> str:
    """Draw the map of the tiles. Returns what it leaves out, in words; empty if it shows all names."""
    frame = Frame.around(areas.values(), (x, y, x + width, y + height))
    _draw_lines(sheet, frame)
    for area in areas.values():
        sheet.polygon([frame.pixel(corner) for corner in area.corners], FILL, edge=INK)
    squares = {name: _box_of(frame, area) for name, area in areas.items()}
    placed = place_names(squares, (x, y, x + frame.width, y + height))
    for name, (left, top, right, bottom) in placed.items():
        sheet.text((left + right) / 2, (top + bottom) / 2, name, size=NAME, ha="center", va="center_baseline")
    missing = len(areas) - len(placed)
    return f"The map has no room for the name{'' if missing == 1 else 's'} of {plural(missing, 'tile')}." * bool(
        missing
    )


def _box_of(frame: Frame, area: TileArea) -> Box:
    xs, ys = zip(*(frame.pixel(corner) for corner in area.corners), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def place_names(squares: Mapping[str, Box], whole: Box) -> dict[str, Box]:
    """Where the names of tiles go: in their square if they fit, else beside it.

    A name for which there is no free place is left out.
    """
    placed: dict[str, Box] = {}
    for name, square in squares.items():
        width = LETTER * len(name)
        for spot, is_inside in _spots(square, width):
            taken = [*placed.values(), *(() if is_inside else squares.values())]  # neighbouring tiles overlap
            if _inside(spot, whole) and not any(_overlap(spot, box) for box in taken):
                placed[name] = spot
                break
    return placed


def _spots(square: Box, width: float) -> Iterator[tuple[Box, bool]]:
    """Places for a name of a width: in the square, right, left, below, above; and whether it is in the square."""
    left, top, right, bottom = square
    middle, upper = (left + right - width) / 2, (top + bottom - NAME) / 2
    if width <= right - left and bottom - top >= NAME:
        yield (middle, upper, middle + width, upper + NAME), True
    for x, y in ((right + 3, upper), (left - 3 - width, upper), (middle, bottom + 2), (middle, top - 2 - NAME)):
        yield (x, y, x + width, y + NAME), False


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(one: Box, whole: Box) -> bool:
    return one[0] >= whole[0] and one[1] >= whole[1] and one[2] <= whole[2] and one[3] <= whole[3]


def _draw_lines(sheet: Sheet, frame: Frame) -> None:
    """Lines of longitude and latitude with their degrees, and the frame."""
    right, bottom = frame.x + frame.width, frame.y + frame.height
    lines = []
    for lon in _degrees(frame.west, frame.east, 130 / frame.scale / frame.shrink):
        x = frame.x + (lon - frame.west) * frame.shrink * frame.scale
        lines.append([(x, frame.y), (x, bottom)])
        sheet.text(x, bottom + 17, in_words((lon + 180) % 360 - 180, "E", "W"), size=12, color=GREY, ha="center")
    for lat in _degrees(max(frame.south, -90), min(frame.north, 90), 70 / frame.scale):
        y = frame.y + (frame.north - lat) * frame.scale
        lines.append([(frame.x, y), (right, y)])
        words = in_words(lat, "N", "S")
        sheet.text(frame.x - 8, y, words, size=12, color=GREY, ha="right", va="center_baseline")
    sheet.lines(lines, LINE, 1)
    x, y = frame.x, frame.y
    corners = [(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]
    sheet.lines([corners], GREY, 0.8)


def _degrees(first: float, last: float, least: float) -> Sequence[int]:
    """Round numbers of degrees in a range, at least ``least`` apart."""
    step = next((step for step in STEPS if step >= least), 90)
    return range(math.ceil(first / step) * step, math.floor(last / step) * step + 1, step)


def in_words(degrees: float, positive: str, negative: str) -> str:
    """Such as 43° N; 0° and 180° have no letter."""
    letter = "" if degrees in (0, -180) else f" {positive if degrees > 0 else negative}"
    return f"{abs(degrees):.0f}°{letter}"
