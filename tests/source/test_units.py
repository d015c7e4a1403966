"""One source per unit: equal content is read once, different content is refused by name, shards are joined."""

from __future__ import annotations

import dataclasses
import gzip
import os
from pathlib import Path

import pytest
from archives.sevenzip import handmade, put
from makers import random_group, tfrecord_bytes, write_archive

from s2ct_convert.conversion.plan_file import read_plan, write_plan
from s2ct_convert.errors import DuplicateUnit, ShardsMissing, TFRecordDamaged
from s2ct_convert.names import UnitName
from s2ct_convert.source.find import Part, Source, find_sources
from s2ct_convert.source.read import open_source, read_examples
from s2ct_convert.source.same import same_content
from s2ct_convert.units.options import PlanOptions
from s2ct_convert.units.plan import make_plan, plan_hash

SMG = UnitName("train", "50SMG")


@pytest.fixture
def records(rng) -> list[bytes]:
    return [tfrecord_bytes([random_group(rng, i, 1)]) for i in range(4)]


def source(path: Path, member: str | None = None, *more: Part) -> Source:
    return Source(SMG, None, path, member, more)


class TestSameContent:
    @pytest.fixture
    def kinds(self, tmp_path, records) -> dict[str, Source]:
        """One TFRecord in several packings."""
        whole = records[0]
        return {
            "bare": source(put(tmp_path / "a", whole)),
            "gzip": source(put(tmp_path / "b.gz", gzip.compress(whole))),
            "archive": source(write_archive(tmp_path / "c.7z", {"x": whole}), "x"),
            "larger archive": source(write_archive(tmp_path / "d.7z", {"n": b"notes", "y": whole}), "y"),
            "archive of a gzip": source(write_archive(tmp_path / "e.7z", {"z": gzip.compress(whole, mtime=0)}), "z"),
            "the same gzip": source(put(tmp_path / "f.gz", gzip.compress(whole, mtime=0))),
        }

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("bare", "bare", True),
            ("bare", "gzip", True),
            ("bare", "archive", True),
            ("archive", "larger archive", True),
            ("gzip", "larger archive", True),
            ("archive of a gzip", "the same gzip", True),
            ("archive of a gzip", "archive", False),  # the headers do not show it
        ],
    )
    def test_the_same_bytes_are_recognised_in_another_packing(self, kinds, one, other, same):
        assert same_content(kinds[one], kinds[other]) == same_content(kinds[other], kinds[one]) == same

    def test_different_bytes_of_the_same_size_are_different_content(self, tmp_path, records):
        one, other = (source(put(tmp_path / str(i), records[i])) for i in (0, 1))
        packed = source(write_archive(tmp_path / "x.7z", {"m": records[1]}), "m")
        assert not same_content(one, other)
        assert not same_content(one, packed)
        assert same_content(other, packed)

    def test_an_archive_without_checksums_equals_only_its_copy(self, tmp_path, records):
        bare = handmade({"m": records[0]}, file_crc=False)
        one, copy = (source(put(tmp_path / f"{i}.7z", bare), "m") for i in range(2))
        other = source(put(tmp_path / "z.7z", handmade({"m": records[1]}, file_crc=False)), "m")
        assert same_content(one, copy)
        assert not same_content(one, other)

    def test_shards_are_compared_one_by_one(self, tmp_path, records):
        parts = [Part(put(tmp_path / str(i), records[i])) for i in range(3)]
        copy = Part(put(tmp_path / "copy", records[1]))
        assert same_content(source(parts[0].path, None, parts[1]), source(parts[0].path, None, copy))
        assert not same_content(source(parts[0].path, None, parts[1]), source(parts[0].path, None, parts[2]))
        assert not same_content(source(parts[0].path), source(parts[0].path, None, parts[1]))


