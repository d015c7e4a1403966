"""A sheet to draw on, in pixels from its upper left corner, and how it becomes a PNG or PDF.

matplotlib is loaded here and only when a sheet is made. The user's own matplotlib settings are left aside and no
time is written into the file: the same drawing gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import WrongUsage
from .palette import Class

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf")
DPI = 100  # pixels of a PNG to an inch of a PDF
MARGIN = 36
INK, GREY, LINE = "#1a1a1a", "#5f5f5f", "#d4d4d4"

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "pdf.fonttype": 42,  # text that can be searched and copied
    "image.composite_image": False,  # a PDF keeps the pixels of each patch as they are
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": "s2ct", "Producer": None, "CreationDate": None},
}


def need_matplotlib() -> None:
    """See that there is matplotlib.

    Raises
    ------
    WrongUsage
        If it is not installed.
    """
    try:
        import matplotlib.style  # noqa: F401
    except ImportError as error:
        raise WrongUsage(
            "pictures need matplotlib, which is not installed",
            found=str(error),
            todo="pip install 's2ct-convert[plot]'",
        ) from None


class Sheet:
    """A white sheet of ``width`` x ``height`` pixels; y goes down."""

    def __init__(self, figure: Figure, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = figure
        self._page = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self._page.set_axis_off()
        self._page.set_autoscale_on(False)

    def text(self, x: float, y: float, words: str, *, size: float, **how: Any) -> None:
        """Text whose baseline is at y, as it is, not as TeX; ``size`` in pixels."""
        self._page.text(x, y, words, fontsize=points(size), parse_math=False, **{"va": "baseline", **how})

    def paragraph(self, y: float, words: str, *, size: float = 12) -> float:
        """Small grey text over the whole width; returns where the next line goes."""
        for line in wrapped(words, self.width - 2 * MARGIN, size):
            self.text(MARGIN, y, line, size=size, color=GREY)
            y += size * 1.5
        return y

    def picture(self, x: float, y: float, side: float, pixels: npt.NDArray[np.uint8]) -> None:
        """A square picture (y, x, 3), its pixels as sharp squares, and in a PDF as they are."""
        self._page.imshow(pixels, extent=(x, x + side, y + side, y), aspect="auto", interpolation="none")

    def box(self, x: float, y: float, width: float, height: float, color: str, *, edge: str = "none") -> None:
        """A filled rectangle."""
        from matplotlib.patches import Rectangle

        self._page.add_patch(Rectangle((x, y), width, height, facecolor=color, edgecolor=edge, linewidth=0.6))

    def lines(self, segments: list[list[tuple[float, float]]], color: str, width: float, alpha: float = 1) -> None:
        """Many lines at once."""
        from matplotlib.collections import LineCollection

        self._page.add_collection(
            LineCollection(segments, colors=color, linewidths=points(width), alpha=alpha, capstyle="projecting")
        )

    def pill(self, x: float, y: float, width: float, height: float, one: Class, words: str, *, size: float) -> None:
        """A class: its mark and words on its colour."""
        self.box(x, y, width, height, one.color, edge=GREY if one.ink == "#000000" else "none")
        middle: dict[str, Any] = {"size": size, "color": one.ink, "va": "center_baseline"}
        self.text(x + 0.75 * size, y + height / 2, one.mark, ha="center", **middle)
        self.text(x + 1.55 * size, y + height / 2, words, **middle)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """A plot with its frame there; only the lower and left lines are drawn."""
        place = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        axes = self._figure.add_axes(place)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=points(12), length=3)
        return axes

    def encode(self, suffix: str) -> bytes:
        """The sheet as a PNG or PDF file."""
        out = io.BytesIO()
        # A name in a script that the font has not is drawn as boxes, which says enough.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        smallest: dict[str, Any] = {"pil_kwargs": {"compress_level": 9}} if suffix == ".png" else {}
        self._figure.savefig(out, format=suffix[1:], dpi=DPI, metadata=_METADATA[suffix], **smallest)
        return out.getvalue()


@contextmanager
def new_sheet(width: int, height: int) -> Iterator[Sheet]:
    """A sheet to draw on and to encode, all inside the ``with``."""
    need_matplotlib()
    import matplotlib.style
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), matplotlib.style.context(["default", _STYLE]):
        yield Sheet(Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white"), width, height)


def points(pixels: float) -> float:
    """Matplotlib's sizes of text and lines are in points, 72 to an inch."""
    return pixels * 72 / DPI


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Lines of text of this size that fit into so many pixels."""
    return textwrap.wrap(words.replace(" %", "\u00a0%"), int(width / (0.53 * size)), break_long_words=True)
