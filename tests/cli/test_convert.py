from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord
from proc import read_terminal
from twins import zarr_first

import s2ct_convert


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    rng = np.random.default_rng(11)
    folder = tmp_path_factory.mktemp("in")
    return [
        write_tfrecord(folder, [random_group(rng, i, 40) for i in range(3)]),
        write_tfrecord(folder, [random_group(rng, 5, 20)], unit="val_50SMG"),
        write_tfrecord(folder, [random_group(rng, 6, 10)], unit="train_49RGN"),
    ]


class TestResult:
    def test_the_summary_has_counts_bytes_ratio_time_and_rate(self, run, tmp_path, sources):
        done = run("convert", *sources, tmp_path / "x.zarr")
        assert done.returncode == 0, done.stderr
        facts = dict(line.split(None, 1) for line in done.stdout.splitlines())
        assert facts["store"] == f"{tmp_path / 'x.zarr'} (zarr, balanced)"
        assert facts["units"] == "3 converted"
        assert facts["samples"] == "5"
        assert facts["observations"] == "150"
        assert facts["read"].endswith("MB")
        assert facts["written"].endswith("of the pixels")
        assert facts["time"].endswith("/s of pixels")
        assert facts["digest"] == plain.store_digest(tmp_path / "x.zarr")

    def test_json_is_alone_on_stdout_and_has_the_same_numbers(self, run, tmp_path, sources):
        done = run("convert", *sources, tmp_path / "x.h5", "--json", "-j", 2)
        document = json.loads(done.stdout)
        assert document["format"] == "hdf5"
        assert document["codec"] == "gzip"
        assert document["complete"] is True
        assert (document["units"], document["samples"], document["observations"]) == (3, 5, 150)
        assert document["bytes_pixels"] == 150 * 14_112
        assert document["bytes_in"] == sum(source.stat().st_size for source in sources)
        assert document["ratio"] == pytest.approx(document["bytes_out"] / document["bytes_pixels"])
        assert document["digest"] == plain.store_digest(tmp_path / "x.h5")
        assert document["failed"] == document["missing"] == document["skipped"] == []
        assert {one["unit"] for one in document["converted"]} == {"train/49RGN", "train/50SMG", "val/50SMG"}

    def test_json_includes_failures(self, run, tmp_path, sources):
        bad = tmp_path / "train_50SMG_999"
        bad.write_bytes(sources[0].read_bytes())
        done = run("convert", bad, sources[1], tmp_path / "x.zarr", "--json")
        assert done.returncode == 3
        document = json.loads(done.stdout)
        (failed,) = document["failed"]
        assert (failed["unit"], failed["source"], failed["exit_code"]) == ("train/50SMG", str(bad), 5)
        assert "it may be cut" in failed["message"]
        assert (document["state"], document["complete"]) == ("partial", False)
        assert document["digest"] == plain.store_digest(tmp_path / "x.zarr")
        assert document["missing"] == ["train/50SMG"]

    @pytest.mark.parametrize(
        ("name", "options", "format"),
        [
            ("x.zarr", [], "zarr"),
            ("x.h5", [], "hdf5"),
            ("x.nc", [], "hdf5"),
            ("x.HDF5", [], "hdf5"),
            ("clouds", ["--format", "zarr"], "zarr"),
            ("clouds.dat", ["-f", "hdf5"], "hdf5"),
            ("x.zarr", ["--format", "hdf5"], "hdf5"),
        ],
    )
    def test_the_suffix_sets_the_format_unless_an_option_does(self, run, tmp_path, sources, name, options, format):
        done = run("convert", sources[1], tmp_path / name, *options, "--json")
        assert json.loads(done.stdout)["format"] == format
        assert (tmp_path / name).is_dir() == (format == "zarr")

    def test_paths_may_contain_spaces_and_non_ascii_letters(self, run, tmp_path, sources):
        folder = tmp_path / "données ☁ of mine"
        folder.mkdir()
        (folder / sources[1].name).write_bytes(sources[1].read_bytes())
        store = folder / "mes nuages.zarr"
        assert run("convert", folder / sources[1].name, store).returncode == 0
        with s2ct_convert.open_store(store) as opened:
            assert list(opened.units) == ["val/50SMG"]


