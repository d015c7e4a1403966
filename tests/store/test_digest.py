from __future__ import annotations

import dataclasses
import hashlib
import struct

import numpy as np
import plain
import pytest

from s2ct_convert.published import PublishedFeature
from s2ct_convert.store.digest import (
    ImageDigests,
    UnitDigest,
    digest_columns,
    digest_sample,
    sample_digest,
    store_digest,
)

from .units import DAY, container, expected, table, write

FIELDS = ("localid", "date", "time", "label", "weight", "image")


@pytest.fixture
def unit(rng):
    """Arrays of a unit. One sample has no observations."""
    return expected(table(rng, [(3, [0, 5, 5]), (8, []), (-1, [2]), (3, [1])]))


def fed(unit, pieces=1, layout=2):
    digest = UnitDigest()
    for i, localid in enumerate(unit["localid"].tolist()):
        rows = slice(*unit["row_start"][i : i + 2].tolist())
        columns = {name: unit[name][rows] for name in digest_columns(layout)}
        digest.add(localid, digest_sample(localid, columns, np.array_split(unit["image"][rows], pieces), layout))
    return digest.hexdigest()


def feature(key="labels", name="labels", kind="bytes", state=(1, 0, 2), offset=(0, 3, 3, 3), data=b"abc"):
    arrays = (np.array(state, np.int8), np.array(offset, np.int64), np.frombuffer(data, np.uint8))
    return PublishedFeature(key, name, kind, *arrays)


def test_the_unit_digest_is_as_documented(unit):
    assert fed(unit) == plain.unit_digest(unit)


def test_the_layout_1_digest_has_no_date_and_hashes_images_directly(unit):
    assert digest_columns(1) == ("time", "label", "weight")
    del unit["date"]
    assert fed(unit, layout=1) == plain.unit_digest(unit)


def test_a_sample_digest_equals_one_computed_by_hand():
    image = np.arange(4 * 42 * 42, dtype=np.uint16).reshape(1, 4, 42, 42)
    columns = {
        "date": np.array([20180102], np.int64),
        "time": np.array([DAY], np.int32),
        "label": np.array([5], np.int8),
        "weight": np.array([0.5], np.float32),
    }
    images = hashlib.sha256(struct.pack("<7056H", *image.ravel())).digest()
    sample = hashlib.sha256(struct.pack("<qi q i b f", -7, 1, 20180102, DAY, 5, 0.5) + images).digest()
    assert digest_sample(-7, columns, [image]) == sample_digest(-7, columns, images) == sample
    unit = UnitDigest()
    unit.add(-7, sample)
    assert unit.hexdigest() == "sha256:" + hashlib.sha256(struct.pack("<q", -7) + sample).hexdigest()


def test_image_digests_do_not_depend_on_the_pieces(rng):
    images, digests = rng.integers(0, 65536, (6, 4, 42, 42), np.uint16), ImageDigests()
    for sample, piece in (("a", images[:1]), ("a", images[1:3]), ("b", images[3:3]), ("c", images[3:])):
        digests.sample(sample)
        digests.image(piece)
    wanted = {"a": images[:3], "b": images[:0], "c": images[3:]}
    assert digests.finish() == {name: hashlib.sha256(part.tobytes()).digest() for name, part in wanted.items()}


def test_the_digest_of_a_published_feature_equals_one_by_hand():
    digest = UnitDigest()
    digest.publish([feature()])
    text = b'["labels","labels","bytes"]\n' + bytes([1, 0, 2]) + struct.pack("<4q", 0, 3, 3, 3) + b"abc"
    assert digest.hexdigest() == "sha256:" + hashlib.sha256(text).hexdigest()


