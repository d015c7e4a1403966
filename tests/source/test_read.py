from __future__ import annotations

import gzip
import hashlib
import struct
import threading
import zlib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from archives.sevenzip import handmade, put, with_start_header
from makers import Group, flip, random_group, record_bytes, tfrecord_bytes, write_tfrecord

import s2ct_convert
from s2ct_convert.archives.extract import extract_archive
from s2ct_convert.errors import (
    ArchiveDamaged,
    BadName,
    ExampleError,
    NotAnArchive,
    TFRecordDamaged,
    WrongUsage,
)
from s2ct_convert.source.find import find_sources
from s2ct_convert.source.read import open_source, read_examples


@pytest.fixture
def groups(rng) -> list[Group]:
    return [random_group(rng, localid, n) for localid, n in [(7, 3), (-2, 1), (7, 100), (411, 0)]]


def same(examples, groups) -> bool:
    return len(examples) == len(groups) and all(
        got["localid"] == group.localid
        and np.array_equal(got["imgs"], group.image)
        and np.array_equal(got["labels"], group.labels)
        and np.array_equal(got["dates"], group.dates)
        and np.array_equal(got["weights"], group.weights)
        for got, group in zip(examples, groups, strict=True)
    )


class TestAsTheAuthorsDecoder:
    def test_keys_dtypes_and_shapes_match_the_authors_decoder(self, tmp_path, rng):
        (got,) = read_examples(write_tfrecord(tmp_path, [random_group(rng, 411, 5)]))
        assert list(got) == ["tid", "dates", "localid", "imgs", "labels", "weights"]
        assert got["tid"] == b"50SMG"
        assert isinstance(got["localid"], np.int64)
        assert got["localid"] == 411
        assert (got["dates"].dtype, got["dates"].shape) == (np.int64, (5,))
        assert (got["imgs"].dtype, got["imgs"].shape) == (np.uint16, (5, 4, 42, 42))
        assert (got["labels"].dtype, got["labels"].shape) == (np.int8, (5,))
        assert (got["weights"].dtype, got["weights"].shape) == (np.float32, (5,))

    def test_missing_features_get_its_defaults(self, tmp_path):
        (got,) = read_examples(write_tfrecord(tmp_path, [Group(None, None, None, None)]))
        assert got["localid"] == -1
        assert isinstance(got["localid"], np.int64)
        assert got["imgs"].shape == (0, 4, 42, 42)
        assert [got[key].shape for key in ("dates", "labels", "weights")] == [(0,)] * 3

    def test_labels_and_dates_are_returned_unchanged(self, tmp_path, rng):
        group = random_group(rng, 1, 3)
        group.dates, group.labels = np.array([0, -1]), np.arange(-5, 5, dtype=np.int8)
        (got,) = read_examples(write_tfrecord(tmp_path, [group]))
        assert got["dates"].tolist() == [0, -1]
        assert got["labels"].tolist() == list(range(-5, 5))

    def test_arrays_are_read_only(self, tmp_path, rng):
        (got,) = read_examples(write_tfrecord(tmp_path, [random_group(rng, 1, 1)]))
        with pytest.raises(ValueError, match="read-only"):
            got["imgs"][0] = 0


class TestSources:
    def test_an_archive_and_its_extracted_file_give_the_same_examples(self, tmp_path, groups):
        bare = write_tfrecord(tmp_path / "bare", groups)
        archive = put(tmp_path / "train_50SMG_4.7z", handmade({"train_50SMG_4": bare.read_bytes()}))
        wrapped = put(tmp_path / "train_50SMG_4.gz", gzip.compress(bare.read_bytes()))
        inside = put(tmp_path / "wrapped" / "train_50SMG_4.7z", handmade({"train_50SMG_4.gz": wrapped.read_bytes()}))
        for path in (bare, str(bare), archive, wrapped, inside):
            assert same(list(read_examples(path)), groups)

    def test_a_folder_is_read_unit_by_unit(self, tmp_path, groups):
        write_tfrecord(tmp_path, groups[:1], unit="val_49RGN")
        write_tfrecord(tmp_path / "deep", groups[1:3], unit="train_50SMG")
        got = list(read_examples(tmp_path))
        assert [example["tid"] for example in got] == [b"50SMG", b"50SMG", b"49RGN"]
        assert same(got, [*groups[1:3], groups[0]])

    def test_examples_are_read_lazily(self, tmp_path, groups):
        path = tmp_path / "train_50SMG_4"
        path.write_bytes(tfrecord_bytes(groups)[: len(tfrecord_bytes(groups[:1])) + 100])
        examples = read_examples(path)
        assert same([next(examples)], groups[:1])
        with pytest.raises(TFRecordDamaged):
            next(examples)

    def test_closing_the_reader_early_leaves_no_thread(self, tmp_path, rng):
        data = tfrecord_bytes([random_group(rng, 1, 100)] * 12)
        examples = read_examples(put(tmp_path / "train_50SMG_12.7z", handmade({"train_50SMG_12": data})))
        next(examples)
        examples.close()
        assert all(thread.name != "s2ct-unpack" for thread in threading.enumerate())

    def test_the_package_exports_this_reader(self):
        assert s2ct_convert.read_examples is read_examples


