from __future__ import annotations

import hashlib
import struct

import numpy as np
import plain
import pytest

from s2ct_convert.store.digest import UnitDigest, store_digest

from .units import DAY, container, expected, table, write

FIELDS = ("localid", "time", "label", "weight", "image")


@pytest.fixture
def unit(rng):
    """Arrays of a unit with a sample of no observations in it."""
    return expected(table(rng, [(3, [0, 5, 5]), (8, []), (-1, [2]), (3, [1])]))


def fed(unit, pieces=1):
    digest = UnitDigest()
    for i, localid in enumerate(unit["localid"].tolist()):
        rows = slice(*unit["row_start"][i : i + 2].tolist())
        digest.sample(localid, unit["time"][rows], unit["label"][rows], unit["weight"][rows])
        for piece in np.array_split(unit["image"][rows], pieces):
            digest.image(piece)
    return digest.hexdigest()


def test_it_is_what_the_design_says(unit):
    assert fed(unit) == plain.unit_digest(unit)


def test_one_sample_by_hand():
    digest = UnitDigest()
    image = np.arange(4 * 42 * 42, dtype=np.uint16).reshape(1, 4, 42, 42)
    digest.sample(-7, np.array([DAY], np.int32), np.array([5], np.int8), np.array([0.5], np.float32))
    digest.image(image)
    sample = hashlib.sha256(struct.pack("<qi i b f", -7, 1, DAY, 5, 0.5) + struct.pack("<7056H", *image.ravel()))
    assert digest.hexdigest() == "sha256:" + hashlib.sha256(struct.pack("<q", -7) + sample.digest()).hexdigest()


def test_an_empty_unit_has_the_digest_of_nothing():
    assert UnitDigest().hexdigest() == "sha256:" + hashlib.sha256().hexdigest()


@pytest.mark.parametrize("pieces", [2, 5])
def test_images_may_come_in_pieces(unit, pieces):
    assert fed(unit, pieces) == fed(unit)


@pytest.mark.parametrize("order", ["big-endian", "fortran", "every second"])
def test_it_is_of_the_values_however_they_lie_in_memory(unit, order):
    change = {
        "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
        "fortran": np.asfortranarray,
        "every second": lambda a: np.repeat(a, 2, axis=0)[::2],
    }[order]
    changed = {name: change(array) if name in FIELDS[1:] else array for name, array in unit.items()}
    assert fed(changed) == fed(unit)


@pytest.mark.parametrize("field", FIELDS)
def test_a_change_in_any_field_changes_it(unit, field):
    changed = unit[field].copy()
    changed.reshape(-1)[-1] += 1
    assert fed(unit | {field: changed}) != fed(unit)


def test_moving_the_border_between_two_samples_changes_it(unit):
    moved = unit["row_start"].copy()
    moved[1] += 1
    assert fed(unit | {"row_start": moved}) != fed(unit)


def test_a_sample_without_observations_counts(unit):
    i = unit["localid"].tolist().index(8)
    without = {"localid": np.delete(unit["localid"], i), "row_start": np.delete(unit["row_start"], i)}
    assert fed(unit | without) != fed(unit)


def test_a_store_is_the_digest_of_its_units_by_name_in_any_order():
    units = {"val/50SMG": "sha256:" + "ab" * 32, "train/50SMG": "sha256:" + "cd" * 32}
    text = b"train/50SMG" + bytes.fromhex("cd" * 32) + b"val/50SMG" + bytes.fromhex("ab" * 32)
    assert store_digest(units) == "sha256:" + hashlib.sha256(text).hexdigest()
    assert store_digest(dict(reversed(units.items()))) == store_digest(units)


@pytest.mark.parametrize("sorted_source", [True, False], ids=["one pass", "two passes"])
@pytest.mark.parametrize("label_pixels", [1, 36])
def test_a_written_unit_records_the_digest_of_what_it_holds(tmp_path, rng, format, label_pixels, sorted_source):
    groups = [(1, range(40)), (2, [0]), (6, range(3, 20))]
    source = table(rng, groups if sorted_source else groups[::-1], label_pixels=label_pixels)
    content = write(container(format, tmp_path / "store"), tmp_path / "unit", source, label_pixels=label_pixels)
    assert content.passes == (1 if sorted_source else 2)
    recorded = plain.attributes(content.path)["content_digest"]
    assert recorded == content.digest == plain.unit_digest(plain.arrays(content.path))


@pytest.mark.parametrize("kind", ["zarr", "h5", "blosc", "linked"])
def test_a_store_and_its_units_record_what_anyone_can_compute_from_their_arrays(made, kind):
    path = made[kind]
    assert plain.attributes(path)["content_digest"] == plain.store_digest(path)
    assert plain.unit_names(path) == ["train/49RGN", "train/50SMG", "val/50SMG"]
    for name in plain.unit_names(path):
        assert plain.attributes(path, name)["content_digest"] == plain.unit_digest(plain.arrays(path, name))


def test_the_digest_is_the_same_in_every_container(made):
    assert len({plain.attributes(path)["content_digest"] for path in made.values()}) == 1
