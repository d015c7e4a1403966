from __future__ import annotations

import numpy as np
import pytest

from s2ct_convert.source.labels import fit_labels


def given(n: int, *, start: int = 0) -> np.ndarray:
    return (np.arange(n) + start).astype(np.int8)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 6, 7, 36, 42])
@pytest.mark.parametrize("images", [1, 2, 5])
def test_k_by_k_labels_are_recognised_for_any_k(side, images):
    labels = given(images * side * side)
    got = fit_labels([labels, labels[: side * side]], [images, 1])
    assert got.side == side
    assert got.column.dtype == np.int8
    assert got.column.shape == ((images + 1,) if side == 1 else (images + 1, side, side))
    assert got.column.tobytes() == labels.tobytes() + labels[: side * side].tobytes()
    assert got.fits.tolist() == [True, True]


@pytest.mark.parametrize("per_image", [2, 3, 5, 6, 8, 35, 37])
def test_labels_that_are_not_square_are_left_out(per_image):
    got = fit_labels([given(3 * per_image), given(3)], [3, 3])
    assert (got.side, got.fits.tolist()) == (1, [False, True])
    assert got.column.tolist() == [-1, -1, -1, 0, 1, 2]


@pytest.mark.parametrize("n", [1, 2, 4, 5, 7])
def test_labels_that_do_not_divide_by_the_images_are_left_out(n):
    got = fit_labels([given(n)], [3])
    assert (got.side, got.fits.tolist(), got.column.tolist()) == (1, [False], [-1] * 3)


CASES = {  # labels per image of examples with two images -> k
    "the most common": ((1, 36, 36), 6),
    "the most common, even if it is last": ((36, 36, 9, 9, 9), 3),
    "the first of two equally common": ((9, 1), 3),
    "the first of two equally common, reversed": ((1, 9), 1),
    "not square, not counted": ((5, 5, 5, 36), 6),
    "missing, not counted": ((0, 0, 36), 6),
    "all missing": ((0, 0), 1),
    "none square": ((5, 7), 1),
}


@pytest.mark.parametrize(("per_image", "side"), CASES.values(), ids=CASES)
def test_the_most_common_form_is_used(per_image, side):
    got = fit_labels([given(2 * n) for n in per_image], [2] * len(per_image))
    assert got.side == side
    assert got.fits.tolist() == [n == side**2 for n in per_image]
    rows = got.column.reshape(len(per_image), -1)
    for row, n in zip(rows, per_image, strict=True):
        assert row.tolist() == (given(2 * n).tolist() if n == side**2 else [-1] * len(row))


def test_a_known_form_is_used():
    got = fit_labels([given(72), given(2)], [2, 2], side=1)
    assert (got.side, got.fits.tolist(), got.column.tolist()) == (1, [False, True], [-1, -1, 0, 1])


def test_labels_of_another_type_are_no_label():
    got = fit_labels([None, given(4)], [2, 1])
    assert (got.side, got.fits.tolist()) == (2, [False, True])
    assert (got.column[:2] == -1).all()


def test_examples_without_images_do_not_count():
    got = fit_labels([given(36), given(0), given(2)], [0, 0, 2])
    assert (got.side, got.fits.tolist(), got.column.tolist()) == (1, [False, False, True], [0, 1])


def test_no_examples_have_no_labels():
    got = fit_labels([], [])
    assert (got.side, got.column.shape, got.column.dtype, got.fits.shape) == (1, (0,), np.int8, (0,))


def test_any_label_value_is_kept():
    labels = np.arange(-128, 128).astype(np.int8)
    assert fit_labels([labels], [256]).column.tobytes() == labels.tobytes()
