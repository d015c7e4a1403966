"""The bundled sample: synthetic archives in the published form, made by ``scripts/make_sample.py``."""

from __future__ import annotations

from pathlib import Path


def sample_sources() -> list[Path]:
    """Paths of the four bundled archives, sorted. They are synthetic: made like the data set, not taken from it.

    Returns
    -------
    list of Path
    """
    return sorted(Path(__file__).parent.glob("*.7z"))


def sample_md5sums() -> Path:
    """Their md5 sums, as ``md5sum`` writes them."""
    return Path(__file__).parent / "md5sums.txt"