class TestDuplicates:
    def test_a_copy_is_noted_and_the_plain_name_is_used(self, tmp_path, records):
        copy = put(tmp_path / "train_50SMG_1 (1)", records[0])
        path = put(tmp_path / "train_50SMG_1", records[0])
        found = find_sources([tmp_path])
        (source,) = found.sources
        assert (source.path, [one.path for one in source.copies], found.unusable) == (path, [copy], [])
        assert found.notes == [f"{copy}: the same content as {path}, which is read"]

    def test_a_second_source_with_other_content_is_refused_by_name(self, tmp_path, records):
        paths = [put(tmp_path / folder / "train_50SMG_1", records[i]) for i, folder in enumerate("abc")]
        for given in ([tmp_path], paths[::-1]):
            found = find_sources(given)
            assert found.sources == [Source(SMG, 1, paths[0])]
            assert [(one.path, one.unit, type(one.error)) for one in found.unusable] == [
                (path, None, DuplicateUnit) for path in paths[1:]
            ]
            error = found.unusable[0].error
            assert error.exit_code == 5
            assert str(paths[0]) in str(error)
            assert str(paths[1]) in str(error)

    def test_a_damaged_second_source_does_not_fail_the_unit(self, tmp_path, records):
        put(tmp_path / "train_50SMG_1", records[0])
        put(tmp_path / "train_50SMG_1 (1).7z", b"no archive")
        found = find_sources([tmp_path])
        assert [str(one.unit) for one in found.sources] == ["train/50SMG"]
        assert [one.unit for one in found.unusable] == [None]

    @pytest.mark.parametrize("damage", ["flipped", "cut", "not a record", "gzip", "both"])
    def test_the_only_whole_source_is_read_and_the_damaged_are_named(self, tmp_path, records, damage):
        data = records[0] + records[1]
        flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        bad = {"flipped": flipped, "cut": data[:-9], "not a record": bytes(99)}
        if damage != "gzip":
            put(tmp_path / "train_50SMG_2", bad.get(damage, flipped))
        if damage in ("gzip", "both"):
            put(tmp_path / "train_50SMG_2.gz", gzip.compress(data)[:-100])
        good = write_archive(tmp_path / "train_50SMG_2 (1).7z", {"train_50SMG_2": data})
        found = find_sources([tmp_path])
        assert [one.path for one in found.sources] == [good]
        assert {one.also_of for one in found.unusable} == {SMG}
        assert not any(isinstance(one.error, DuplicateUnit) for one in found.unusable)
        assert len(found.unusable) == len(found.notes) == (2 if damage == "both" else 1)
        assert f"is damaged: train/50SMG is read from {good}: train_50SMG_2 instead" in found.notes[0]

    def test_of_sources_that_differ_an_archive_comes_before_a_bare_file(self, tmp_path, records):
        bare = put(tmp_path / "train_50SMG_2", records[0])  # cut between two records: its checksums are right
        good = write_archive(tmp_path / "train_50SMG_2.7z", {"train_50SMG_2": records[0] + records[1]})
        found = find_sources([tmp_path])
        assert [one.path for one in found.sources] == [good]
        assert [(one.path, type(one.error)) for one in found.unusable] == [(bare, DuplicateUnit)]

    def test_of_bare_files_that_differ_one_that_proves_its_end_comes_first(self, tmp_path, records):
        bare = put(tmp_path / "train_50SMG_2", records[0])
        good = put(tmp_path / "train_50SMG_2.gz", gzip.compress(records[0] + records[1]))
        found = find_sources([tmp_path])
        assert [one.path for one in found.sources] == [good]
        assert [(one.path, type(one.error)) for one in found.unusable] == [(bare, DuplicateUnit)]

    def test_a_whole_bare_file_comes_before_an_archive_to_be_salvaged(self, tmp_path, records):
        archive = write_archive(tmp_path / "a" / "train_50SMG_1.7z", {"train_50SMG_1": records[1]})
        archive.write_bytes(archive.read_bytes()[:-3])  # its headers are gone
        bare = put(tmp_path / "b" / "train_50SMG_1", records[0])
        found = find_sources([tmp_path], salvage=True)
        assert [one.path for one in found.sources] == [bare]

    def test_damaged_sources_that_differ_are_left_to_the_reader(self, tmp_path, records):
        first = put(tmp_path / "a" / "train_50SMG_1", records[0][:-1])
        put(tmp_path / "b" / "train_50SMG_1", records[0][:-2])
        found = find_sources([tmp_path])
        assert ([one.path for one in found.sources], len(found.unusable)) == ([first], 1)

    def test_hard_links_are_one_source(self, tmp_path, records):
        path = put(tmp_path / "train_50SMG_1", records[0])
        os.link(path, tmp_path / "train_50SMG_2")
        found = find_sources([tmp_path])
        assert (len(found.sources), found.unusable) == (1, [])


