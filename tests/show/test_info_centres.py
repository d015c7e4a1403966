"""The centre of a tile in ``s2ct info``."""

from __future__ import annotations

import pytest

from s2ct_convert.show.info import _centre


@pytest.mark.parametrize(
    ("lon", "lat", "words"),
    [(116.486, 37.451, "37.45 N, 116.49 E"), (-53.77, -37.512, "37.51 S, 53.77 W"), (None, None, "-")],
)
def test_the_centre_of_a_tile_has_the_letters_of_its_hemispheres(lon, lat, words):
    assert _centre({"tile_lon": lon, "tile_lat": lat}) == words
