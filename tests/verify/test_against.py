from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import plain
import pytest
from archives.native_programs import script
from makers import Group, flip, random_group, write_archive, write_tfrecord
from makers import tfrecord_bytes as packed
from twins import SUFFIXES, first_quick

import s2ct_convert
from s2ct_convert.errors import SourceError, UnpackerWarning, WrongUsage
from s2ct_convert.reading.opening import open_store, open_to_verify
from s2ct_convert.verify.against import verify_against

UNIT = "train/50SMG"
LOCALIDS = (412, 37, 412, -5)  # localids of the examples of that unit, in source order
SIZES = (100, 20, 30, 1)
DAYS = (0, 0, 400, 7)


def groups(seed: int = 3) -> list[Group]:
    """Examples of a unit that needs a second pass; one has no weights."""
    rng = np.random.default_rng(seed)
    made = [random_group(rng, localid, n) for localid, n in zip(LOCALIDS, SIZES, strict=True)]
    for group, day in zip(made, DAYS, strict=True):
        group.dates = group.dates + day
    made[1].weights = None
    return made


@dataclass(frozen=True)
class Case:
    """A store and its sources."""

    store: Path
    sources: list[Path]

    def differences(self, sources: list[Path] | None = None) -> list[str]:
        with open_to_verify(self.store) as opened:
            return [str(one) for unit in verify_against(opened, sources or self.sources) for one in unit.differences]

    def rows(self, example: int) -> np.ndarray:
        """Rows of the observations of an example."""
        return np.flatnonzero(plain.arrays(self.store, UNIT)["example"] == example)

    def edit(self, array: str, change: Any) -> None:
        plain.edit(self.store, f"{UNIT}/{array}", change)


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> dict[str, Case]:
    folder = tmp_path_factory.mktemp("clean")
    rng = np.random.default_rng(4)
    sources = [
        write_tfrecord(folder, groups()),
        write_tfrecord(folder, [random_group(rng, i, 20, label_pixels=36) for i in (1, 2)], unit="val_50SMG"),
        write_archive(folder / "train_49RGN_1.7z", {"train_49RGN_1": packed([random_group(rng, 0, 33)])}),
    ]
    cases = {suffix: Case(folder / f"x.{suffix}", sources) for suffix in ("zarr", "h5")}
    for case in cases.values():
        s2ct_convert.convert(sources, case.store)
    return cases


@pytest.fixture(params=SUFFIXES)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def own(clean, suffix, tmp_path) -> Case:
    """A copy of a store that the test may damage."""
    case = clean[suffix]
    copy = shutil.copytree if case.store.is_dir() else shutil.copy
    return Case(Path(copy(case.store, tmp_path / case.store.name)), case.sources)


def record_digest(case: Case) -> None:
    """Set the recorded digest of the unit to the digest of its content."""
    old = plain.attributes(case.store, UNIT)["content_digest"]
    new = plain.unit_digest(plain.arrays(case.store, UNIT), plain.published(case.store, UNIT))
    if case.store.is_dir():
        for node in (case.store / "zarr.json", case.store / UNIT / "zarr.json"):
            node.write_text(node.read_text().replace(old, new))
    else:
        with h5py.File(case.store, "r+") as file:
            file[UNIT].attrs["content_digest"] = new


def flipped(row: int) -> Any:
    """A function that flips the lowest bit of the first value of a row."""

    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed[row : row + 1].reshape(-1).view(np.uint8)[0] ^= 1
        return changed

    return change


def swapped(a: int, b: int) -> Any:
    """A function that swaps two rows."""

    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed[[a, b]] = array[[b, a]]
        return changed

    return change


def test_a_store_and_its_sources_have_no_differences(clean, suffix):
    case, read = clean[suffix], []
    with open_store(case.store) as store:
        found = verify_against(store, case.sources, on_bytes=read.append)
        assert [(one.unit, one.examples, one.observations) for one in found] == [
            ("train/49RGN", 1, 33),
            ("train/50SMG", 4, 151),
            ("val/50SMG", 2, 40),
        ]
        assert [one.differences for one in found] == [()] * 3
        assert [one.digest for one in found] == [store[one.unit].digest for one in found]
    assert sum(read) >= sum(source.stat().st_size for source in case.sources)


def test_units_without_a_given_source_are_not_compared(clean, suffix):
    with open_store(clean[suffix].store) as store:
        assert [one.unit for one in verify_against(store, clean[suffix].sources[1:2])] == ["val/50SMG"]