class TestShards:
    @pytest.fixture
    def shards(self, tmp_path, records) -> list[Path]:
        return [put(tmp_path / "in" / f"train_50SMG_3-{i:05}-of-00003", records[i]) for i in range(3)]

    def test_shards_are_one_source_with_examples_numbered_in_order(self, shards):
        (found,) = find_sources(shards[::-1]).sources
        assert found == Source(SMG, 3, shards[0], None, (Part(shards[1]), Part(shards[2])))
        assert found.files == tuple(shards)
        assert found.size() == sum(path.stat().st_size for path in shards)
        os.utime(shards[1], (2_000_000_000, 2_000_000_000))
        assert found.mtime_ns() == 2_000_000_000 * 10**9
        counted: list[int] = []
        with open_source(found, counted.append) as examples:
            assert [(one.number, one.localid) for one in examples] == [(0, 0), (1, 1), (2, 2)]
            assert examples.md5() is None
        assert sum(counted) == found.size()
        assert [int(one["localid"]) for one in read_examples(shards[0].parent)] == [0, 1, 2]

    @pytest.mark.parametrize("missing", [0, 1, 2])
    def test_a_missing_shard_is_named_and_fails_the_unit(self, shards, missing):
        shards[missing].unlink()
        found = find_sources([shards[0].parent])
        assert found.sources == []
        (unusable,) = found.unusable
        assert (unusable.unit, type(unusable.error)) == (SMG, ShardsMissing)
        assert f"missing: {missing}" in str(unusable.error)

    def test_a_repeated_shard_is_read_once_and_a_different_one_is_refused(self, shards, records):
        put(shards[0].parent / "train_50SMG_3-00001-of-00003 (1)", records[1])
        found = find_sources([shards[0].parent])
        assert (len(found.sources), found.unusable) == (1, [])
        put(shards[0].parent / "train_50SMG_3-00001-of-00003 (2)", records[3])
        found = find_sources([shards[0].parent])
        assert [len(found.sources), *(type(one.error) for one in found.unusable)] == [1, DuplicateUnit]

    def test_the_only_whole_copy_of_a_shard_is_read(self, shards, records):
        whole = put(shards[1].parent / "copy" / shards[1].name, records[1])
        put(shards[1], records[1][:-1])
        found = find_sources([shards[0].parent])
        assert [part.path for part in found.sources[0].parts] == [shards[0], whole, shards[2]]
        assert [(one.path, one.also_of, type(one.error)) for one in found.unusable] == [
            (shards[1], SMG, TFRecordDamaged)
        ]

    def test_the_numbers_in_shard_names_are_added_up(self, tmp_path, records):
        put(tmp_path / "train_50SMG_2-00000-of-00002", records[0] + records[1])
        put(tmp_path / "train_50SMG_1-00001-of-00002", records[2])
        assert find_sources([tmp_path]).sources[0].name_count == 3

    def test_a_plan_keeps_shards(self, shards, tmp_path):
        plan = make_plan([shards[0].parent], tmp_path / "x.zarr")
        write_plan(plan, tmp_path / "plan.json")
        again = read_plan(tmp_path / "plan.json")
        assert again.files == plan.files
        assert again.hash == plan.hash
        os.utime(shards[2], (2_000_000_000, 2_000_000_000))
        (changed,) = read_plan(tmp_path / "plan.json").unusable
        assert "has changed since the plan was made" in str(changed.error)

    def test_a_different_order_of_shards_is_a_different_plan(self, shards, tmp_path):
        plan = make_plan([shards[0].parent], tmp_path / "x.zarr")
        (file,) = plan.files
        other = dataclasses.replace(file.source, more=file.source.more[::-1])
        assert plan_hash(plan.options, [dataclasses.replace(file, source=other)], plan.demands) != plan.hash


def test_a_refused_source_of_an_unselected_unit_is_not_reported(tmp_path, records):
    for folder, record in (("a", records[0]), ("b", records[1])):
        put(tmp_path / folder / "train_50SMG_1", record)
    put(tmp_path / "val_49RGN_1", records[2])
    for tiles, refused in (((), 1), (("49RGN",), 0), (("T50SMG",), 1)):
        plan = make_plan([tmp_path], tmp_path / "x.zarr", PlanOptions(tiles=tiles))
        assert len(plan.unusable) == refused
