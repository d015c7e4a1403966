"""Draws the series of one sample: each observation in true and false colour, with its date and label below."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..dataset import DATASET
from ..missing import NO_DAY
from ..reading.sample import Sample
from ..store.layout import LABELS
from ..words import plural, span
from .choose import spread
from .palette import CLASSES, FALSE_COLOUR, TRUE_COLOUR, class_of, rgb
from .sheet import GREY, INK, MARGIN, Sheet, new_sheet, wrapped
from .stretch import stretch_for

SIDE = DATASET.width  # pixels of a patch
LABELLED = DATASET.centre  # width and height in pixels of the labelled square
CENTRE = (SIDE - LABELLED) // 2  # first pixel of that square
MOST_COLUMNS, MOST_WIDTH = 12, 1500
LEAST_WIDTH = 1080  # room for the legend
GAP, PAIR_GAP = 12, 4  # between dates, and between the two patches of one date
SIDEBAR = 26  # names of the composites
FOOTER = 46  # date and label
MAP = 36  # side of the map of labels in the footer


@dataclass(frozen=True)
class _Grid:
    columns: int
    rows: int
    patch: int  # side in pixels of the picture, a multiple of SIDE

    @classmethod
    def of(cls, n: int) -> _Grid:
        rows = math.ceil(n / MOST_COLUMNS)
        columns = math.ceil(n / rows)
        scale = min(max((MOST_WIDTH // columns - GAP) // SIDE, 3), 5)
        return cls(columns, rows, scale * SIDE)

    @property
    def row_height(self) -> int:
        return 2 * self.patch + PAIR_GAP + FOOTER + GAP

    @property
    def width(self) -> int:
        return max(2 * MARGIN + SIDEBAR + self.columns * (self.patch + GAP) - GAP, LEAST_WIDTH)


def draw_contact_sheet(
    sample: Sample, *, unit: str, localid: int, store: str, why: str, limit: int, suffix: str
) -> bytes:
    """Draw the sheet of one sample.

    Parameters
    ----------
    sample : Sample
        A sample with at least one observation.
    unit, localid, store, why : str, int, str, str
        Text for the title and the caption.
    limit : int
        Maximum number of observations on the sheet, spread evenly along the series.
    suffix : {".png", ".pdf"}

    Returns
    -------
    bytes
        The file.
    """
    n = len(sample.time)
    shown = spread(n, limit)
    grid = _Grid.of(len(shown))
    stretch = stretch_for(sample.image, sample.label)
    captions = [
        "True colour: bands B4, B3, B2 as red, green, blue. False colour (NIR): B8, B4, B3; plants are red. "
        f"A patch is {SIDE} x {SIDE} pixels of 10 m; the label is for the {LABELLED} x {LABELLED} in the small square.",
        stretch.describe(),
        f"Sample {localid} of {unit} in {store}: {why}.",
    ]
    if sample.label[0].size > 1:
        captions[0] += (
            f" Each image has {sample.label[0].size:,} labels: the sheet shows them as a map, "
            f"and the legend counts each as 1/{sample.label[0].size:,}."
        )
    lines = sum(len(wrapped(words, grid.width - 2 * MARGIN, 12)) for words in captions)
    top = 140
    with new_sheet(grid.width, top + grid.rows * grid.row_height + 18 * lines + 34) as sheet:
        _title(sheet, sample, unit, localid, len(shown))
        squares: list[list[tuple[float, float]]] = []
        for row in range(grid.rows):
            _sidebar(sheet, top + row * grid.row_height, grid.patch)
        pictures = [stretch.rgb(sample.image[shown], composite) for composite in (TRUE_COLOUR, FALSE_COLOUR)]
        for i, obs in enumerate(shown):
            x = MARGIN + SIDEBAR + (i % grid.columns) * (grid.patch + GAP)
            above = top + (i // grid.columns) * grid.row_height
            for picture in pictures:
                sheet.picture(x, above, grid.patch, picture[i])
                squares.append(square_at(x, above, grid.patch / SIDE))
                above += grid.patch + PAIR_GAP
            _footer(sheet, x, above, grid.patch, _date(sample, obs), sample.label[obs])
        sheet.lines(squares, "black", 2.2, 0.45)
        sheet.lines(squares, "white", 0.9, 0.95)
        y = top + grid.rows * grid.row_height + 14.0
        for words in captions:
            y = sheet.paragraph(y, words)
        return sheet.encode(suffix)


def _title(sheet: Sheet, sample: Sample, unit: str, localid: int, shown: int) -> None:
    split, tile = unit.split("/")
    n = len(sample.time)
    sheet.text(MARGIN, 56, f"Tile {tile}, {split}, sample {localid}", size=26, weight="bold")
    count = plural(n, "observation") if shown == n else f"{shown:,} of {plural(n, 'observation')}"
    sheet.text(MARGIN, 82, f"{count}, {_dates(sample)}", size=16, color=GREY)
    per = sample.label[0].size
    x = float(MARGIN)
    for i, one in enumerate(CLASSES):
        count = f"{np.count_nonzero(sample.label == i) / per:,.0f}"
        words = f"{one.name}  {count}"
        width = 34 + 7.4 * len(words)
        sheet.pill(x, 98, width, 24, one, words, size=13)
        x += width + 8
    if outside := int(np.count_nonzero((sample.label < 0) | (sample.label >= len(LABELS)))):
        sheet.text(x + 4, 114, f"other labels  {outside:,}", size=13)


def _dates(sample: Sample) -> str:
    days = sample.time[sample.time != NO_DAY]
    return span(int(days[0]), int(days[-1])) if len(days) else span(None, None)


def _date(sample: Sample, obs: int) -> str:
    return "no date" if sample.time[obs] == NO_DAY else str(sample.dates[obs])


def _sidebar(sheet: Sheet, y: float, patch: int) -> None:
    for composite in (TRUE_COLOUR, FALSE_COLOUR):
        words = {"rotation": 90, "ha": "center", "va": "center"}
        sheet.text(MARGIN + 8, y + patch / 2, composite.name, size=12, color=INK, **words)
        y += patch + PAIR_GAP


def square_at(x: float, y: float, scale: float) -> list[tuple[float, float]]:
    """Corners of the labelled square of a patch at x and y."""
    left, right = x + CENTRE * scale, x + (CENTRE + LABELLED) * scale
    upper, lower = y + CENTRE * scale, y + (CENTRE + LABELLED) * scale
    return [(left, upper), (right, upper), (right, lower), (left, lower), (left, upper)]


def _footer(sheet: Sheet, x: float, y: float, width: int, date: str, label: npt.NDArray[np.int8]) -> None:
    """Date and label; for several labels, a map of them and their most common class."""
    values, counts = np.unique(label, return_counts=True)
    one = class_of(int(values[np.argmax(counts)]))
    if label.ndim == 0:
        sheet.text(x + width / 2, y + 13, date, size=13, ha="center")
        sheet.pill(x, y + 19, width, 20, one, one.name, size=12)
        return
    side = MAP / len(label)
    if len(label) > LABELLED:
        colors = {value: [round(255 * part) for part in rgb(class_of(value).color)] for value in values.tolist()}
        sheet.picture(x, y + 4, MAP, np.array([[colors[value] for value in row] for row in label.tolist()], np.uint8))
    else:
        for (row, column), value in np.ndenumerate(label):
            sheet.box(x + column * side, y + 4 + row * side, side, side, class_of(int(value)).color)
    sheet.box(x, y + 4, MAP, MAP, "none", edge=GREY)
    for line, words in enumerate((date, one.name, f"{one.mark} {counts.max()} of {label.size}")):
        sheet.text(x + 42, y + 14 + 13 * line, words, size=11.5)