@pytest.mark.parametrize("example", first_quick(range(4)))
@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ("image", {"image differs", "image_crc32c does not match the image"}),
        ("label", {"label differs"}),
        ("date", {"date differs"}),
        ("time", {"time differs"}),
        ("weight", {"weight differs"}),
        ("image_crc32c", {"image_crc32c does not match the image"}),
    ],
)
def test_a_flipped_bit_is_reported_with_unit_example_and_rows(own, array, expected, example):
    rows = own.rows(example)
    own.edit(array, flipped(int(rows[len(rows) // 2])))
    place = f"{UNIT}, example {example}, rows {rows.min()} to {rows.max()}: "
    of_examples = [one for one in own.differences() if ", example " in one]
    assert sorted(of_examples) == sorted(place + what for what in expected)


@pytest.mark.parametrize("array", ["image", "label", "date", "time", "weight"])
def test_changed_content_differs_from_the_recorded_digest(own, array):
    own.edit(array, flipped(60))
    actual = plain.unit_digest(plain.arrays(own.store, UNIT), plain.published(own.store, UNIT))
    recorded = plain.attributes(own.store, UNIT)["content_digest"]
    assert f"{UNIT}: the content digest is {actual}, recorded is {recorded}" in own.differences()


@pytest.mark.parametrize("array", ["example", "position"])
def test_a_changed_example_or_position_is_found(own, array):
    row = int(own.rows(2)[0])
    own.edit(array, flipped(row))
    assert any(one.startswith(f"{UNIT}, example 2: ") for one in own.differences())


def test_a_changed_localid_is_reported_for_each_example(own):
    own.edit("localid", lambda localid: np.where(localid == 412, 413, localid))
    of_examples = [one for one in own.differences() if ", example " in one]
    assert of_examples == [
        f"{UNIT}, example {number}, rows {own.rows(number).min()} to {own.rows(number).max()}: "
        "the localid in the store differs from 412 in the source"
        for number in (0, 2)
    ]


@pytest.mark.parametrize(("example", "owner"), [(1, 0), (1, 2), (1, 99), (0, -1)])
def test_an_observation_moved_to_another_sample_is_found(own, example, owner):
    row = int(own.rows(example)[0])
    own.edit("sample_index", lambda index: np.where(np.arange(len(index)) == row, owner, index).astype(np.int32))
    assert any(one.startswith(f"{UNIT}, example {example}") for one in own.differences())


@pytest.mark.parametrize("place", [0, 1, -1])
@pytest.mark.parametrize("arrays", [["row_start"], ["row_size"], ["row_start", "row_size"]])
@pytest.mark.parametrize("change", [1, -1])
def test_a_moved_border_between_samples_is_found(own, arrays, place, change):
    for array in arrays:
        own.edit(array, lambda column: column + change * (np.arange(len(column)) == place % len(column)))
    assert any(one.startswith(UNIT) for one in own.differences())


def test_two_swapped_images_are_found(own):
    first, second = own.rows(0)[3], own.rows(2)[1]
    own.edit("image", swapped(first, second))
    differences = own.differences()
    for example in (0, 2):
        assert any(one.startswith(f"{UNIT}, example {example}, rows") and "image differs" in one for one in differences)


@pytest.mark.parametrize("recorded", [False, True], ids=["old digest", "new digest"])
def test_observations_out_of_time_order_are_found(own, recorded):
    first, second = own.rows(0)[3:5]
    for array in ("image", "label", "date", "time", "weight", "image_crc32c", "example", "position"):
        own.edit(array, swapped(first, second))
    if recorded:
        record_digest(own)
    assert any(one.startswith(UNIT) for one in own.differences())


def test_a_deleted_shard_is_found(clean, tmp_path):
    own = Case(Path(shutil.copytree(clean["zarr"].store, tmp_path / "x.zarr")), clean["zarr"].sources)
    (own.store / UNIT / "image/c/0/0/0/0").unlink()
    differences = own.differences()
    for example in range(4):
        assert any(one.startswith(f"{UNIT}, example {example}, ") and "shard is missing" in one for one in differences)


def test_an_unreadable_chunk_is_reported_for_each_of_its_examples(own):
    if own.store.is_dir():
        path, offset = own.store / UNIT / "image/c/0/0/0/0", 300
    else:
        path = own.store
        with h5py.File(path) as file:
            offset = file[UNIT]["image"].id.get_chunk_info(0).byte_offset + 300
    flip(path, offset)
    differences = own.differences()
    assert any(one.startswith(f"{UNIT}, example 3") for one in differences)  # localid -5 comes first
    assert not any(one.startswith(f"{UNIT}, example 2") for one in differences)  # its rows start after row 100


def other_pixels(made: list[Group]) -> list[Group]:
    made[1].image = made[1].image ^ np.uint16(1)
    return made


def an_example_more(made: list[Group]) -> list[Group]:
    return [*made, random_group(np.random.default_rng(5), 500, 2)]


def an_example_less(made: list[Group]) -> list[Group]:
    return made[:-1]


def a_timestamp_less(made: list[Group]) -> list[Group]:
    made[2] = Group(412, *(array[:-1] for array in (made[2].image, made[2].labels, made[2].dates, made[2].weights)))
    return made


def examples_swapped(made: list[Group]) -> list[Group]:
    return [made[1], made[0], *made[2:]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (other_pixels, "example 1, rows 1 to 20: image differs"),
        (an_example_more, "example 4: the source has 2 timestamps, the store 0"),
        (an_example_less, ": 1 observations belong to no example of the source"),
        (a_timestamp_less, "example 2: the source has 29 timestamps, the store 30"),
        (examples_swapped, "example 0: the source has 20 timestamps, the store 100"),
    ],
)
def test_a_changed_source_differs_from_the_store(clean, suffix, tmp_path, change, expected):
    other = write_tfrecord(tmp_path, change(groups()))
    differences = clean[suffix].differences([other])
    assert differences[0].startswith(UNIT)
    assert any(expected in one for one in differences), differences


def test_the_same_tfrecord_in_another_archive_differs_only_in_md5(clean, suffix, tmp_path):
    rng = np.random.default_rng(4)
    _ = [random_group(rng, i, 20, label_pixels=36) for i in (1, 2)]
    data = packed([random_group(rng, 0, 33)])
    other = write_archive(tmp_path / "train_49RGN_1.7z", {"train_49RGN_1": data, "notes.txt": b"packed again"})
    (difference,) = clean[suffix].differences([other])
    assert difference.startswith(f"train/49RGN, {other}: the unit was made from a file with md5 ")


@pytest.mark.every_variant
def test_a_source_whose_unit_the_store_lacks_is_wrong_usage(clean, suffix, tmp_path, rng):
    other = write_tfrecord(tmp_path, [random_group(rng, 1, 2)], unit="val_49RGN")
    with pytest.raises(WrongUsage, match="the store has no unit val/49RGN"):
        clean[suffix].differences([other])


@pytest.mark.every_variant
def test_a_damaged_source_raises_and_is_not_a_difference(clean, suffix, tmp_path):
    source = clean[suffix].sources[0]
    damaged = flip(source, 1_000_000, to=tmp_path / source.name)
    with pytest.raises(SourceError, match=source.name):
        clean[suffix].differences([damaged])


@pytest.mark.slow
def test_python_reads_an_archive_on_which_7_zip_fails(tmp_path, rng, monkeypatch):
    source = write_archive(tmp_path / "train_50SMG_1.7z", {"train_50SMG_1": packed([random_group(rng, 1, 2)])})
    s2ct_convert.convert(source, tmp_path / "x.zarr", unpacker="python")
    script(tmp_path / "bin", "echo 'ERROR: CRC Failed' >&2; exit 2")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.warns(UnpackerWarning, match="7zz 99.01 failed on an intact archive"):
        (found,) = verify_against(tmp_path / "x.zarr", source)
    assert (found.examples, found.differences) == (1, ())
    with pytest.raises(SourceError, match="CRC Failed"):  # whoever asks for it, gets its answer
        verify_against(tmp_path / "x.zarr", source, unpacker="7zz")


def test_other_sources_are_compared_after_a_damaged_one(clean, suffix, tmp_path):
    case, failed = clean[suffix], []
    damaged = flip(case.sources[0], 1_000_000, to=tmp_path / case.sources[0].name)
    sources = [damaged, *case.sources[1:]]
    found = verify_against(case.store, sources, on_error=lambda path, error: failed.append(path))
    assert failed == [damaged]
    assert len(found) == len(sources) - 1
    with pytest.raises(SourceError, match=damaged.name):
        verify_against(str(case.store), sources)
