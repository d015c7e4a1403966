"""The map of an overview shows each tile in its place, and names that can be read."""

from __future__ import annotations

import random

import numpy as np
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert import tiles
from s2ct_convert.pictures import overview_sheet
from s2ct_convert.pictures.overview import read_overview
from s2ct_convert.pictures.overview_map import FILL, Frame, draw_map, in_words, place_names
from s2ct_convert.pictures.overview_sheet import MAP_HEIGHT, MAP_SPACE, draw_overview
from s2ct_convert.pictures.sheet import new_sheet
from s2ct_convert.tiles import TileArea, locate_tile

from .pictures import find, hex_rgb, read

BOX = (100, 20, 700, 320)


def areas(*names: str) -> dict[str, TileArea]:
    found = {name: locate_tile(name) for name in names}
    assert None not in found.values()
    return {name: area for name, area in found.items() if area}


@pytest.mark.parametrize(
    ("names", "west_to_east"),
    [(("31TCJ", "34VFN"), "31TCJ 34VFN"), (("01VEG", "01VCG", "60WWS", "59VMG"), "59VMG 60WWS 01VCG 01VEG")],
)
def test_the_frame_holds_all_tiles_in_the_order_of_their_longitudes(names, west_to_east):
    """The shorter way around the Earth."""
    shown = areas(*names)
    frame = Frame.around(shown.values(), BOX)
    places = {name: frame.pixel(area.centre) for name, area in shown.items()}
    assert " ".join(sorted(places, key=lambda name: places[name][0])) == west_to_east
    for area in shown.values():
        for x, y in map(frame.pixel, area.corners):
            assert BOX[0] < x < BOX[2] and BOX[1] < y < BOX[3]


def test_a_tile_is_filled_where_it_is():
    shown = areas("31TCJ", "34VFN")
    with new_sheet(800, 400) as sheet:
        assert draw_map(sheet, BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1], shown) == ""
        picture = read(sheet.encode(".png"))
    filled = find(picture, hex_rgb(FILL))
    frame = Frame.around(shown.values(), BOX)
    for area in shown.values():
        x, y = np.mean([frame.pixel(corner) for corner in area.corners], axis=0)
        assert (np.abs(filled - [y, x]) < 3).all(1).any()
    assert len(filled) < 1000  # and nothing else


def test_names_of_tiles_do_not_cover_one_another_or_leave_the_map():
    draw = random.Random(4)
    squares = {}
    for i in range(60):
        x, y = draw.uniform(100, 690), draw.uniform(20, 310)
        squares[f"{i:02}ABC"] = (x, y, x + 9, y + 9)
    placed = place_names(squares, BOX)
    assert 30 < len(placed) < 60
    boxes = list(placed.values())
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert BOX[0] <= left < right <= BOX[2] and BOX[1] <= top < bottom <= BOX[3]
        for other in [*boxes[:i], *squares.values()]:
            assert not (left < other[2] and other[0] < right and top < other[3] and other[1] < bottom)


def test_the_map_tells_how_many_names_it_leaves_out():
    close = areas(*(f"50S{column}{row}" for column in tiles._COLUMNS[2] for row in "FGHJK"))
    with new_sheet(300, 200) as sheet:
        left_out = draw_map(sheet, 80, 20, 100, 100, close)
    assert left_out.startswith("The map has no room for the names of ")


def test_degrees_have_the_letter_of_their_side():
    shown = [in_words(degrees, "E", "W") for degrees in (0, 15, -30, -180)]
    assert shown == ["0°", "15° E", "30° W", "180°"]


@pytest.mark.slow
@pytest.mark.parametrize(("names", "maps", "note"), [(("50SMG", "SITE7"), 1, "of SITE7."), (("SITE7",), 0, "")])
def test_a_tile_without_a_known_place_is_named_and_not_drawn(tmp_path, rng, monkeypatch, names, maps, note):
    sources = [write_tfrecord(tmp_path, [random_group(rng, 1, 3)], unit=f"train_{name}") for name in names]
    s2ct_convert.convert(sources, tmp_path / "x.zarr", jobs=1)
    with s2ct_convert.open_store(tmp_path / "x.zarr") as store:
        found = read_overview(store)
    words: list[str] = []
    monkeypatch.setattr(overview_sheet.Sheet, "paragraph", lambda self, y, text: words.append(text))
    picture = read(draw_overview(found, suffix=".png"))
    assert picture.shape[0] == pytest.approx(1010 + 26 * len(names) + maps * (MAP_HEIGHT + MAP_SPACE), abs=60)
    assert words[0].strip().endswith(note or "maximum.")
