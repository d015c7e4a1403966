"""Damaged sources give one message, exit code 5 and no store. Sources that differ from the description give a note."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import py7zr
import pytest
from archives.sevenzip import handmade, needs_7zip, put, seven_zip
from makers import Group, flip, random_group, write_archive, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import EXIT_SOURCE
from s2ct_convert.units.summary import UnitsFailed

from .helpers import RECORDS, assert_no_store, assert_unit_failed, boundaries, groups, right_source, state

NAME = "train_50SMG_2"
GROUPS = groups(7, 3)
SECOND = boundaries(GROUPS)[1]
PIXELS = RECORDS.index(np.asarray(GROUPS[0].image).tobytes())


def lzma2(path: Path) -> Path:
    return write_archive(path, {NAME: RECORDS}, filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}])


def flipped_in_stored_data(path: Path) -> Path:
    """Flip a bit of a pixel. The reader checks its TFRecord checksum before the CRC-32 of the archive."""
    whole = put(path, handmade({NAME: RECORDS}))
    return flip(whole, 32 + PIXELS + 5000)


def cut(path: Path, end: int) -> Path:
    path.write_bytes(path.read_bytes()[:end])
    return path


ARCHIVES = {
    "a text file": (lambda p: put(p, b"This is the wrong file.\n"), ("not a 7z archive", "to do:")),
    "an empty file": (lambda p: put(p, b""), ("not a 7z archive", "an empty file")),
    "HTML of an error page": (lambda p: put(p, b"<!DOCTYPE html>" * 50), ("not a 7z archive",)),
    "cut in the packed data": (lambda p: cut(lzma2(p), 20_000), ("the archive is truncated", "20,000 bytes")),
    "cut by one byte": (lambda p: cut(lzma2(p), -1), ("the archive is truncated", "to do:")),
    "cut in the start header": (lambda p: cut(lzma2(p), 20), ("the archive is truncated", "expected: 32 bytes")),
    "flipped bit in LZMA2 data": (lambda p: flip(lzma2(p), 20_000), ("to do:", "md5")),
    "flipped bit in COPY data": (flipped_in_stored_data, ("example 0, byte 0", "CRC", "to do:")),
    "flipped bit in the start header": (lambda p: flip(lzma2(p), 14), ("checksum of the start header", "to do:")),
    "flipped bit in the header": (lambda p: flip(lzma2(p), -20), ("damaged", "to do:")),
    "encrypted": (lambda p: write_archive(p, {NAME: RECORDS}, password="x"), ("encrypted", "to do:")),
    "encrypted with its names": (
        lambda p: write_archive(p, {NAME: RECORDS}, password="x", header_encryption=True),
        ("encrypted", "to do:"),
    ),
    "packed in an unknown way": (
        lambda p: put(p, handmade({NAME: RECORDS}, coder=b"\x04\x04\xf7\x11\x04")),
        ("cannot be decoded here", "7-Zip"),
    ),
    "empty of files": (lambda p: write_archive(p, {}), ("no file in this archive",)),
    "with a file of text": (lambda p: write_archive(p, {NAME: b"text" * 99}), ("not start like a TFRecord", "byte 0")),
    "with a cut TFRecord": (
        lambda p: write_archive(p, {NAME: RECORDS[:-9]}),
        (f"example 1, byte {SECOND:,}", "the file ends inside", "to do:"),
    ),
}  # fmt: skip


FOUND_WHILE_WRITING = ("flipped bit in COPY data", "flipped bit in LZMA2 data", "with a cut TFRecord")


@pytest.mark.parametrize(
    ("case", "suffix"), [*((case, "zarr") for case in ARCHIVES), *((case, "h5") for case in FOUND_WHILE_WRITING)]
)
def test_a_bad_archive_is_reported_once_and_makes_no_store(run, tmp_path, suffix, case):
    make, parts = ARCHIVES[case]
    source, store = make(tmp_path / f"{NAME}.7z"), tmp_path / "out" / f"x.{suffix}"
    assert_unit_failed(run("convert", source, store), EXIT_SOURCE, f"{NAME}.7z", *parts)
    if store.parent.exists():
        assert_no_store(store)


@needs_7zip
@pytest.mark.parametrize("method", ["LZMA2", "Copy"])
def test_a_flipped_bit_in_a_7_zip_archive_makes_no_store(run, tmp_path, rng, method):
    whole = seven_zip(tmp_path / "whole.7z", {NAME: RECORDS}, f"-m0={method}", "-mx=1")
    for i, at in enumerate(rng.integers(32, whole.stat().st_size, 2)):
        source, store = flip(whole, int(at), to=tmp_path / str(i) / f"{NAME}.7z"), tmp_path / str(i) / "x.zarr"
        assert_unit_failed(run("convert", source, store), EXIT_SOURCE, f"{NAME}.7z", "to do:")
        assert_no_store(store)


@needs_7zip
def test_an_archive_encrypted_by_7_zip_is_reported_as_encrypted(run, tmp_path):
    source = seven_zip(tmp_path / f"{NAME}.7z", {NAME: RECORDS}, "-psecret", "-mhe=on")
    assert_unit_failed(run("convert", source, tmp_path / "x.zarr"), EXIT_SOURCE, f"{NAME}.7z", "encrypted")


FIELDS = {  # offset from the start of the second record or (negative) from the end of the file
    "length": (3, "the checksum of a record's length does not match"),
    "checksum of the length": (9, "the checksum of a record's length does not match"),
    "data": (20_000, "the checksum of the data does not match"),
    "checksum of the data": (-2, "the checksum of the data does not match"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_flipped_bit_in_a_record_is_reported_with_example_and_byte(run, tmp_path, field):
    at, what = FIELDS[field]
    source = put(tmp_path / NAME, RECORDS)
    flip(source, SECOND + at if at > 0 else at, bit=5)
    store = tmp_path / "out" / "x.zarr"
    done = run("convert", source, store)
    assert_unit_failed(done, EXIT_SOURCE, NAME, f"example 1, byte {SECOND:,}: {what}", "expected:", "found:", "to do:")
    assert_no_store(store)


def broken(**changes: object) -> list[Group]:
    """A valid example, then one with fields replaced."""
    return [GROUPS[0], replace(GROUPS[1], **changes)]


ONE = random_group(np.random.default_rng(5), 3, 3)
EXAMPLES = {
    "an image cut by a pixel": (broken(image=np.asarray(GROUPS[1].image).ravel()[:-1]), "images_other_form"),
    "an image too many": (broken(image=ONE.image), "dates_other_form"),
    "no image": (broken(image=None), "images_missing"),
    "a label too many": (broken(labels=ONE.labels), "labels_other_form"),
    "a label too few": (broken(labels=np.zeros(1, np.int8)), "labels_other_form"),
    "a date too many": (broken(dates=ONE.dates), "dates_other_form"),
    "half a date": (broken(dates=np.zeros(15, np.int8).view(np.int8)), "dates_other_form"),
    "a weight too few": (broken(weights=np.ones(1, np.float32)), "weights_other_form"),
    "labels of 6 x 6 after labels of one": (broken(labels=np.zeros(72, np.int8)), "labels_other_form"),
    "dates that are none": (broken(dates=np.full(2, 10**18)), "dates_unknown"),
    "nothing of the dataset": ([GROUPS[0], Group(None, None, None, None)], "records_empty"),
}


@pytest.mark.parametrize("case", EXAMPLES)
def test_an_odd_example_is_stored_with_a_note_and_refused_by_strict(run, tmp_path, case):
    parts, kind = EXAMPLES[case]
    source, store = write_tfrecord(tmp_path, parts), tmp_path / "out" / "x.zarr"
    done = run("convert", source, store, "--strict")
    assert_unit_failed(
        done, EXIT_SOURCE, NAME, "the source differs from the description of its record", "leave out --strict"
    )
    assert_no_store(store)
    done = run("convert", source, store, "--json")
    assert done.returncode == 0, done.stderr
    notes = {note["kind"]: note for note in json.loads(done.stdout)["notes"]}
    assert "example 1" in notes[kind]["first"] or kind == "dates_unknown", notes


@pytest.mark.parametrize(("n", "suffix"), [(0, "zarr"), (1, "h5"), (3, "zarr"), (3, "h5")])
def test_a_wrong_number_in_the_name_gives_a_note(run, tmp_path, n, suffix):
    source, store = write_tfrecord(tmp_path, GROUPS, n=n), tmp_path / "out" / f"x.{suffix}"
    done = run("convert", source, store, "--json")
    assert done.returncode == 0, done.stderr
    note, *others = reversed(json.loads(done.stdout)["notes"])
    assert [one["kind"] for one in others] == ([] if note["kind"] != "number_counts_nothing" else ["end_unproven"])
    assert note["kind"].startswith("number_counts_")
    assert f"{source.name}: 2 examples" in note["first"]


def test_a_short_bare_tfrecord_is_refused_without_accept_count(run, tmp_path):
    source, store = put(tmp_path / "train_50SMG_99", RECORDS[:SECOND]), tmp_path / "x.zarr"
    done = run("convert", source, store)
    assert_unit_failed(done, EXIT_SOURCE, source.name, "it may be cut", "expected: 99", "1 example,", "--accept-count")
    assert_no_store(store)
    assert run("convert", source, store, "--accept-count").returncode == 0


def test_an_archive_is_whole_despite_a_wrong_number_in_its_name(run, tmp_path):
    source = write_archive(tmp_path / "train_50SMG_99.7z", {"train_50SMG_99": RECORDS[:SECOND]})
    assert run("convert", source, tmp_path / "x.zarr").returncode == 0


@pytest.mark.parametrize("name", ["train", "50SMG", "data.tfrecord", "train_50SMG_2_cloudy", "index_50SMG_2"])
def test_a_tfrecord_without_a_unit_name_is_reported_with_the_right_form(run, tmp_path, name):
    source, store = put(tmp_path / name, RECORDS), tmp_path / "out" / "x.zarr"
    done = run("convert", source, store)
    parts = ("not understood", "<split>_<tile>_<number of examples>", "a TFRecord named", "--as SPLIT/TILE")
    assert_unit_failed(done, EXIT_SOURCE, name, *parts)
    assert not store.parent.exists()


def test_a_file_of_another_kind_is_reported_with_its_kind(run, tmp_path):
    source = put(tmp_path / "notes.txt", b"some notes on clouds")
    done = run("convert", source, tmp_path / "x.zarr")
    assert_unit_failed(done, EXIT_SOURCE, "notes.txt", "neither a 7z archive nor a TFRecord", "to do:")
    assert not (tmp_path / "x.zarr").exists()


@pytest.mark.parametrize("position", sorted(np.random.default_rng(42).integers(13, len(RECORDS), 3).tolist()))
def test_a_cut_tfrecord_is_reported_with_example_and_byte(run, tmp_path, position):
    source, store = put(tmp_path / NAME, RECORDS[:position]), tmp_path / "out" / "x.zarr"
    number = int(position > SECOND)
    place = f"example {number}, byte {number * SECOND:,}: the file ends inside"
    assert_unit_failed(run("convert", source, store), EXIT_SOURCE, NAME, place, "expected:", "found:", "to do:")
    assert_no_store(store)


def _cuts() -> list[int]:
    """Every boundary of a field, one byte before and after it, and random positions."""
    fields = [start + at for start in (0, SECOND) for at in (0, 8, 12)] + [SECOND - 4, len(RECORDS) - 4, len(RECORDS)]
    near = {at + by for at in fields for by in (-1, 0, 1)} & set(range(len(RECORDS)))
    cuts = near | set(np.random.default_rng(3).integers(0, len(RECORDS), 40).tolist())
    return sorted(cuts - {SECOND})  # only the number in the name shows a cut between two records


def test_a_tfrecord_cut_anywhere_makes_no_store(tmp_path, suffix):
    store = tmp_path / "out" / f"x.{suffix}"
    for end in _cuts():
        source = put(tmp_path / NAME, RECORDS[:end])
        with pytest.raises(UnitsFailed) as caught:
            s2ct_convert.convert(source, store)
        assert caught.value.exit_code == EXIT_SOURCE, end
        (failure,) = caught.value.summary.failures
        assert failure.message.startswith(f"{NAME}: "), end
        assert caught.value.summary.digest is None
        assert_no_store(store)
    source = put(tmp_path / NAME, RECORDS)
    assert s2ct_convert.convert(source, store).digest, "the whole file converts after the failures"


def test_a_flipped_bit_anywhere_makes_no_store(tmp_path, suffix, rng):
    whole, store = put(tmp_path / "whole", RECORDS), tmp_path / "out" / f"x.{suffix}"
    fields = [start + at for start in (0, SECOND) for at in range(12)] + list(range(SECOND - 4, SECOND))
    for at in [*fields, *rng.integers(0, len(RECORDS), 10).tolist()]:
        source = flip(whole, at, to=tmp_path / NAME, bit=at % 8)
        with pytest.raises(UnitsFailed) as caught:
            s2ct_convert.convert(source, store)
        assert caught.value.exit_code == EXIT_SOURCE, at
        assert_no_store(store)


def test_bytes_after_the_last_record_make_no_store(run, tmp_path):
    source, store = put(tmp_path / NAME, RECORDS + bytes(5)), tmp_path / "out" / "x.zarr"
    place = f"example 2, byte {len(RECORDS):,}"
    assert_unit_failed(run("convert", source, store), EXIT_SOURCE, NAME, place, "the file ends inside the header")
    assert_no_store(store)


def test_a_damaged_source_does_not_touch_a_complete_store_of_another_unit(run, tmp_path, suffix):
    good, store = right_source(tmp_path, "val_50SMG"), tmp_path / f"x.{suffix}"
    assert run("convert", good, store).returncode == 0
    before = state(store)
    bad = put(tmp_path / "train_31TCJ_2.7z", b"no archive")
    assert_unit_failed(run("convert", bad, store), EXIT_SOURCE, bad.name, "not a 7z archive")
    assert state(store) == before
