from __future__ import annotations

import itertools

import pytest

from s2ct_convert.errors import EXIT_SOURCE, BadName
from s2ct_convert.names import UnitName, parse_name, stem

SMG = UnitName("train", "50SMG")


@pytest.mark.parametrize(
    "name",
    [
        "train_50SMG_462",
        "train_50SMG_462.7z",
        "train_50SMG_462.7Z",
        "train_T50SMG_462.7z",
        "train_50SMG_462.tfrecord",
        "train_50SMG_462.tfrecords.gz",
        "train_50SMG_462.tfrec.zlib",
        "train_50SMG_462.gz.7z",
        "/data/val_49RGN_3/train_50SMG_462.7z",
        "a folder/train_50SMG_462",
        "C:\\data\\train_50SMG_462.7z",
        "../train_50SMG_462",
    ],
)
def test_a_published_name_is_understood_with_any_folder_and_suffix(name):
    assert parse_name(name) == (SMG, 462)


@pytest.mark.parametrize(("digits", "n"), [("0", 0), ("1", 1), ("007", 7), ("999999999", 999_999_999)])
def test_the_number_of_examples_is_read_as_a_decimal_number(digits, n):
    assert parse_name(f"val_50SMG_{digits}") == (UnitName("val", "50SMG"), n)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".7z",
        "462",
        "train",
        "train_50SMG",
        "train_50SMG_",
        "train_50SMG_-1",
        "train_50SMG_4.5",
        "train_50SMG_4e2",
        "train_50SMG_ 462",
        "train_50SMG_462 ",
        "train_50SMG_462\n",
        "train_50SMG_1234567890",
        "train_50SMG_462_1",
        "train_50SMG_462.7z.001",
        "train_50SMG_462 (1).7z",
        "train_50SMG_462.zip",
        "train-50SMG-462",
        "_train_50SMG_462",
        "test_50SMG_462",
        "Train_50SMG_462",
        "train_50smg_462",
        "train_TT50SMG_462",
        "train_50SMG_462/",
        "train_\uff15\uff10SMG_462",
        "train_5\u0660SMG_462",
        "train_50SMG_\u0664\u0666\u0662",
    ],
)
def test_any_other_name_is_refused_with_the_name_and_the_form_it_should_have(name):
    with pytest.raises(BadName, match="<split>_<tile>_<number of examples>") as caught:
        parse_name(name)
    assert caught.value.where == name
    assert caught.value.exit_code == EXIT_SOURCE


def test_every_tile_of_the_military_grid_is_a_tile_and_nothing_else_of_its_shape():
    zones = {f"{zone:02}" for zone in range(1, 61)}
    bands, columns, rows = (
        set(letters) - set("IO") for letters in (_letters("C", "X"), _letters("A", "Z"), _letters("A", "V"))
    )
    for zone in range(100):
        assert _is_tile(f"{zone:02}SMG") == (f"{zone:02}" in zones), zone
    for letter in _letters("A", "Z"):
        assert _is_tile(f"50{letter}MG") == (letter in bands), letter
        assert _is_tile(f"50S{letter}G") == (letter in columns), letter
        assert _is_tile(f"50SM{letter}") == (letter in rows), letter
    assert not _is_tile("0SMG")
    assert not _is_tile("500SMG")


def _letters(first: str, last: str) -> str:
    return "".join(chr(code) for code in range(ord(first), ord(last) + 1))


def _is_tile(tile: str) -> bool:
    try:
        unit, _ = parse_name(f"train_{tile}_1")
    except BadName:
        return False
    assert unit.tile == tile
    return True


def test_every_suffix_comes_off_and_only_at_the_end():
    assert stem("train_50SMG_462.tfrecord.gz.7z") == "train_50SMG_462"
    assert stem("train.7z.txt") == "train.7z.txt"
    assert stem("a.7z/b.7z") == "b"
    assert stem("") == ""


def test_a_unit_names_its_group_and_its_file_and_comes_back_from_its_group():
    assert str(SMG) == "train/50SMG"
    assert SMG.key == "train_50SMG"
    assert UnitName.from_path(str(SMG)) == SMG


def test_units_sort_by_split_then_tile():
    units = [UnitName(split, tile) for split, tile in itertools.product(("train", "val"), ("01CAA", "49RGN", "50SMG"))]
    assert sorted(set(units)) == units
