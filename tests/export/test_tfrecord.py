"""Exporting a store to TFRecords from Python: contents, names, existing files, interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import records
from makers import Group, example_bytes, random_group, record_bytes, write_archive, write_tfrecord
from twins import zarr_first
from variations import bytes_list, changed, group

import s2ct_convert
from s2ct_convert import open_store
from s2ct_convert.errors import DestinationExists, WrongUsage
from s2ct_convert.export import tfrecord as module
from s2ct_convert.export.tfrecord import Exported, export_tfrecord


def back(store: Path, folder: Path, **options: object) -> list[Exported]:
    with open_store(store) as opened:
        return export_tfrecord(opened, folder, **options)


def write(folder: Path, payloads: list[bytes], unit: str = "train_50SMG") -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{unit}_{len(payloads)}"
    path.write_bytes(b"".join(map(record_bytes, payloads)))
    return path


@pytest.fixture
def store(made, suffix) -> Path:
    return made[suffix]


def test_each_unit_is_a_file_with_its_published_name(store, made_sources, tmp_path):
    reported: list[str] = []
    done = back(store, tmp_path / "new" / "back", on_file=lambda one: reported.append(one.unit))
    names = ["train_49RGN_2", "train_50SMG_4", "val_50SMG_2"]
    assert [one.path for one in done] == [tmp_path / "new" / "back" / name for name in names]
    assert [(one.unit, one.examples, one.was_there) for one in done] == [
        ("train/49RGN", 2, False), ("train/50SMG", 4, False), ("val/50SMG", 2, False),
    ]  # fmt: skip
    assert reported == [one.unit for one in done]
    assert [one.bytes for one in done] == [one.path.stat().st_size for one in done]
    assert sorted(path.name for path in (tmp_path / "new" / "back").iterdir()) == names


def test_every_feature_equals_the_source_in_the_same_order(store, made_sources, tmp_path):
    """train/50SMG needed a second pass: its samples are out of order and in pieces."""
    found = {one.path.name: one.path for one in back(store, tmp_path)}
    for source in made_sources:
        assert records.all_features(found[source.name]) == records.all_features(source)


def test_an_export_converts_to_the_same_store(made, suffix, tmp_path):
    sources = [one.path for one in back(made[suffix], tmp_path / "back")]
    s2ct_convert.convert(sources, tmp_path / f"again.{suffix}")
    with open_store(made[suffix]) as one, open_store(tmp_path / f"again.{suffix}") as other:
        assert one.digest == other.digest


def test_all_containers_export_the_same_bytes(made, tmp_path):
    folders = {kind: tmp_path / kind for kind in ("zarr", "h5", "blosc", "linked")}
    sizes = {kind: [one.bytes for one in back(made[kind], folder)] for kind, folder in folders.items()}
    assert len({tuple(size) for size in sizes.values()}) == 1
    for name in ("train_49RGN_2", "train_50SMG_4", "val_50SMG_2"):
        assert len({(folder / name).read_bytes() for folder in folders.values()}) == 1


def test_written_pixels_are_reported(store, tmp_path):
    written: list[int] = []
    back(store, tmp_path, on_bytes=written.append)
    assert sum(written) == (151 + 40 + 50) * 14_112


class TestSamplesWithoutLocalid:
    def test_samples_without_localid_round_trip(self, tmp_path, rng, suffix):
        groups = [
            random_group(rng, localid, n) for localid, n in ((5, 3), (None, 2), (-1, 4), (None, 1), (5, 2), (None, 0))
        ]
        source = write_tfrecord(tmp_path / "s", groups)
        s2ct_convert.convert([source], tmp_path / f"x.{suffix}")
        with open_store(tmp_path / f"x.{suffix}") as opened:
            assert opened["train/50SMG"].localid.tolist() == [-1, -1, -1, -1, 5]
        (one,) = back(tmp_path / f"x.{suffix}", tmp_path / "back")
        assert records.all_features(one.path) == records.all_features(source)

    def test_the_localid_of_an_example_without_images_round_trips(self, tmp_path, rng, suffix):
        empty = [Group(localid, *(np.empty(0, t) for t in ("<u2", "i1", "<i8", "<f4"))) for localid in (9, -3, 9)]
        source = write_tfrecord(tmp_path / "s", [empty[0], random_group(rng, 5, 2), *empty[1:]])
        s2ct_convert.convert([source], tmp_path / f"x.{suffix}")
        (one,) = back(tmp_path / f"x.{suffix}", tmp_path / "back")
        assert records.all_features(one.path) == records.all_features(source)

    def test_an_archive_with_an_empty_record_round_trips(self, tmp_path, suffix):
        payloads = [example_bytes(group(0)), b"", example_bytes(group(1)), b""]
        data = b"".join(map(record_bytes, payloads))
        archive = write_archive(tmp_path / "train_50SMG_4.7z", {"train_50SMG_4": data})
        for unpacker in ("python", "auto"):
            path = tmp_path / unpacker / f"x.{suffix}"
            path.parent.mkdir()
            s2ct_convert.convert([archive], path, unpacker=unpacker)
            (one,) = back(path, path.parent)
            assert records.all_features(one.path) == [records.features(payload) for payload in payloads]


@pytest.mark.parametrize("block", [1, 3, 100, 10_000])
@zarr_first
def test_images_are_read_in_blocks_of_any_size(store, made_sources, tmp_path, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK_OBS", block)
    back(store, tmp_path)
    for source in made_sources:
        assert records.all_features(tmp_path / source.name) == records.all_features(source)


@zarr_first
class TestChoice:
    @pytest.mark.parametrize(
        ("options", "names"),
        [
            ({"tiles": ["50SMG"]}, ["train_50SMG_4", "val_50SMG_2"]),
            ({"tiles": ["50smg"], "splits": ["VAL"]}, ["val_50SMG_2"]),
            ({"splits": ["train"]}, ["train_49RGN_2", "train_50SMG_4"]),
            (
                {"tiles": ["49RGN", "50SMG"], "splits": ["train", "val"]},
                ["train_49RGN_2", "train_50SMG_4", "val_50SMG_2"],
            ),
        ],
    )
    def test_units_are_chosen_by_tile_and_split(self, store, tmp_path, options, names):
        assert [one.path.name for one in back(store, tmp_path, **options)] == names

    @pytest.mark.parametrize(
        "options", [{"tiles": ["51SMG"]}, {"tiles": ["50SMG", "51SMG"]}, {"tiles": ["49RGN"], "splits": ["val"]}]
    )
    def test_a_missing_unit_is_wrong_usage_and_nothing_is_written(self, store, tmp_path, options):
        with pytest.raises(WrongUsage, match="the store has no such unit") as error:
            back(store, tmp_path / "new", **options)
        assert "train/49RGN, train/50SMG, val/50SMG" in error.value.found
        assert not (tmp_path / "new").exists()


@zarr_first
class TestWhatIsThere:
    def test_a_second_run_keeps_identical_files(self, store, tmp_path):
        first = back(store, tmp_path)
        times = [one.path.stat().st_mtime_ns for one in first]
        again = back(store, tmp_path)
        assert [one.was_there for one in again] == [True] * 3
        assert [one.path.stat().st_mtime_ns for one in again] == times

    @pytest.mark.parametrize("what", [b"", b"something else", "longer"])
    def test_a_different_file_is_kept_and_raises(self, store, tmp_path, what):
        first = back(store, tmp_path)
        content = first[1].path.read_bytes() + b"!" if what == "longer" else what
        first[1].path.write_bytes(content)
        first[2].path.unlink()
        with pytest.raises(DestinationExists, match="not unit train/50SMG of this store") as error:
            back(store, tmp_path)
        assert error.value.where == str(first[1].path)
        assert first[1].path.read_bytes() == content
        assert sorted(path.name for path in tmp_path.iterdir()) == ["train_49RGN_2", "train_50SMG_4"]

    def test_overwrite_replaces_a_different_file(self, store, tmp_path):
        first = back(store, tmp_path)
        content = first[1].path.read_bytes()
        first[1].path.write_bytes(b"something else")
        again = back(store, tmp_path, overwrite=True)
        assert [one.was_there for one in again] == [True, False, True]
        assert first[1].path.read_bytes() == content


STOPPED = """
import sys
import s2ct_convert
def wait(n):
    print("writing", flush=True)
    sys.stdin.read()  # until the test closes stdin