@pytest.mark.every_variant
@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"},
        {"name": "Labels"},
        {"kind": "feature"},
        {"state": np.array([1, 2, 2], np.int8)},
        {"offset": np.array([0, 2, 2, 3])},
        {"data": np.frombuffer(b"abd", np.uint8)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_changing_any_part_of_a_published_feature_changes_the_digest(change):
    digests = [UnitDigest(), UnitDigest()]
    digests[0].publish([feature()])
    digests[1].publish([dataclasses.replace(feature(), **change)])
    assert digests[0].hexdigest() != digests[1].hexdigest()


def test_published_features_are_hashed_in_key_order():
    digests = [UnitDigest(), UnitDigest()]
    digests[0].publish([feature("a"), feature("b")])
    digests[1].publish([feature("b"), feature("a")])
    assert digests[0].hexdigest() == digests[1].hexdigest()


def test_an_empty_unit_has_the_digest_of_no_bytes():
    assert UnitDigest().hexdigest() == "sha256:" + hashlib.sha256().hexdigest()


@pytest.mark.parametrize("pieces", [2, 5])
def test_a_sample_digest_does_not_depend_on_the_pieces(unit, pieces):
    assert fed(unit, pieces) == fed(unit)


@pytest.mark.every_variant
@pytest.mark.parametrize("order", ["big-endian", "fortran", "every second"])
def test_the_digest_does_not_depend_on_memory_order(unit, order):
    change = {
        "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
        "fortran": np.asfortranarray,
        "every second": lambda a: np.repeat(a, 2, axis=0)[::2],
    }[order]
    changed = {name: change(array) if name in FIELDS[1:] else array for name, array in unit.items()}
    assert fed(changed) == fed(unit)


@pytest.mark.every_variant
@pytest.mark.parametrize("field", FIELDS)
def test_changing_any_field_changes_the_digest(unit, field):
    changed = unit[field].copy()
    changed.reshape(-1)[-1] += 1
    assert fed(unit | {field: changed}) != fed(unit)


def test_moving_the_border_between_samples_changes_the_digest(unit):
    moved = unit["row_start"].copy()
    moved[1] += 1
    assert fed(unit | {"row_start": moved}) != fed(unit)


def test_a_sample_without_observations_changes_the_digest(unit):
    i = unit["localid"].tolist().index(8)
    without = {"localid": np.delete(unit["localid"], i), "row_start": np.delete(unit["row_start"], i)}
    assert fed(unit | without) != fed(unit)


def test_the_store_digest_hashes_unit_digests_in_name_order():
    units = {"val/50SMG": "sha256:" + "ab" * 32, "train/50SMG": "sha256:" + "cd" * 32}
    text = b"train/50SMG" + bytes.fromhex("cd" * 32) + b"val/50SMG" + bytes.fromhex("ab" * 32)
    assert store_digest(units) == "sha256:" + hashlib.sha256(text).hexdigest()
    assert store_digest(dict(reversed(units.items()))) == store_digest(units)


@pytest.mark.parametrize("sorted_source", [True, False], ids=["one pass", "two passes"])
@pytest.mark.parametrize("label_side", [1, 6])
def test_a_written_unit_records_the_digest_of_its_content(tmp_path, rng, format, label_side, sorted_source):
    groups = [(1, range(40)), (2, [0]), (6, range(3, 20))]
    source = table(rng, groups if sorted_source else groups[::-1], label_side=label_side)
    source = dataclasses.replace(source, published=(feature(), feature("record", "", "record")))
    content = write(container(format, tmp_path / "store"), tmp_path / "unit", source)
    assert content.passes == (1 if sorted_source else 2)
    recorded = plain.attributes(content.path)["content_digest"]
    found = plain.unit_digest(plain.arrays(content.path), plain.published(content.path))
    assert recorded == content.digest == found


@pytest.mark.parametrize("kind", ["zarr", "h5", "blosc", "linked"])
def test_recorded_digests_equal_digests_computed_from_the_arrays(made, kind):
    path = made[kind]
    assert plain.attributes(path)["content_digest"] == plain.store_digest(path)
    assert plain.unit_names(path) == ["train/49RGN", "train/50SMG", "val/50SMG"]
    for name in plain.unit_names(path):
        digest = plain.unit_digest(plain.arrays(path, name), plain.published(path, name))
        assert plain.attributes(path, name)["content_digest"] == digest


def test_the_digest_is_the_same_in_every_container(made):
    assert len({plain.attributes(path)["content_digest"] for path in made.values()}) == 1
