"""Converts published values to brightness, with one stretch for all patches of a sheet, so that they are comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..store.layout import BANDS, OBS_SHAPE
from ..words import plural
from .palette import TRUE_COLOUR, Composite

LOW_PERCENT, HIGH_PERCENT, TOP_PERCENT = 1, 99, 99.5
KNEE = 0.7  # brightness of the brightest clear ground; the range above is for clouds and snow
# Uniform ground has a small span. A minimum keeps its noise from being stretched to full contrast.
LEAST_SPAN = 800
GAMMA = 1.5  # for the ground: plants are dark in visible bands
VISIBLE = TRUE_COLOUR.channels  # these share one span: separate spans would give haze a false colour


@dataclass(frozen=True)
class Stretch:
    """Maps values of each band to brightness: ``low``, ``high`` and ``top`` to 0, KNEE and 1; GAMMA applies up to KNEE.

    Attributes
    ----------
    low, high, top : ndarray of float64, shape (4,)
    clear : int
        Number of clear observations that ``high`` is from; 0 if none is clear and all were used.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    top: npt.NDArray[np.float64]
    clear: int

    def rgb(self, image: npt.NDArray[np.uint16], composite: Composite) -> npt.NDArray[np.uint8]:
        """Convert images (n, 4, y, x) to pictures (n, y, x, 3)."""
        out = np.empty((len(image), *image.shape[2:], 3), np.uint8)
        for i, band in enumerate(composite.channels):
            points = (self.low[band], self.high[band], self.top[band])
            part = np.interp(image[:, band], points, (0, 1, 2))  # 0 to 1 is ground, 1 to 2 is brighter
            out[..., i] = np.rint(255 * np.where(part < 1, KNEE * part ** (1 / GAMMA), KNEE + (1 - KNEE) * (part - 1)))
        return out

    def describe(self) -> str:
        """The stretch in words, for the caption."""
        by = f"the {plural(self.clear, 'clear observation')}" if self.clear else "all observations, as none is clear"
        bands = zip(BANDS, self.low, self.top, strict=True)
        spans = ", ".join(f"{band} {low:.0f} to {top:.0f}".replace(" ", "\u00a0") for band, low, top in bands)
        return f"One brightness scale for all patches, set by {by}. Black to white: {spans}."


def is_clear(label: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Which observations are clear: by their label, or by more than half of their k x k labels."""
    clear = label == 0
    return np.asarray(clear if label.ndim == 1 else np.mean(clear, axis=(1, 2)) > 0.5)


def stretch_for(image: npt.NDArray[np.uint16], label: npt.NDArray[np.int8]) -> Stretch:
    """The stretch for one sample with at least one observation."""
    clear = is_clear(label)
    low, top = np.percentile(_by_band(image), (LOW_PERCENT, TOP_PERCENT), axis=1)
    # The label covers only the centre of a patch, so clouds may be around it. A median over time removes them.
    ground = np.median(image[clear] if clear.any() else image, axis=0, keepdims=True)
    span = np.maximum(np.percentile(_by_band(ground), HIGH_PERCENT, axis=1) - low, LEAST_SPAN)
    span[VISIBLE] = span[VISIBLE].max()
    high = low + span
    return Stretch(low, high, np.maximum(top, high + LEAST_SPAN), int(np.count_nonzero(clear)))


def _by_band(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.moveaxis(image, 1, 0).reshape(OBS_SHAPE[0], -1)
