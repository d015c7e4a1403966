"""Makes samples with known pixels, and reads pictures back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from s2ct_convert import Sample

DARK, BRIGHT = 200, 6000


def flat(*bands: tuple[int, int, int, int]) -> np.ndarray:
    """Images (n, 4, 42, 42) with one value per band."""
    return np.broadcast_to(np.array(bands, np.uint16)[:, :, None, None], (len(bands), 4, 42, 42)).copy()


def sample(image: np.ndarray, label: np.ndarray | None = None) -> Sample:
    """A sample of these images, one every five days from 2018-01-02; clear if no label is given."""
    n = len(image)
    return Sample(
        np.asarray(image, np.uint16),
        np.zeros(n, np.int8) if label is None else np.asarray(label, np.int8),
        np.arange(n, dtype=np.int32) * 5 + 17_533,
        np.ones(n, np.float32),
    )


def read(data: bytes | Path) -> np.ndarray:
    """Pixels of a picture, (y, x, 3)."""
    return np.asarray(Image.open(io.BytesIO(data) if isinstance(data, bytes) else data).convert("RGB"))


def hex_rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def find(picture: np.ndarray, color: tuple[int, ...]) -> np.ndarray:
    """The (y, x) of each pixel with exactly this colour."""
    return np.argwhere((picture == color).all(-1))
