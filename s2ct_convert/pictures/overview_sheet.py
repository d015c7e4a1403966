"""Draws a store on one sheet: labels and place of each tile, observations by month, brightness by band and class."""

from __future__ import annotations

import math

import numpy as np

from ..store.layout import BANDS, LABELS, WAVELENGTHS_NM
from ..words import plural, span
from .overview import Brightness, Counts, StoreOverview
from .overview_map import draw_map
from .palette import CLASSES, Class, class_of
from .sheet import GREY, INK, LINE, MARGIN, Sheet, new_sheet, points

WIDTH = 1400
TOP = 206  # y of the first bar
BAR, ROW = 20, 26  # height of a bar, and of its row
MAP_HEIGHT, MAP_SPACE = 380, 76  # of the map; of its heading and its degrees
MONTHS_HEIGHT = 210
CELL, CELL_GAP = 46, 8  # height of a histogram, and the gap below it
NAMES = 130  # width of the names left of the plots
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COLOURS = {"B2": "blue", "B3": "green", "B4": "red", "B8": "near infrared"}
_OUTSIDE = Class("other label", "#ffffff", "?", "?")


def draw_overview(overview: StoreOverview, *, suffix: str) -> bytes:
    """Draw the sheet.

    Parameters
    ----------
    overview : StoreOverview
    suffix : {".png", ".pdf"}

    Returns
    -------
    bytes
        The file.
    """
    counts = _counts(overview)
    shown = [k for k in range(len(LABELS) + 1) if k < len(LABELS) or counts[k]]
    bars = TOP + ROW * len(overview.tiles)
    tiles_end = bars + (MAP_HEIGHT + MAP_SPACE if overview.areas else 0)
    months = tiles_end + 56 + MONTHS_HEIGHT
    histograms = months + 84 + len(shown) * (CELL + CELL_GAP)
    with new_sheet(WIDTH, histograms + 104) as sheet:
        _title(sheet, overview, shown)
        _heading(sheet, TOP - 16, "Labels of each tile")
        sheet.text(WIDTH - MARGIN, TOP - 16, "observations of each split", size=13, color=GREY, ha="right")
        _draw_tiles(sheet, TOP, overview)
        left_out = _draw_places(sheet, bars, overview) if overview.areas else ""
        _heading(sheet, tiles_end + 40, "Observations of each month")
        _draw_months(sheet, tiles_end + 56, overview)
        _heading(sheet, months + 68, "Brightness of the labelled 6 x 6 pixels, by band and class")
        _draw_brightness(sheet, months + 106, overview.brightness, shown)
        used = overview.brightness.observations
        of = "all" if used == overview.observations else f"{used:,} of {overview.observations:,}"
        drawn = "" if used == overview.observations else f", drawn in chunks with seed {overview.seed}"
        sheet.paragraph(
            histograms + 72,
            "Bars are stacked in the order of the legend. "
            f"Histograms: pixel values as published, of {of} observations{drawn}; each is scaled to its own maximum. "
            + left_out,
        )
        return sheet.encode(suffix)


def _heading(sheet: Sheet, y: float, words: str) -> None:
    sheet.text(MARGIN, y, words, size=16, weight="bold")


def _title(sheet: Sheet, overview: StoreOverview, shown: list[int]) -> None:
    sheet.text(MARGIN, 56, overview.name, size=26, weight="bold")
    counts = (plural(len(overview.tiles), "tile"), plural(overview.samples, "sample"))
    words = f"{', '.join(counts)}, {plural(overview.observations, 'observation')}"
    sheet.text(MARGIN, 82, f"{words}, {span(overview.time_first, overview.time_last)}", size=16, color=GREY)
    width = (WIDTH - 2 * MARGIN - 8 * (len(shown) - 1)) / len(shown)
    for column, k in enumerate(shown):
        one, count = _class(k), _counts(overview)[k]
        x = MARGIN + column * (width + 8)
        sheet.pill(x, 100, width, 42, one, "", size=14)
        sheet.text(x + 26, 117, one.name, size=14, color=one.ink)
        words = f"{count:,.0f}  ({count / overview.observations:.1%})".replace("%", " %")
        sheet.text(x + 26, 135, words, size=13, color=one.ink)


def _counts(overview: StoreOverview) -> Counts:
    """Observations of each class, including those without a date."""
    return sum((counts.sum(0) for counts in overview.tiles.values()), np.zeros(len(LABELS) + 1))


def _class(k: int) -> Class:
    return class_of(k) if k < len(CLASSES) else _OUTSIDE