class TestDamage:
    def test_examples_before_damage_are_read_and_the_error_names_its_place(self, tmp_path, groups):
        offset = len(tfrecord_bytes(groups[:1]))
        examples = read_examples(flip(write_tfrecord(tmp_path, groups), offset + 20))
        assert same([next(examples)], groups[:1])
        with pytest.raises(TFRecordDamaged, match="the checksum of the data does not match") as caught:
            next(examples)
        assert caught.value.where == f"train_50SMG_4: example 1, byte {offset:,}"

    def test_a_wrong_archive_checksum_raises_even_if_every_record_is_whole(self, tmp_path, groups):
        data = tfrecord_bytes(groups)
        header = handmade({"train_50SMG_4": data})[32 + len(data) :]
        wrong = header.replace(struct.pack("<I", zlib.crc32(data)), struct.pack("<I", zlib.crc32(data) ^ 1))
        path = put(tmp_path / "train_50SMG_4.7z", with_start_header(data, wrong))
        examples = read_examples(path)
        assert same([next(examples) for _ in groups], groups)
        with pytest.raises(ArchiveDamaged, match="CRC32"):
            next(examples)

    def test_archive_damage_is_not_reported_as_tfrecord_damage(self, tmp_path, groups):
        data = tfrecord_bytes(groups)
        archive = put(tmp_path / "train_50SMG_4.7z", handmade({"train_50SMG_4": data}))
        with pytest.raises(ArchiveDamaged, match="CRC32"):
            list(read_examples(flip(archive, 32 + 20)))  # the checksum of the first record does not match either

    def test_a_record_that_is_not_an_example_raises(self, tmp_path):
        path = put(tmp_path / "train_50SMG_1", record_bytes(b"not a protobuf"))
        with pytest.raises(ExampleError, match=r"not a tf\.train\.Example") as caught:
            list(read_examples(path))
        assert caught.value.where == "train_50SMG_1: example 0, byte 0"

    @pytest.mark.parametrize(
        ("name", "content", "error"),
        [
            ("train_50SMG_1.7z", b"<html>", NotAnArchive),
            ("train_50SMG_1", b"<html> and so on", NotAnArchive),
            ("train_50SMG_1", b"no TFRecord", TFRecordDamaged),
            ("notes.txt", b"text", NotAnArchive),
            ("mine.tfrecord", record_bytes(b""), BadName),
        ],
    )
    def test_a_file_that_is_not_a_source_raises(self, tmp_path, name, content, error):
        path = put(tmp_path / name, content)
        with pytest.raises(error):
            list(read_examples(path))

    def test_an_empty_folder_and_a_missing_path_are_wrong_usage(self, tmp_path):
        for path in (tmp_path, tmp_path / "gone"):
            with pytest.raises(WrongUsage):
                list(read_examples(path))


class TestOpenSource:
    def test_an_archive_has_an_md5_and_each_byte_is_reported_once(self, tmp_path, groups):
        path = put(tmp_path / "train_50SMG_4.7z", handmade({"train_50SMG_4": tfrecord_bytes(groups)}))
        (source,) = find_sources([path]).sources
        counted: list[int] = []
        with open_source(source, counted.append) as examples:
            assert [example.localid for example in examples] == [group.localid for group in groups]
            assert examples.md5() == hashlib.md5(path.read_bytes()).hexdigest()
        assert sum(counted) == path.stat().st_size

    def test_a_bare_file_has_no_md5_and_each_byte_is_reported_once(self, tmp_path, groups):
        path = write_tfrecord(tmp_path, groups)
        (source,) = find_sources([path]).sources
        counted: list[int] = []
        with open_source(source, counted.append) as examples:
            assert [example.number for example in examples] == [0, 1, 2, 3]
            assert examples.md5() is None
        assert sum(counted) == path.stat().st_size


class TestRealArchives:
    def test_every_example_matches_its_reference(self, real_sources):
        paths, truth = real_sources
        assert sorted(path.stem for path in paths) == sorted(truth)
        for path in paths:
            assert_as_expected(path, truth[path.stem])

    def test_extracted_files_match_the_reference(self, real_sources, tmp_path):
        paths, truth = real_sources
        for path in paths:
            for file in extract_archive(path, tmp_path / path.stem):
                assert file.path.name == path.stem
                assert_as_expected(file.path, truth[path.stem])

    def test_the_number_in_the_name_is_the_number_of_examples(self, real_sources):
        counts: defaultdict[str, int] = defaultdict(int)
        for path in real_sources[0]:
            for _ in read_examples(path):
                counts[path.stem] += 1
        assert all(name.endswith(f"_{n}") for name, n in counts.items())


def assert_as_expected(path: Path, truth: list[dict]) -> None:
    examples = list(read_examples(path))
    assert len(examples) == len(truth)
    for got, expected in zip(examples, truth, strict=True):
        assert got["localid"] == expected["localid"]
        assert len(got["imgs"]) == expected["n_timestamps"]
        assert hashlib.sha256(got["imgs"].tobytes()).hexdigest() == expected["image_sha256"]
        assert got["labels"].tolist() == expected["labels"]
        assert got["dates"].tolist() == expected["dates"]
        assert np.array_equal(got["weights"], np.array(expected["weights"], np.float32), equal_nan=True)
