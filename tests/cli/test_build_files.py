"""``s2ct build`` examines every file of the record, whatever its name, and keeps few archives of failed units."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import plain
import pytest
from makers import tfrecord_bytes, write_archive
from servers.zenodo import RECORD

import s2ct_convert
from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_USAGE

from .helpers import RECORDS, assert_says, groups, state
from .test_build import KEYS, here

OPTIONS = ("--record", RECORD)


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "x.zarr"


def packed(folder: Path, **members: bytes) -> bytes:
    """The bytes of an archive with these members."""
    return write_archive(folder / "packed.7z", members).read_bytes()


def other_records(*localids: int) -> bytes:
    """A TFRecord with other content."""
    return tfrecord_bytes(groups(*localids))


def built(run, store: Path, *options: object, code: int = 0):
    done = run("build", store, *OPTIONS, *options)
    assert done.returncode == code, done.stderr
    return done


def test_a_file_without_a_unit_is_listed_and_makes_the_store_partial(run, zenodo, store):
    done = built(run, store, "--json", code=EXIT_INCOMPLETE)
    assert_says(done, EXIT_INCOMPLETE, "note: about.txt: holds no unit", "--file '*.7z'")
    document = json.loads(done.stdout)
    assert (document["state"], document["not_units"], document["failed"]) == ("partial", ["about.txt"], [])
    root = plain.attributes(store)
    assert (root["state"], root["refused_sources"]) == ("partial", "about.txt")
    assert len(plain.unit_names(store)) == 3
    zenodo.requests.clear()
    again = built(run, store, code=EXIT_INCOMPLETE)
    assert "no unit in    about.txt" in again.stdout
    assert zenodo.requests == [], "examined files are not downloaded again"
    assert built(run, store, "--file", "*.7z") and plain.attributes(store)["state"] == "complete"
    assert here(store) == set()


def test_a_selection_without_any_unit_is_wrong_usage(run, zenodo, store):
    done = built(run, store, "--file", "about.txt", code=EXIT_USAGE)
    assert_says(done, EXIT_USAGE, "none of these files is the archive of a unit", "about.txt")
    assert not store.exists()


def test_the_member_name_gives_the_unit_despite_the_file_name(run, zenodo, store, tmp_path):
    zenodo.files.clear()
    zenodo.files["data.7z"] = packed(tmp_path, train_50SMG_2=RECORDS)
    zenodo.files["part two"] = packed(tmp_path, val_50SMG_2=other_records(9, 4))
    built(run, store)
    assert sorted(state(store)) == ["train/50SMG", "val/50SMG"]
    zenodo.requests.clear()
    assert "0 converted, 2 done before" in built(run, store).stdout
    assert zenodo.requests == []


def test_two_units_in_one_archive_are_converted_and_recognised(run, zenodo, store, tmp_path):
    zenodo.files.clear()
    zenodo.files["both.7z"] = packed(tmp_path, train_50SMG_2=RECORDS, val_50SMG_2=other_records(9, 4))
    assert "units         2 converted" in built(run, store).stdout
    right = state(store)
    (tmp_path / "x.zarr.s2ct" / "units" / "val_50SMG.json").unlink()
    assert "1 converted, 1 done before" in built(run, store).stdout
    assert (state(store), here(store)) == (right, set())
    zenodo.requests.clear()
    built(run, store)
    assert zenodo.requests == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_second_archive_of_a_unit_needs_overwrite_unit(run, zenodo, store, tmp_path, jobs):
    zenodo.files["train_50SMG_3.7z"] = packed(tmp_path, train_50SMG_3=other_records(9, 4, 5))
    options = ("--file", "train_50SMG*", "-j", jobs)
    done = built(run, store, *options, code=EXIT_INCOMPLETE)
    assert_says(done, EXIT_INCOMPLETE, "train/50SMG: REFUSED", "was made from", "--overwrite-unit train/50SMG")
    kept = plain.attributes(store, "train/50SMG")["source_file"]
    refused = ({"train_50SMG_2.7z", "train_50SMG_3.7z"} - {kept}).pop()
    assert plain.attributes(store)["refused_sources"] == refused
    zenodo.requests.clear()
    built(run, store, *options, code=EXIT_INCOMPLETE)
    assert zenodo.requests == []
    built(run, store, "--file", refused, "--overwrite-unit", "train/50SMG")
    assert plain.attributes(store, "train/50SMG")["source_file"] == refused
    assert plain.attributes(store)["state"] == "complete"


def test_overwrite_unit_replaces_a_unit_once_in_a_run(run, zenodo, store, tmp_path):
    zenodo.files.clear()
    zenodo.files["train_50SMG_2.7z"] = packed(tmp_path, train_50SMG_2=RECORDS)
    zenodo.files["train_50SMG_3.7z"] = packed(tmp_path, train_50SMG_3=other_records(9, 4, 8))
    done = built(run, store, "-j", "1", "--overwrite-unit", "train/50SMG", code=EXIT_INCOMPLETE)
    assert done.stderr.count("train/50SMG: done") == 1
    assert "train/50SMG: REFUSED" in done.stderr
    assert plain.attributes(store)["state"] == "partial"


@pytest.mark.slow
def test_overwrite_keeps_the_old_store_until_the_new_one_is_built(run, zenodo, store, archives, tmp_path):
    old = write_archive(tmp_path / "train_50SMG_3.7z", {"train_50SMG_3": other_records(9, 4, 5)})
    s2ct_convert.convert(old, store)
    before, key = plain.file_bytes(store), "val_50SMG_2.7z"
    zenodo.files[key] = bytes(99)
    done = built(run, store, "--overwrite", "--file", "*.7z", code=EXIT_INCOMPLETE)
    assert f"{store} is unchanged, and the new store goes on" in done.stderr
    assert plain.file_bytes(store) == before
    zenodo.files[key] = archives[key]
    shutil.rmtree(store.with_name(f"{store.name}.archives"))  # with the lock of the other list
    done = built(run, store, "--overwrite", "--file", "*.7z")
    assert "1 converted, 2 done before" in done.stdout
    assert plain.attributes(store)["state"] == "complete"
    assert plain.attributes(store, "train/50SMG")["source_file"] == "train_50SMG_2.7z"
    assert not store.with_name(f"{store.name}.new").exists()


def test_a_copy_counts_as_one_source_with_a_note(run, zenodo, store, archives, tmp_path):
    zenodo.files["train_50SMG_2 (1).7z"] = archives[KEYS[0]]
    zenodo.files["again.7z"] = write_archive(
        tmp_path / "again.7z", {"train_50SMG_2": RECORDS}, filters=[{"id": 33, "preset": 1}]
    ).read_bytes()
    done = built(run, store, "--file", "*.7z")
    assert done.stderr.count("the same content as") == 2
    assert plain.attributes(store)["state"] == "complete"


@pytest.mark.parametrize(("keep", "kept"), [(3, 2), (1, 1), (0, 0)])
def test_every_unit_is_tried_and_few_failed_archives_are_kept(run, zenodo, store, keep, kept):
    zenodo.files[KEYS[0]] = zenodo.files[KEYS[2]] = b"no archive" * 100
    options = ("--file", "*.7z", "--archives", 1, "--keep-failed", keep)
    done = built(run, store, *options, code=EXIT_INCOMPLETE)
    assert_says(done, EXIT_INCOMPLETE, "train/50SMG: FAILED", "val/50SMG: FAILED", "not a 7z archive")
    assert plain.attributes(store)["missing_units"] == "train/50SMG val/50SMG"
    assert plain.unit_names(store) == ["train/51SMG"]
    assert len(here(store)) == kept
    assert done.stderr.count("(--keep-failed)") == 2 - kept