def _draw_tiles(sheet: Sheet, y: float, overview: StoreOverview) -> None:
    tiles = overview.tiles
    splits = {
        tile: "   ".join(f"{split} {n:,.0f}" for split, n in zip(overview.splits, counts.sum(1), strict=True) if n)
        for tile, counts in tiles.items()
    }
    whole = WIDTH - 2 * MARGIN - NAMES - 24 - 7.6 * max(map(len, splits.values()))
    for tile, counts in tiles.items():
        sheet.text(MARGIN, y + BAR / 2, tile, size=14, va="center_baseline")
        x = float(MARGIN + NAMES)
        for k, share in enumerate(counts.sum(0) / counts.sum()):
            width = share * whole
            one = _class(k)
            if share:
                sheet.box(x, y, width, BAR, one.color, edge="white")
            if words := _bar_text(one, share, width):
                sheet.text(x + width / 2, y + BAR / 2, words, size=12, color=one.ink, ha="center", va="center_baseline")
            x += width
        sheet.text(WIDTH - MARGIN, y + BAR / 2, splits[tile], size=13, color=GREY, ha="right", va="center_baseline")
        y += ROW


def _draw_places(sheet: Sheet, y: float, overview: StoreOverview) -> str:
    """The map under the bars. Returns what it leaves out."""
    _heading(sheet, y + 40, "Where the tiles are")
    words = "whole tiles of 109.8 km; where in them the samples are is not published"
    sheet.text(WIDTH - MARGIN, y + 40, words, size=13, color=GREY, ha="right")
    width = WIDTH - 2 * MARGIN - NAMES
    left_out = draw_map(sheet, MARGIN + NAMES, y + 56, width, MAP_HEIGHT, overview.areas)
    unknown = sorted(set(overview.tiles) - set(overview.areas))
    return f"{left_out} No place is known of {', '.join(unknown)}." if unknown else left_out


def _bar_text(one: Class, share: float, width: float) -> str:
    """The longest text that fits on a part of a bar."""
    percent = f"{100 * share:.0f} %"
    for words in (f"{one.mark} {one.name} {percent}", f"{one.mark} {percent}", one.mark):
        if 7.4 * len(words) + 8 < width:
            return words
    return ""


def _draw_months(sheet: Sheet, y: float, overview: StoreOverview) -> None:
    n = len(overview.months)
    if not n:
        sheet.text(MARGIN + NAMES, y + MONTHS_HEIGHT / 2, "no observation has a date", size=14, color=GREY)
        return
    axes = sheet.axes(MARGIN + NAMES, y, WIDTH - 2 * MARGIN - NAMES, MONTHS_HEIGHT)
    x = overview.first_month + np.arange(n)
    below = np.zeros(n)
    for k, counts in enumerate(overview.months.T):
        if counts.any():
            one = _class(k)
            axes.bar(
                x, counts, 0.86, below, color=one.color, edgecolor=GREY if k == len(CLASSES) else "white", linewidth=0.4
            )
        below += counts
    axes.set_xlim(x[0] - 0.6, max(x[-1], x[0] + 11) + 0.6)
    axes.set_ylim(0, 1.05 * below.max())
    axes.locator_params(axis="y", integer=True, nbins=5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    step = next((s for s in (1, 3, 6, 12) if n / s <= 24), 12 * math.ceil(n / 288))
    ticks = [one for one in range(x[0], x[-1] + 1) if one % step == 0]
    axes.set_xticks(ticks, [_month(one, first=one == ticks[0]) for one in ticks])


def _month(one: int, *, first: bool) -> str:
    """The month; below January and the first tick, also the year."""
    year = f"\n{1970 + one // 12}" if first or one % 12 == 0 else ""
    return f"{MONTHS[one % 12]}{year}"


def _draw_brightness(sheet: Sheet, y: float, brightness: Brightness, shown: list[int]) -> None:
    gap = 24
    width = (WIDTH - 2 * MARGIN - NAMES - 3 * gap) / len(BANDS)
    for b, (band, wavelength) in enumerate(zip(BANDS, WAVELENGTHS_NM, strict=True)):
        left = MARGIN + NAMES + b * (width + gap)
        sheet.text(left, y - 10, f"{band}, {_COLOURS[band]}, {wavelength:.0f} nm", size=13)
        for row, k in enumerate(shown):
            axes = sheet.axes(left, y + row * (CELL + CELL_GAP), width, CELL)
            axes.set_xlim(0, brightness.edges[-1])
            axes.set_ylim(0, 1.04)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            last = row == len(shown) - 1
            axes.locator_params(axis="x", nbins=6, prune="upper")  # its number would touch the 0 of the next plot
            axes.tick_params(axis="x", labelbottom=last, length=3 if last else 0)
            counts = brightness.counts[b, k]
            if counts.any():
                axes.stairs(counts / counts.max(), brightness.edges, fill=True, color=_class(k).color)
                axes.stairs(counts / counts.max(), brightness.edges, color=INK, linewidth=points(0.8))
    for row, k in enumerate(shown):
        middle = y + row * (CELL + CELL_GAP) + CELL / 2
        sheet.text(MARGIN, middle, f"{_class(k).mark} {_class(k).name}", size=14)
        sheet.text(
            MARGIN,
            middle + 17,
            f"{brightness.by_class[k]:,.0f} observations" if brightness.by_class[k] else "none",
            size=12,
            color=GREY,
        )
