from __future__ import annotations

import itertools

import pytest

from s2ct_convert.errors import EXIT_SOURCE, BadName, WrongUsage
from s2ct_convert.names import SourceName, UnitName, parse_name, read_name, stem, try_name, volume_of

SMG = UnitName("train", "50SMG")


@pytest.mark.parametrize(
    "name",
    [
        "train_50SMG_462",
        "train_50SMG_462.7z",
        "Train_50smg_462.7Z",
        "TRAIN_T50SMG_462.7z",
        "train_50SMG_462.tfrecord",
        "train_50SMG_462.tfrecords.gz",
        "train_50SMG_462.tfrec.zlib",
        "train_50SMG_462.gz.7z",
        "/data/val_49RGN_3/train_50SMG_462.7z",
        "a folder/train_50SMG_462",
        "C:\\data\\train_50SMG_462.7z",
        "train-50SMG-462",
        "train.50SMG.462.7z",
        "train 50SMG 462.7z",
        "train__50SMG_00462",
        " train_50SMG_462 \n",
        "train_50SMG_462.7z.001",
    ],
)
def test_the_published_form_is_understood_with_any_case_and_separator(name):
    assert read_name(name) == SourceName(SMG, 462)
    assert parse_name(name) == (SMG, 462)


@pytest.mark.parametrize(
    "name",
    [
        *("train_50SMG_462 (1).7z", "train_50SMG_462(1).7z", "train_50SMG_462.7z (12)", "train_50SMG_462 (1) (2).7z"),
        *("train_50SMG_462 copy.7z", "train_50SMG_462 copy 2.7z", "train_50SMG_462_copy", "train_50SMG_462 - Copy.7z"),
        *("train_50SMG_462 - Copy (3).7z", "Copy of train_50SMG_462.7z", "train_50SMG_462 (another copy).7z"),
        *("train_50SMG_462 (3rd copy).7z", "train_50SMG_462.7z.1", "train_50SMG_462.7z.~1~", "train_50SMG_462.7z~"),
    ],
)
def test_a_copy_is_recognised(name):
    assert read_name(name) == SourceName(SMG, 462, copy=True)


@pytest.mark.parametrize(
    ("name", "shard"),
    [
        ("train_50SMG_462-00000-of-00002", (0, 2)),
        ("train_50SMG_462-00001-of-00002.tfrecord", (1, 2)),
        ("train_50SMG_462.tfrecord-00001-of-00010.7z", (1, 10)),
        ("train_50SMG_462_1_of_3", (1, 3)),
    ],
)
def test_a_shard_has_its_number(name, shard):
    assert read_name(name) == SourceName(SMG, 462, shard)


@pytest.mark.parametrize(
    ("name", "unit", "count"),
    [
        ("validation_50SMG_2", UnitName("validation", "50SMG"), 2),
        ("dev_50SMG", UnitName("dev", "50SMG"), None),
        ("anything_50SMG_2", UnitName("anything", "50SMG"), 2),
        ("train_Beijing_2", UnitName("train", "BEIJING"), 2),
        ("train_Tianjin_2", UnitName("train", "TIANJIN"), 2),  # only MGRS tiles lose their T
        ("train_TT50SMG_2", UnitName("train", "TT50SMG"), 2),
        ("train_00SIO_0", UnitName("train", "00SIO"), 0),
        ("train_50SMG_462_1", SMG, None),  # two numbers are ambiguous
        ("train_50SMG_20240204120000", SMG, None),
    ],
)
def test_any_word_may_be_a_split_or_tile_and_a_number_is_optional(name, unit, count):
    assert read_name(name) == SourceName(unit, count)


@pytest.mark.parametrize(
    "name",
    ["my_notes_1", "train_data", "train_50SMG_2.record", "train_50SMG_2.txt", "train_50SMG_2.zip", "train_readme.md"],
)
def test_an_ambiguous_name_is_not_sure(name):
    assert read_name(name).sure is False


@pytest.mark.parametrize(
    "name",
    [
        *("", ".7z", "462", "train", "50SMG", "data", "data.tfrecord", "10613705.7z", "readme.txt", "md5sums.txt"),
        *("train.txt", "train.log", "my_notes_1.txt", "train_50SMG_4.5", "train_50SMG_4e2", "._train_50SMG_2"),
        *("_train_50SMG_462", "index_50SMG_462", "train_50SMG_462/", "t2_50SMG_462"),
        *("train_\uff15\uff10SMG_462", "train_5\u0660SMG_462", "train_50SMG_\u0664\u0666\u0662", "tr\u00e4in_50SMG_1"),
    ],
)
def test_any_other_name_is_refused_with_the_form_and_advice(name):
    with pytest.raises(BadName, match="<split>_<tile>_<number of examples>") as caught:
        parse_name(name)
    assert caught.value.where == name
    assert caught.value.exit_code == EXIT_SOURCE
    assert "--as SPLIT/TILE" in caught.value.todo
    assert try_name(name) is None


@pytest.mark.parametrize("name", ["x" * 100_000, "a_" * 50_000, "train_50SMG_1" + " (1)" * 20_000, "-of-1" * 20_000])
def test_a_long_name_is_parsed_fast(name):
    try_name(name[:4096])  # no file name is longer


def test_every_suffix_is_removed_but_only_at_the_end():
    assert stem("train_50SMG_462.tfrecord.gz.7z") == "train_50SMG_462"
    assert stem("train.7z.txt") == "train.7z.txt"
    assert stem("a.7z/b.7z") == "b"
    assert stem("") == ""


@pytest.mark.parametrize(
    ("name", "volume"),
    [("a.7z.001", ("a.7z", 1)), ("A.7Z.012", ("A.7Z", 12)), ("a.7z.1", None), ("a.001", None), ("a.7z", None)],
)
def test_a_volume_has_its_archive_and_number(name, volume):
    assert volume_of(name) == volume


@pytest.mark.parametrize("text", ["train/50SMG", "Train/T50smg", " TRAIN / 50SMG "])
def test_a_unit_is_parsed_in_any_usual_form(text):
    assert UnitName.from_user(text) == SMG


@pytest.mark.parametrize(
    "text", ["", "train", "train/", "/50SMG", "train/50_SMG", "tr4in/50SMG", "a/b/c", "index/50SMG"]
)
def test_an_invalid_unit_is_refused_with_the_form(text):
    with pytest.raises(WrongUsage, match="SPLIT/TILE"):
        UnitName.from_user(text)


def test_a_unit_names_its_group_and_file_and_parses_from_its_group():
    assert str(SMG) == "train/50SMG"
    assert SMG.key == "train_50SMG"
    assert UnitName.from_path(str(SMG)) == SMG


def test_units_sort_by_split_then_tile():
    units = [UnitName(split, tile) for split, tile in itertools.product(("train", "val"), ("01CAA", "49RGN", "50SMG"))]
    assert sorted(set(units)) == units
