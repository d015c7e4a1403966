"""``s2ct info`` of stores in every state, of every kind of source, and of other files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import plain
import pytest
import zarr
from archives.sevenzip import handmade, needs_7zip, put, seven_zip
from makers import FIRST_DAY, flip, tfrecord_bytes, write_archive
from twins import first_quick

import s2ct_convert
from s2ct_convert.errors import EXIT_DIFFERENCE, EXIT_SOURCE, EXIT_USAGE

from .helpers import RECORDS, assert_says, groups, iso, right_source, tree

STORE_KEYS = {"format", "units", "samples", "observations", "digest"}
UNIT_KEYS = {"split", "tile", "samples", "observations", "time_first", "time_last", "label_count", "digest"}
SMG = s2ct_convert.locate_tile("50SMG")
assert SMG
FIRST = FIRST_DAY - 719_163  # days since 1970-01-01


def document(run, path: Path) -> dict:
    done = run("info", path, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Complete stores of two units. Tests must not change them."""
    folder = tmp_path_factory.mktemp("stores")
    sources = [right_source(folder / "in"), right_source(folder / "in", "val_50SMG", (5,))]
    kinds = {"zarr": ("x.zarr", {}), "hdf5": ("x.h5", {}), "linked": ("linked.h5", {"linked": True})}
    for name, options in kinds.values():
        s2ct_convert.convert(sources, folder / name, **options)
    return {kind: folder / name for kind, (name, _) in kinds.items()}


class TestCompleteStore:
    @pytest.mark.parametrize("kind", ["zarr", "hdf5", "linked"])
    def test_json_agrees_with_the_arrays_as_plain_readers_see_them(self, run, stores, kind):
        path = stores[kind]
        before = tree(path.parent)
        found = document(run, path)
        assert set(found) >= STORE_KEYS
        assert found["format"] == ("zarr" if kind == "zarr" else "hdf5")
        assert found["state"] == "complete"
        assert (found["samples"], found["observations"]) == (3, 6)
        assert found["digest"] == plain.store_digest(path)
        for unit, (split, n, source) in zip(
            found["units"], [("train", 2, "train_50SMG_2"), ("val", 1, "val_50SMG_1")], strict=True
        ):
            arrays = plain.arrays(path, f"{split}/50SMG")
            assert set(unit) >= UNIT_KEYS
            assert (unit["split"], unit["tile"], unit["source_file"]) == (split, "50SMG", source)
            assert (unit["samples"], unit["observations"]) == (n, 2 * n)
            assert (unit["time_first"], unit["time_last"]) == (iso(FIRST), iso(FIRST + 5))
            assert unit["label_count"] == [int((arrays["label"] == k).sum()) for k in range(6)]
            assert unit["digest"] == plain.unit_digest(arrays)
            assert unit["tile_bounds"] == list(SMG.bounds)
            assert (unit["tile_lon"], unit["tile_lat"]) == SMG.centre
        assert tree(path.parent) == before, "info changes nothing"

    @pytest.mark.parametrize("kind", ["zarr", "hdf5", "linked"])
    def test_size_is_the_sum_of_all_files(self, run, stores, kind):
        files = [stores[kind], stores[kind].with_name(f"{stores[kind].name}.units")]
        files = [file for top in files for file in (top, *top.rglob("*")) if file.is_file()]
        assert document(run, stores[kind])["bytes"] == sum(file.stat().st_size for file in files)

    def test_the_text_is_a_table_of_units_below_the_facts(self, run, stores):
        lines = run("info", stores["zarr"]).stdout.splitlines()
        assert f"store   {stores['zarr']}" in lines
        assert "state   complete" in lines
        assert "holds   3 samples, 6 observations" in lines
        header = next(line for line in lines if line.startswith("unit") and "samples" in line).split()
        row = next(line for line in lines if line.startswith("train/50SMG")).split()
        assert header[:5] == ["unit", "samples", "observations", "first", "last"]
        assert row[:5] == ["train/50SMG", "2", "4", "2018-01-02", "2018-01-07"]
        assert len(row) == len(header) == 5 + 6
        assert [line.split("  ")[-3] for line in lines if line.endswith("train_50SMG_2  -")] == ["37.45 N, 116.49 E"]

    def test_a_store_without_its_ledger_gives_the_same_document(self, run, stores, tmp_path):
        shutil.copytree(stores["zarr"], tmp_path / "copy.zarr")
        there, here = document(run, stores["zarr"]), document(run, tmp_path / "copy.zarr")
        assert {**there, "path": ""} == {**here, "path": ""}


