"""A sheet to draw on, in pixels from its upper left corner, that is saved as a PNG or PDF.

matplotlib is imported only when a sheet is made. The user's own matplotlib settings are ignored, and no time is written
into the file. So the same drawing gives the same bytes with the same matplotlib.
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
from ..version import install_advice
from .palette import Class

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf")
DPI = 100  # pixels of a PNG per inch of a PDF
MARGIN = 36
INK, GREY, LINE = "#1a1a1a", "#5f5f5f", "#d4d4d4"

_STYLE = {
    "font.family": "DejaVu Sans",  # part of matplotlib, so the same everywhere
    "pdf.fonttype": 42,  # text can be searched and copied
    "image.composite_image": False,  # a PDF keeps the original pixels of each patch
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
    """Check that matplotlib is installed.

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
            todo=install_advice("plot"),
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
        """Draw plain text (not TeX) with its baseline at y; ``size`` in pixels."""
        self._page.text(x, y, words, fontsize=points(size), parse_math=False, **{"va": "baseline", **how})

    def paragraph(self, y: float, words: str, *, size: float = 12) -> float:
        """Draw small grey text over the whole width; returns the y of the next line."""
        for line in wrapped(words, self.width - 2 * MARGIN, size):
            self.text(MARGIN, y, line, size=size, color=GREY)
            y += size * 1.5
        return y

    def picture(self, x: float, y: float, side: float, pixels: npt.NDArray[np.uint8]) -> None:
        """Draw a square picture (y, x, 3) without smoothing. A PDF keeps its original pixels."""
        self._page.imshow(pixels, extent=(x, x + side, y + side, y), aspect="auto", interpolation="none")

    def box(self, x: float, y: float, width: float, height: float, color: str, *, edge: str = "none") -> None:
        """Draw a filled rectangle."""
        from matplotlib.patches import Rectangle

        self._page.add_patch(Rectangle((x, y), width, height, facecolor=color, edgecolor=edge, linewidth=0.6))

    def polygon(self, points: list[tuple[float, float]], color: str, *, edge: str) -> None:
        """Draw a filled polygon with a thin edge."""
        from matplotlib.patches import Polygon

        self._page.add_patch(Polygon(points, facecolor=color, edgecolor=edge, linewidth=0.6))

    def lines(self, segments: list[list[tuple[float, float]]], color: str, width: float, alpha: float = 1) -> None:
        """Draw many lines."""
        from matplotlib.collections import LineCollection

        self._page.add_collection(
            LineCollection(segments, colors=color, linewidths=points(width), alpha=alpha, capstyle="projecting")
        )

    def pill(self, x: float, y: float, width: float, height: float, one: Class, words: str, *, size: float) -> None:
        """Draw the mark of a class and words on the colour of the class."""
        self.box(x, y, width, height, one.color, edge=GREY if one.ink == "#000000" else "none")
        middle: dict[str, Any] = {"size": size, "color": one.ink, "va": "center_baseline"}
        self.text(x + 0.75 * size, y + height / 2, one.mark, ha="center", **middle)
        self.text(x + 1.55 * size, y + height / 2, words, **middle)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Add a plot whose frame is at this place, with only the lower and left line."""
        place = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        axes = self._figure.add_axes(place)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=points(12), length=3)
        return axes

    def encode(self, suffix: str) -> bytes:
        """The sheet as a PNG or PDF file."""
        out = io.BytesIO()
        # Characters that the font lacks are drawn as boxes; no warning is needed.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        smallest: dict[str, Any] = {"pil_kwargs": {"compress_level": 9}} if suffix == ".png" else {}
        self._figure.savefig(out, format=suffix[1:], dpi=DPI, metadata=_METADATA[suffix], **smallest)
        return out.getvalue()


@contextmanager
def new_sheet(width: int, height: int) -> Iterator[Sheet]:
    """A new sheet. Draw and encode it inside the ``with``."""
    need_matplotlib()
    import matplotlib.style
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), matplotlib.style.context(["default", _STYLE]):
        yield Sheet(Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white"), width, height)


def points(pixels: float) -> float:
    """Pixels as points: matplotlib sizes text and lines in points, 72 per inch."""
    return pixels * 72 / DPI


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Text wrapped into lines of at most ``width`` pixels."""
    return textwrap.wrap(words.replace(" %", "\u00a0%"), int(width / (0.53 * size)), break_long_words=True)
