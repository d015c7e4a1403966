"""`verify sources` reports damaged sources and counts intact ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from makers import flip, random_group, record_bytes, tfrecord_bytes, write_archive, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import ArchiveDamaged, CountMismatch, TFRecordDamaged, WrongUsage
from s2ct_convert.verify.sources import verify_sources


@pytest.fixture
def archive(tmp_path, rng) -> Path:
    data = tfrecord_bytes([random_group(rng, i, n) for i, n in ((4, 30), (4, 5), (9, 1))])
    return write_archive(tmp_path / "a" / "train_50SMG_3.7z", {"train_50SMG_3": data})


@pytest.fixture
def tfrecord(tmp_path, rng) -> Path:
    return write_tfrecord(tmp_path / "a", [random_group(rng, 1, 12)], unit="val_50SMG")


def test_intact_sources_are_counted(archive, tfrecord):
    totals: list[int] = []
    read: list[int] = []
    first, second = verify_sources([archive.parent], jobs=2, on_total=totals.append, on_bytes=read.append)
    assert (first.unit, first.examples, first.samples, first.observations) == ("train/50SMG", 3, 2, 36)
    assert first.md5 == hashlib.md5(archive.read_bytes()).hexdigest()
    assert (second.unit, second.examples, second.samples, second.observations) == ("val/50SMG", 1, 1, 12)
    assert first.error is second.error is None
    assert totals == [archive.stat().st_size + tfrecord.stat().st_size]
    assert sum(read) >= totals[0]


def test_the_bundled_sample_is_ok():
    reports = verify_sources(s2ct_convert.sample_sources(), jobs=2)
    assert [one.error for one in reports] == [None] * 4
    assert sum(one.observations for one in reports) == 309


def only_error(path: Path) -> Exception:
    (report,) = verify_sources([path])
    assert report.error
    return report.error


def test_each_kind_of_damage_is_reported(archive, tfrecord, tmp_path, rng):
    damaged = flip(archive, archive.stat().st_size // 2, to=tmp_path / "d" / archive.name)
    assert isinstance(only_error(damaged), ArchiveDamaged)
    for offset in (3, 9, 500, -2):  # length, its CRC, payload, its CRC
        damaged = flip(tfrecord, offset, to=tmp_path / f"t{offset}" / tfrecord.name)
        if offset == 3:
            assert "not" in str(only_error(damaged))
        else:
            assert isinstance(only_error(damaged), TFRecordDamaged) or offset == 9
    wrong_count = write_tfrecord(tmp_path / "c", [random_group(rng, 1, 2)], n=7)
    assert isinstance(only_error(wrong_count), CountMismatch)


def test_undocumented_features_are_not_damage(tmp_path, rng):
    group = random_group(rng, 1, 5)
    group.dates, group.labels = group.dates[:4], None
    source = write_tfrecord(tmp_path / "e", [group])
    source.write_bytes(source.read_bytes() + record_bytes(b"no Example"))
    (report,) = verify_sources([source])
    assert (report.error, report.examples, report.observations) == (None, 2, 5)


def test_a_damaged_source_does_not_stop_the_others(archive, tfrecord):
    flip(tfrecord, 2000)
    reported: list[str] = []
    reports = verify_sources([archive.parent], on_source=lambda one: reported.append(one.path.name))
    assert [bool(one.error) for one in reports] == [False, True]
    assert sorted(reported) == sorted([archive.name, tfrecord.name])


def test_a_missing_path_is_wrong_usage(tmp_path):
    with pytest.raises(WrongUsage):
        verify_sources([tmp_path / "none"])