class TestUnfinishedStore:
    @pytest.mark.parametrize("kind", ["zarr", "h5", "linked"])
    def test_an_unfinished_store_is_shown_with_units_and_missing_units(self, run, tmp_path, kind):
        good, bad = right_source(tmp_path), flip(right_source(tmp_path, "val_50SMG"), 999)
        store = tmp_path / ("x.zarr" if kind == "zarr" else "x.h5")
        options = ["--linked"] if kind == "linked" else []
        assert run("batch", "init", good, bad, store, *options).returncode == 0
        assert run("batch", "run", store, "1-2").returncode == 3
        found = document(run, store)
        assert set(found) >= STORE_KEYS
        assert (found["state"], found["missing"], found["digest"]) == ("incomplete", ["val/50SMG"], None)
        assert (found["samples"], found["observations"]) == (2, 4)
        (unit,) = found["units"]
        assert set(unit) >= UNIT_KEYS
        assert unit["tile_bounds"] == list(SMG.bounds)
        text = run("info", store).stdout.splitlines()
        assert "state    incomplete" in text
        assert "missing  val/50SMG" in text

    def test_an_unfinished_store_without_units_is_shown(self, run, tmp_path, suffix):
        bad = right_source(tmp_path).rename(tmp_path / "train_50SMG_99")
        assert run("convert", bad, tmp_path / f"x.{suffix}").returncode == 5
        found = document(run, tmp_path / f"x.{suffix}")
        assert (found["state"], found["missing"], found["units"]) == ("incomplete", ["train/50SMG"], [])


class TestSource:
    def test_an_archive_is_described_by_its_header_alone(self, run, tmp_path):
        whole = handmade({"train_50SMG_2": RECORDS})
        damaged = bytearray(whole)
        damaged[500] ^= 1  # in data that info does not unpack
        found = document(run, put(tmp_path / "train_50SMG_2.7z", bytes(damaged)))
        assert found["format"] == "7z"
        assert found["methods"] == ["COPY"]
        assert found["bytes"] == len(whole)
        assert [(file["name"], file["bytes"]) for file in found["files"]] == [("train_50SMG_2", len(RECORDS))]
        assert found["units"] == [{"split": "train", "tile": "50SMG", "name_count": 2}]

    @needs_7zip
    def test_an_archive_with_a_packed_header_is_described_too(self, run, tmp_path):
        files = {"train_50SMG_2": RECORDS, **{f"train_notes_{i}": b"." * i for i in range(1, 9)}}
        path = seven_zip(tmp_path / "train_50SMG_2.7z", files, "-mx=1", "-mhc=on")
        assert b"t\0r\0a\0i\0n\0" not in path.read_bytes(), "the names are packed"
        text = run("info", path).stdout
        assert "method   LZMA2" in text
        assert "unit     train/50SMG, the number in its name is 2" in text

    @pytest.mark.parametrize("hidden", [False, True], ids=["names open", "names hidden"])
    def test_an_encrypted_archive_is_reported_as_encrypted(self, run, tmp_path, hidden):
        path = write_archive(tmp_path / "a.7z", {"train_50SMG_2": b"x"}, password="p", header_encryption=hidden)
        assert_says(run("info", path), EXIT_SOURCE, "a.7z: the archive is encrypted", "to do:")

    def test_an_archive_of_other_files_is_described_too(self, run, tmp_path):
        path = write_archive(tmp_path / "backup.7z", {"a.txt": b"a", "b/c.txt": b"bc"})
        found = document(run, path)
        assert [file["name"] for file in found["files"]] == ["a.txt", "b/c.txt"]
        assert found["units"] == []
        assert "b/c.txt" in run("info", path).stdout

    @pytest.mark.parametrize("wrap", ["plain", "gzip"])
    def test_a_tfrecord_is_counted(self, run, tmp_path, wrap):
        import gzip

        data = tfrecord_bytes([*groups(7), *groups(7, seed=2), *groups(3)])
        path = put(tmp_path / f"train_50SMG_3{'.gz' if wrap == 'gzip' else ''}", data)
        if wrap == "gzip":
            path.write_bytes(gzip.compress(data))
        found = document(run, path)
        assert (found["format"], found["samples"], found["observations"]) == ("tfrecord", 2, 6)
        (unit,) = found["units"]
        assert set(unit) >= UNIT_KEYS
        assert (unit["examples"], unit["samples"], unit["observations"]) == (3, 2, 6)
        assert (unit["time_first"], unit["time_last"], sum(unit["label_count"])) == (iso(FIRST), iso(FIRST + 5), 6)
        text = run("info", path).stdout
        assert "examples  3 (the number in its name, 3, counts examples)" in text

    def test_a_tfrecord_of_another_number_of_examples_shows_both(self, run, tmp_path):
        path = right_source(tmp_path).rename(tmp_path / "train_50SMG_9")
        assert "examples  2 (the number in its name, 9, counts nothing)" in run("info", path).stdout

    def test_a_damaged_tfrecord_is_an_error_with_its_place(self, run, tmp_path):
        path = put(tmp_path / "train_50SMG_2", RECORDS[:-1])
        done = run("info", path, "--json")
        assert_says(done, EXIT_SOURCE, "train_50SMG_2: example 1, byte 28,372: the file ends inside", "to do:")
        assert json.loads(done.stdout)["error"]["where"] == "train_50SMG_2: example 1, byte 28,372"

    def test_a_folder_is_described_with_its_problems(self, run, tmp_path):
        right_source(tmp_path / "in")
        write_archive(tmp_path / "in" / "more" / "val_50SMG_2.7z", {"val_50SMG_2": RECORDS})
        put(tmp_path / "in" / "val_31TCJ_1.7z", b"no archive")
        found = document(run, tmp_path / "in")
        assert found["format"] == "sources"
        assert [(unit["split"], unit["name_count"], unit["source_file"]) for unit in found["units"]] == [
            ("train", 2, "train_50SMG_2"), ("val", 2, "more/val_50SMG_2.7z"),
        ]  # fmt: skip
        (problem,) = found["problems"]
        assert problem.startswith("val_31TCJ_1.7z: this is not a 7z archive")
        assert "val_31TCJ_1.7z: this is not a 7z archive" in run("info", tmp_path / "in").stdout


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["sst"] = [1.0]


