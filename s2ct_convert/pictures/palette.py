"""The colours and marks of the six classes, and the bands of the composites.

The colours are distinct for colour-blind readers: in simulations of the three kinds, every two colours differ by at
least 25 units (CIE 1976 colour difference). No picture relies on colour alone: each class also has a mark or its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..missing import NO_LABEL
from ..store.layout import BANDS, LABELS


@dataclass(frozen=True)
class Class:
    """How a label is shown: name, colour (#rrggbb), mark (a glyph of DejaVu Sans) and letter in plain text."""

    name: str
    color: str
    mark: str
    letter: str

    @property
    def ink(self) -> str:
        """Black or white, whichever reads better on the colour."""
        red, green, blue = rgb(self.color)
        return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "#ffffff"


# Clouds are grey; the other classes have natural colours.
_LOOKS = {
    "clear": ("#35883a", "○", "c"),
    "opaque_cloud": ("#606060", "●", "O"),
    "thin_cloud": ("#bdbdbd", "◐", "t"),
    "haze": ("#e8a33d", "≈", "h"),
    "cloud_shadow": ("#6a1b8f", "◆", "s"),
    "snow": ("#4fb2ee", "✱", "n"),
}
CLASSES = tuple(Class(name.replace("_", " "), *_LOOKS[name]) for name in LABELS)


def class_of(label: int) -> Class:
    """How this label is shown. A label outside the six classes is white and shown with its number."""
    if 0 <= label < len(CLASSES):
        return CLASSES[label]
    return Class("no label" if label == NO_LABEL else f"label {label}", "#ffffff", "?", "?")


def rgb(color: str) -> tuple[float, float, float]:
    """Red, green and blue from 0 to 1."""
    return int(color[1:3], 16) / 255, int(color[3:5], 16) / 255, int(color[5:7], 16) / 255


@dataclass(frozen=True)
class Composite:
    """Three bands shown as red, green and blue."""

    name: str
    bands: tuple[str, str, str]

    @property
    def channels(self) -> list[int]:
        """Indices of the three bands in an image."""
        return [BANDS.index(band) for band in self.bands]


TRUE_COLOUR = Composite("true colour", ("B4", "B3", "B2"))
FALSE_COLOUR = Composite("false colour (NIR)", ("B8", "B4", "B3"))