class TestSelection:
    @pytest.mark.parametrize(
        ("options", "units"),
        [
            (["--tile", "49RGN"], ["train/49RGN"]),
            (["--tile", "T50SMG"], ["train/50SMG", "val/50SMG"]),
            (["--split", "val"], ["val/50SMG"]),
            (["--tile", "50SMG", "--split", "train"], ["train/50SMG"]),
            (["--tile", "50SMG", "--tile", "49RGN", "--split", "train"], ["train/49RGN", "train/50SMG"]),
        ],
    )
    def test_only_the_selected_units_are_converted(self, run, tmp_path, sources, options, units):
        assert run("convert", sources[0].parent, *sources[1:], tmp_path / "x.zarr", *options).returncode == 0
        with s2ct_convert.open_store(tmp_path / "x.zarr") as opened:
            assert list(opened.units) == units


class TestAgain:
    @zarr_first
    def test_a_second_run_changes_nothing(self, run, tmp_path, sources, suffix):
        store = tmp_path / f"x.{suffix}"
        first = run("convert", *sources, store)
        before = plain.file_bytes(store)
        second = run("convert", *sources, store)
        assert second.returncode == 0
        assert "3 done before" in second.stdout
        assert first.stdout.splitlines()[-1] == second.stdout.splitlines()[-1]  # the digest
        assert plain.file_bytes(store) == before

    @zarr_first
    def test_new_sources_are_added_to_a_store(self, run, tmp_path, sources, suffix):
        grown, at_once = tmp_path / "a" / f"x.{suffix}", tmp_path / "b" / f"x.{suffix}"
        assert run("convert", *sources[:2], grown).returncode == 0
        done = run("convert", *sources, grown)
        assert "1 converted, 2 done before" in done.stdout
        assert run("convert", *sources, at_once).returncode == 0
        assert plain.store_digest(grown) == plain.store_digest(at_once)

    def test_changed_sources_are_converted_again_touched_ones_are_not(self, run, tmp_path):
        archive = tmp_path / "in" / "val_31TCJ_1.7z"
        archive.parent.mkdir()
        rng = np.random.default_rng(1)
        for content in ("same", "same", "other"):
            if content == "other" or not archive.exists():
                from makers import tfrecord_bytes, write_archive

                archive.unlink(missing_ok=True)
                write_archive(archive, {"val_31TCJ_1": tfrecord_bytes([random_group(rng, 1, 3)])})
                expected = "1 converted"
            else:
                os.utime(archive, (1, 1))
                expected = "0 converted, 1 done before"
            done = run("convert", archive, tmp_path / "x.zarr")
            assert expected in done.stdout

    def test_overwrite_starts_again(self, run, tmp_path, sources):
        store = tmp_path / "x.zarr"
        assert run("convert", *sources[:2], store).returncode == 0
        done = run("convert", sources[2], store, "--overwrite", "--codec", "fast")
        assert done.returncode == 0, done.stderr
        with s2ct_convert.open_store(store) as opened:
            assert list(opened.units) == ["train/49RGN"]


class TestProgress:
    def test_without_a_terminal_each_event_is_one_line(self, run, tmp_path, sources):
        done = run("convert", *sources, tmp_path / "x.zarr", "-j", 1)
        lines = done.stderr.splitlines()
        assert lines[0].startswith("3 units to convert, ")
        assert sum(": started, " in line for line in lines) == sum(": done, " in line for line in lines) == 3
        assert lines[-1] == "writing the index"
        assert "\x1b" not in done.stderr

    def test_quiet_prints_only_the_result(self, run, tmp_path, sources):
        done = run("convert", *sources, tmp_path / "x.zarr", "-q")
        assert done.stderr == ""
        assert done.stdout

    def test_a_terminal_shows_a_bar_with_bytes_rate_and_time_left(self, tmp_path, sources):
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "s2ct_convert", "convert", *map(str, sources), str(tmp_path / "x.zarr")]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=slave, env=environment)
        os.close(slave)
        seen = read_terminal(master)
        assert process.wait() == 0
        text = seen.decode()
        assert "/s" in text
        assert "left" in text
        assert "kB" in text or "MB" in text
        assert "train/50SMG: done" in text
