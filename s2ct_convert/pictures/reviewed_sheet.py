"""Draws the reviewed dates of a store: each in true and false colour, its label and the suggestion below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..reading.review import Review, ReviewedDate
from ..reading.store import Store
from ..words import plural
from .choose import spread
from .contact_sheet import SIDE, square_at
from .palette import FALSE_COLOUR, TRUE_COLOUR, class_of
from .sheet import GREY, MARGIN, Sheet, new_sheet, wrapped
from .stretch import stretch_for

COLUMNS = 9
PATCH = 3 * SIDE
GAP, PAIR_GAP = 14, 4
FOOTER = 78  # date, sample, label, suggestion
TOP = 112
LEAST_WIDTH = 1080  # room for the captions

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Reviewed:
    """A reviewed date with its two pictures."""

    row: ReviewedDate
    pictures: tuple[Pixels, Pixels]


def draw_reviewed(store: Store, review: Review, *, name: str, limit: int, suffix: str) -> tuple[bytes, int]:
    """Draw the sheet of a review.

    Parameters
    ----------
    store : Store
    review : Review
        Of this store.
    name : str
        The name of the store in the title.
    limit : int
        Maximum number of dates, spread evenly over the rows.
    suffix : {".png", ".pdf"}

    Returns
    -------
    bytes
        The file.
    int
        Number of dates on it.
    """
    shown = _read(store, [review.rows[i] for i in spread(len(review), limit)])
    columns = min(COLUMNS, len(shown))
    width = max(2 * MARGIN + columns * (PATCH + GAP) - GAP, LEAST_WIDTH)
    height = 2 * PATCH + PAIR_GAP + FOOTER + GAP
    suggested, flagged = len(review.with_suggestion()), len(review.flagged())
    captions = [
        "Below each date: unit, sample and row of the unit; the label in the store; after the arrow, the suggestion of "
        "the reviewer. The review does not change the store.",
        "True colour: bands B4, B3, B2. False colour below it: B8, B4, B3; plants are red. The brightness is that of "
        "the whole series of the sample, as on its own sheet. The label is for the small square.",
    ]
    lines = sum(len(wrapped(words, width - 2 * MARGIN, 12)) for words in captions)
    rows = math.ceil(len(shown) / columns)
    with new_sheet(width, TOP + rows * height + 18 * lines + 34) as sheet:
        sheet.text(MARGIN, 56, f"Review of {name}", size=26, weight="bold")
        count = plural(len(review), "date")
        part = count if len(shown) == len(review) else f"{len(shown):,} of {count}"
        words = f"{part}; {suggested:,} with a class, {flagged:,} flagged; from {review.path.name}"
        sheet.text(MARGIN, 82, words, size=16, color=GREY)
        squares: list[list[tuple[float, float]]] = []
        for i, one in enumerate(shown):
            x, y = MARGIN + (i % columns) * (PATCH + GAP), float(TOP + (i // columns) * height)
            for picture in one.pictures:
                sheet.picture(x, y, PATCH, picture)
                squares.append(square_at(x, y, PATCH / SIDE))
                y += PATCH + PAIR_GAP
            _footer(sheet, x, y, one.row)
        sheet.lines(squares, "black", 2.2, 0.45)
        sheet.lines(squares, "white", 0.9, 0.95)
        y = TOP + rows * height + 14.0
        for words in captions:
            y = sheet.paragraph(y, words)
        return sheet.encode(suffix), len(shown)


def _read(store: Store, rows: Sequence[ReviewedDate]) -> list[_Reviewed]:
    """Read each sample once, for the brightness of its pictures."""
    out, last, place = [], None, slice(0)
    for row in rows:
        unit = store.units[row.unit]
        sample = int(np.searchsorted(unit.row_start, row.obs, side="right")) - 1
        if (row.unit, sample) != last:
            last, place = (row.unit, sample), slice(int(unit.row_start[sample]), int(unit.row_start[sample + 1]))
            (image,) = unit.images([place])
            stretch = stretch_for(image, unit.label[place])
        here = image[[row.obs - place.start]]
        out.append(_Reviewed(row, (stretch.rgb(here, TRUE_COLOUR)[0], stretch.rgb(here, FALSE_COLOUR)[0])))
    return out


def _footer(sheet: Sheet, x: float, y: float, row: ReviewedDate) -> None:
    sheet.text(x + PATCH / 2, y + 13, row.date or "no date", size=13, ha="center")
    sheet.text(x + PATCH / 2, y + 26, f"{row.unit} {row.localid}, {row.obs}", size=9.5, ha="center", color=GREY)
    label = class_of(row.label)
    sheet.pill(x, y + 31, PATCH, 18, label, label.name, size=11)
    if row.suggested is None:
        words = " and ".join(["flagged"] * row.flag + ["note"] * bool(row.note))
        sheet.text(x + PATCH / 2, y + 65, words, size=11, ha="center")
    else:
        one = class_of(row.suggested)
        words = f"same{', flagged' * row.flag}" if row.suggested == row.label else f"{one.name}{' ⚑' * row.flag}"
        sheet.text(x + 2, y + 65, "→", size=13)
        sheet.pill(x + 18, y + 52, PATCH - 18, 18, one, words, size=11)