with s2ct_convert.open_store(sys.argv[1]) as store:
    s2ct_convert.export_tfrecord(store, sys.argv[2], on_bytes=wait)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_leaves_no_partial_file_under_a_final_name(made, tmp_path, number):
    command = [sys.executable, "-c", STOPPED, made["zarr"], tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        process.wait(30)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    done = back(made["zarr"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [one.path.name for one in done], "no temporary file"


def test_an_error_during_export_leaves_no_file_of_the_unit(store, tmp_path):
    def fail(n: int) -> None:
        if any(path.name == "train_49RGN_2" for path in tmp_path.iterdir()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back(store, tmp_path, on_bytes=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["train_49RGN_2"]


def test_features_with_odd_names_round_trip(tmp_path, suffix):
    names = ("a/b", "", "A", "a", "x" * 300, "\u96ea", "labels", "dates")
    payloads = [changed(i, **{name: bytes_list(f"{name} {i}".encode()) for name in names}) for i in range(2)]
    source = write(tmp_path / "s", payloads)
    s2ct_convert.convert([source], tmp_path / f"x.{suffix}")
    (one,) = back(tmp_path / f"x.{suffix}", tmp_path / "back")
    assert records.all_features(one.path) == records.all_features(source)


def test_tensorflow_reads_exports_like_their_sources(store, made_sources, tmp_path):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    spec = {
        name: tf.io.FixedLenFeature([], tf.string, "") for name in ("image_raw_ldseries", "labels", "dates", "weights")
    }
    spec["localid"] = tf.io.FixedLenFeature([], tf.int64, -1)
    for one, source in zip(back(store, tmp_path), sorted(made_sources, key=lambda path: path.name), strict=True):
        ours, theirs = (
            [tf.io.parse_single_example(record, spec) for record in tf.data.TFRecordDataset(str(path))]
            for path in (one.path, source)
        )
        assert len(ours) == len(theirs) == one.examples
        for a, b in zip(ours, theirs, strict=True):
            assert {name: value.numpy() for name, value in a.items()} == {
                name: value.numpy() for name, value in b.items()
            }


def test_the_folder_may_be_a_string(store, tmp_path):
    assert back(store, os.fspath(tmp_path / "x"), tiles=["49RGN"])[0].path == tmp_path / "x" / "train_49RGN_2"
