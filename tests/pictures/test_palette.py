"""The colours of the classes, also as colour-blind readers see them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2ct_convert.pictures.palette import CLASSES, FALSE_COLOUR, TRUE_COLOUR, class_of
from s2ct_convert.store.layout import LABELS

from .pictures import hex_rgb

# Machado, Oliveira, Fernandes 2009, doi:10.1109/TVCG.2009.113: severity 1, linear RGB.
SEEN = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(color: str) -> np.ndarray:
    value = np.array(hex_rgb(color)) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    part = XYZ @ light / WHITE
    f = np.where(part > 0.008856, np.cbrt(part), 7.787 * part + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", SEEN)
def test_any_two_classes_differ_for_colour_blind_readers(eyes):
    seen = {one.name: lab(np.clip(np.array(SEEN[eyes]) @ linear(one.color), 0, 1)) for one in CLASSES}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= 25, (one, other)


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.name)
def test_text_on_a_class_colour_has_enough_contrast(one):
    """Contrast by WCAG 2, whose minimum for large or bold text and marks is 3."""
    light = [float(np.array([0.2126, 0.7152, 0.0722]) @ linear(color)) for color in (one.ink, one.color)]
    assert (max(light) + 0.05) / (min(light) + 0.05) >= 4


def test_classes_differ_without_colour():
    assert len(CLASSES) == len(LABELS) == 6
    assert [one.name for one in CLASSES] == [name.replace("_", " ") for name in LABELS]
    for marks in ([one.mark for one in CLASSES], [one.letter for one in CLASSES]):
        assert len(set(marks)) == 6
        assert "?" not in marks


def test_the_font_has_all_marks():
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    for one in [*CLASSES, class_of(7)]:
        assert font.get_char_index(ord(one.mark)), one


@pytest.mark.parametrize("label", [-128, -2, 6, 127])
def test_a_label_outside_the_classes_is_named_by_its_number(label):
    assert class_of(label).name == f"label {label}"
    assert class_of(label).color not in {one.color for one in CLASSES}


def test_composites_use_the_bands_they_name():
    assert TRUE_COLOUR.channels == [2, 1, 0]
    assert FALSE_COLOUR.channels == [3, 2, 1]
