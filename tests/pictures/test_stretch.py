"""The stretch is the same for all patches of a sample and comes from its clear ground."""

from __future__ import annotations

import numpy as np
import pytest

from s2ct_convert.pictures.palette import FALSE_COLOUR, TRUE_COLOUR
from s2ct_convert.pictures.stretch import KNEE, is_clear, stretch_for

from .pictures import flat


def ground_and_clouds(rng: np.random.Generator, n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Half of the observations are clear ground from 300 to 2000, half are cloud from 5000 to 8000."""
    label = (np.arange(n) % 2).astype(np.int8)
    ground = rng.integers(300, 2000, (4, 42, 42))
    image = np.where(label[:, None, None, None] == 1, rng.integers(5000, 8000, (n, 4, 42, 42)), ground)
    return image.astype(np.uint16), label


def test_ground_gets_most_of_the_brightness_and_clouds_the_rest(rng):
    image, label = ground_and_clouds(rng)
    picture = stretch_for(image, label).rgb(image, TRUE_COLOUR)
    knee = round(255 * KNEE)
    assert (picture[label == 0] <= knee).mean() > 0.98
    assert np.ptp(picture[label == 0]) > 0.9 * knee
    assert (picture[label == 1] > knee).all()
    assert len(np.unique(picture[label == 1])) > 20, "clouds keep some of their texture"
    assert picture.max() == 255


def test_a_cloud_beside_a_clear_centre_does_not_darken_the_ground(rng):
    image, label = ground_and_clouds(rng)
    before = stretch_for(image, label)
    image[0, :, :, :20] = 7000
    image[4, :, 24:] = 7000
    after = stretch_for(image, label)
    assert np.abs(after.high - before.high).max() < 100


def test_all_observations_are_used_if_none_is_clear(rng):
    image, _ = ground_and_clouds(rng)
    stretch = stretch_for(image, np.full(len(image), 1, np.int8))
    assert stretch.clear == 0
    assert "none is clear" in stretch.describe()
    assert "none is clear" not in stretch_for(image, np.zeros(len(image), np.int8)).describe()


@pytest.mark.parametrize("value", [0, 1, 65535])
def test_images_with_one_value_do_not_fail(value):
    image = flat((value,) * 4, (value,) * 4)
    picture = stretch_for(image, np.zeros(2, np.int8)).rgb(image, FALSE_COLOUR)
    assert len(np.unique(picture)) == 1


def test_noise_of_uniform_ground_is_not_amplified(rng):
    image = rng.integers(1000, 1010, (5, 4, 42, 42)).astype(np.uint16)
    assert np.ptp(stretch_for(image, np.zeros(5, np.int8)).rgb(image, TRUE_COLOUR).astype(int)) < 16


def test_brightness_rises_with_the_value(rng):
    image, label = ground_and_clouds(rng)
    ramp = np.broadcast_to(np.arange(0, 9000, 9000 / 42).astype(np.uint16), (1, 4, 42, 42))
    picture = stretch_for(image, label).rgb(ramp, TRUE_COLOUR).astype(int)
    assert (np.diff(picture, axis=2) >= 0).all()


def test_visible_bands_share_one_span_so_grey_stays_grey():
    image = flat((800, 500, 300, 100), (1000, 700, 2300, 4000), (1800, 1500, 1300, 2000))
    stretch = stretch_for(image, np.zeros(3, np.int8))
    grey = stretch.rgb(flat(tuple(int(low) + 300 for low in stretch.low)), TRUE_COLOUR)
    assert np.ptp(grey[0, 0, 0].astype(int)) <= 1


def test_36_labels_are_clear_if_more_than_half_are():
    label = np.ones((3, 6, 6), np.int8)
    label[1, :3] = 0
    label[2, :3] = label[2, 3, 0] = 0
    assert is_clear(label).tolist() == [False, False, True]
    assert is_clear(np.array([0, 1, 5], np.int8)).tolist() == [True, False, False]