FOREIGN = {
    "nothing": (lambda path: None, EXIT_USAGE, "no such file or folder"),
    "an empty folder": (
        lambda path: path.mkdir(),
        EXIT_USAGE,
        "not a store, and not a folder with archives or TFRecords",
    ),
    "another Zarr": (lambda path: zarr.create_group(path), EXIT_USAGE, "not an s2ct store"),
    "a Zarr array": (lambda path: zarr.create_array(path, shape=2, dtype="i1"), EXIT_USAGE, ""),
    "a Zarr v2": (lambda path: zarr.create_group(path, zarr_format=2), EXIT_USAGE, ""),
    "a zarr.json of nonsense": (lambda path: put(path / "zarr.json", b"{"), EXIT_DIFFERENCE, "not valid JSON"),
    "another HDF5": (_hdf5, EXIT_USAGE, "not an s2ct store"),
    "a cut HDF5": (lambda path: put(path, b"\x89HDF\r\n\x1a\n" + bytes(20)), EXIT_DIFFERENCE, "HDF5 reports damage"),
    "a text": (lambda path: put(path, b"localid,tile\n1,50SMG\n"), EXIT_SOURCE, "neither a 7z archive nor a TFRecord"),
    "an empty file": (lambda path: put(path, b""), EXIT_SOURCE, "an empty file"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_files_are_reported_with_what_they_are(run, tmp_path, kind):
    make, code, word = FOREIGN[kind]
    path = tmp_path / "thing"
    make(path)
    done = run("info", path)
    assert_says(done, code, f"{path}", word)
    assert done.stdout == ""


CODECS = first_quick([("zarr", "fast"), ("h5", "gzip"), ("zarr", "small"), ("h5", "blosc")], quick=2)


@pytest.mark.parametrize(("suffix", "codec"), CODECS)
def test_the_codec_has_the_same_name_before_and_after_the_end(run, tmp_path, suffix, codec):
    source, documents = right_source(tmp_path), []
    for command in (("batch", "init"), ("convert",)):
        assert run(*command, source, tmp_path / f"x.{suffix}", "--codec", codec).returncode == 0
        documents.append(json.loads(run("info", tmp_path / f"x.{suffix}", "--json").stdout))
    assert [one["state"] for one in documents] == ["incomplete", "complete"]
    assert documents[0]["codec"] == documents[1]["codec"]
