"""``s2ct plan``: its figures match the conversion, and it writes only the plan file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pytest
from makers import flip, random_group, write_archive, write_tfrecord

from s2ct_convert.errors import EXIT_SOURCE, EXIT_USAGE
from s2ct_convert.store.layout import SHARD_OBS

from .helpers import assert_says, right_source, state, tree

PIXELS = 4 * 42 * 42 * 2  # bytes of an observation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive and two TFRecords. The largest is neither the first nor the last by name."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("in")
    small = write_tfrecord(folder / "packed", [random_group(rng, 1, 40)], unit="train_31TCJ")
    write_archive(folder / f"{small.name}.7z", {small.name: small.read_bytes()})
    shutil.rmtree(folder / "packed")
    write_tfrecord(folder, [random_group(rng, localid, 60) for localid in (2, 1)], unit="train_50SMG")
    write_tfrecord(folder, [random_group(rng, 1, 20)], unit="val_31TCJ")
    return folder


def planned(run: Any, *arguments: object) -> dict[str, Any]:
    done = run("plan", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def mtimes(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("options", [(), ("--json",), ("--json", "-o", "plan.json")])
def test_plan_writes_only_the_plan_file(run, tmp_path, folder, options):
    before = mtimes(folder)
    done = run("plan", folder, tmp_path / "x.zarr", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == list(options[2:])
    assert mtimes(folder) == before


def test_units_are_numbered_from_one_largest_first(run, tmp_path, folder):
    document = planned(run, folder, tmp_path / "x.zarr")
    assert [(unit["number"], unit["unit"]) for unit in document["units"]] == [
        (1, "train/50SMG"),
        (2, "train/31TCJ"),
        (3, "val/31TCJ"),
    ]
    assert [unit["bytes"] for unit in document["units"]] == sorted(
        (path.stat().st_size for path in folder.iterdir()), reverse=True
    )
    order = [
        line.split(":")[0]
        for line in run("convert", folder, tmp_path / "x.zarr", "-j1").stderr.splitlines()
        if ": started" in line
    ]
    assert order == [unit["unit"] for unit in document["units"]]


@pytest.mark.parametrize("options", [("x.zarr", "--codec", "fast"), ("x.h5",), ("x.h5", "--linked")])
def test_files_observations_and_bytes_match_the_conversion(run, tmp_path, folder, options):
    store = tmp_path / options[0]
    document = planned(run, folder, store, *options[1:])
    done = run("convert", folder, store, *options[1:], "-q", "--json", "-j1")
    assert done.returncode == 0, done.stderr
    records = {record["unit"]: record for record in json.loads(done.stdout)["converted"]}
    for unit in document["units"]:
        record = records[unit["unit"]]
        assert unit["observations"] == record["observations"]
        assert unit["chunks"] == -(-record["observations"] // 32)
        assert unit["bytes_out"] == pytest.approx(record["bytes"], rel=0.1)
        assert unit["shards"] == (-(-record["observations"] // SHARD_OBS) if store.suffix == ".zarr" else 0)
        if store.suffix == ".zarr":
            place = store / unit["unit"]
            assert unit["files"] == len([place, *place.rglob("*")])
    assert document["bytes_out"] == sum(unit["bytes_out"] for unit in document["units"])
    assert document["bytes_out"] == pytest.approx(json.loads(done.stdout)["bytes_out"], rel=0.1)
    made = [path for path in tmp_path.rglob("*") if path.suffix != ".lease"]
    merged = (
        4 if store.suffix == ".h5" and "--linked" not in options else 0
    )  # the merge removes the unit files and their folder
    assert document["inodes"] == len(made) + merged


def test_the_estimate_names_its_basis(run, tmp_path, folder):
    document = planned(run, folder, tmp_path / "x.zarr", "-j", 2)
    speed = document["speed"]
    assert speed["source"] == "train_50SMG_2"
    assert 0 < speed["observations"] <= 120
    assert 12 / 16 < speed["ratio"] < 0.85  # noise below 4000 has 12 of 16 bits
    assert (document["cores"], document["jobs"], document["threads"]) == (2, 2, 1)
    first, *others = [unit["seconds"] for unit in document["units"]]
    assert document["seconds"] == pytest.approx(max(first, sum(others)))


def test_a_memory_limit_gives_fewer_units_with_more_threads(run, tmp_path, folder):
    document = planned(run, folder, tmp_path / "x.zarr", "-j", 4, "--memory", "1100M")
    assert (document["jobs"], document["threads"]) == (2, 2)


def test_the_text_has_one_line_per_unit_and_per_fact(run, tmp_path, folder):
    text = run("plan", folder, tmp_path / "x.zarr", "-j2").stdout
    lines = text.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["1", "train/50SMG"], ["2", "train/31TCJ"], ["3", "val/31TCJ"]]
    facts = [line.split()[0] for line in lines[5:] if line[:1].strip()]
    assert facts == ["store", "read", "disk", "files", "memory", "jobs", "time", "plan"]
    assert "chunks of 32 x 4 x 42 x 42" in text
    assert "-j 2: 2 units at a time, 1 thread each" in text


class TestProblems:
    def test_a_missing_source_is_wrong_usage(self, run, tmp_path):
        assert_says(run("plan", tmp_path / "missing", tmp_path / "x.zarr"), EXIT_USAGE, "missing", "no such file")

    def test_a_damaged_archive_is_reported_and_the_rest_is_planned(self, run, tmp_path, folder):
        mine = tmp_path / "in"
        shutil.copytree(folder, mine)
        flip(mine / "train_31TCJ_1.7z", -10)
        document = planned(run, mine, tmp_path / "x.zarr")
        assert [unit["unit"] for unit in document["units"]] == ["train/50SMG", "val/31TCJ"]
        (problem,) = document["problems"]
        assert "train_31TCJ_1.7z: the archive is damaged" in problem
        assert f"problem: {problem}" in run("plan", mine, tmp_path / "x.zarr").stdout

    @pytest.mark.parametrize("twice", [False, True])
    def test_a_small_disk_is_reported_with_needed_and_free_bytes(self, run, tmp_path, folder, disk, twice):
        """An HDF5 store is merged from files of its units, so the disk must hold both for a while."""
        needed = 180 * PIXELS * 0.78  # for the noise above
        store = disk(f"size={int(needed * (1.5 if twice else 0.5)) >> 10}k") / ("x.h5" if twice else "x.zarr")
        document = planned(run, folder, store)
        (problem,) = document["problems"]
        free, wanted = (int(number.replace(",", "")) for number in re.findall(r"[\d,]{5,}", problem))
        assert "the disk has" in problem
        assert free == document["free_space"] == shutil.disk_usage(store.parent).free
        assert wanted == document["space"] == pytest.approx(needed * (1 + twice), rel=0.1)
        roomy = store.with_name("x.zarr")
        assert bool(planned(run, folder, roomy)["problems"]) is not twice

    def test_too_few_inodes_are_reported(self, run, folder, disk):
        store = disk("nr_inodes=60") / "x.zarr"
        document = planned(run, folder, store)
        (problem,) = document["problems"]
        assert f"{document['inodes']:,} are needed" in problem
        assert document["free_inodes"] < 60 < document["inodes"]
        assert planned(run, folder, store.with_name("x.h5"))["problems"] == []

    def test_an_existing_store_is_reported(self, run, tmp_path, folder):
        (tmp_path / "x.zarr").mkdir()
        (problem,) = planned(run, folder, tmp_path / "x.zarr")["problems"]
        assert "exists" in problem

    def test_without_a_readable_source_there_is_no_time_estimate(self, run, tmp_path, folder):
        mine = tmp_path / "in"
        mine.mkdir()
        shutil.copy(folder / "train_31TCJ_1.7z", mine)
        flip(mine / "train_31TCJ_1.7z", -10)
        document = planned(run, mine, tmp_path / "x.zarr")
        assert (document["speed"], document["seconds"], document["units"]) == (None, None, [])


class TestPlanFile:
    @pytest.fixture
    def mine(self, tmp_path, folder) -> Path:
        shutil.copytree(folder, tmp_path / "in")
        return tmp_path / "in"

    @pytest.fixture
    def file(self, run, tmp_path, mine) -> Path:
        planned = run("plan", "in", "x.zarr", "--codec", "fast", "-o", "plan.json", cwd=tmp_path)
        assert planned.returncode == 0
        assert planned.stdout.endswith("\nplan.json has this plan: s2ct convert --plan plan.json\n")
        return tmp_path / "plan.json"

    def hashes(self, store: Path) -> set[str]:
        units = store.with_name(f"{store.name}.s2ct") / "units"
        return {json.loads(path.read_text())["plan"] for path in units.iterdir()}

    def test_convert_runs_a_plan_file_from_any_folder(self, run, tmp_path, mine, file):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        done = run("convert", "--plan", file, "-j1", cwd=elsewhere)
        assert done.returncode == 0, done.stderr
        assert list(elsewhere.iterdir()) == []
        store = tmp_path / "x.zarr"
        assert "(zarr, fast)" in done.stdout
        assert len(state(store)) == 3
        assert self.hashes(store) == {json.loads(file.read_text())["hash"]}

    def test_batch_runs_a_plan_file_and_every_entry_has_its_hash(self, run, tmp_path, mine, file):
        assert run("batch", "init", "--plan", file).returncode == 0
        store = tmp_path / "x.zarr"
        assert run("batch", "run", store, "1-3").returncode == 0
        assert run("batch", "finalise", store).returncode == 0
        assert self.hashes(store) == {json.loads(file.read_text())["hash"]}
        assert run("convert", "--plan", file, "-j1").stdout.count("3 done before") == 1

    def test_the_hash_covers_content_and_options_but_not_paths(self, run, tmp_path, mine, file):
        wanted = json.loads(file.read_text())["hash"]
        moved = tmp_path / "moved"
        mine.rename(moved)
        assert planned(run, moved, tmp_path / "y.zarr", "--codec", "fast")["hash"] == wanted
        for other in (["y.zarr"], ["y.h5"], ["y.zarr", "--codec", "fast", "--split", "train"]):
            assert planned(run, moved, tmp_path / other[0], *other[1:])["hash"] != wanted

    @pytest.mark.parametrize("change", ["touched", "gone"])
    def test_a_source_that_changed_since_the_plan_is_refused(self, run, tmp_path, mine, file, change):
        source = mine / "val_31TCJ_1"
        if change == "gone":
            source.unlink()
        else:
            status = source.stat()
            os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
        told = "No such file" if change == "gone" else "the file has changed since the plan was made"
        done = run("batch", "init", "--plan", file)
        assert_says(done, EXIT_SOURCE, "val_31TCJ_1", told)
        assert not (tmp_path / "x.zarr").exists()
        done = run("convert", "--plan", file, "-j1")
        assert done.returncode == 3, done.stderr
        assert told in done.stderr
        assert "2 converted, 1 failed" in done.stdout
        assert plain.attributes(tmp_path / "x.zarr")["state"] == "partial"

    def test_an_edited_or_invalid_plan_file_is_refused(self, run, tmp_path, file):
        text = file.read_text()
        for old, new, told in (
            ('"codec": "fast"', '"codec": "small"', "the plan does not match its hash"),
            ('"name_count": 2', '"name_count": 3', "the plan does not match its hash"),
            ('"s2ct_plan": 1', '"s2ct_plan": 99', "not a plan file"),
            ('"units"', '"unit"', "not a plan file"),
            ("{", "", "not a plan file"),
        ):
            assert old in text
            file.write_text(text.replace(old, new, 1))
            assert_says(run("convert", "--plan", file), EXIT_USAGE, told, "s2ct plan")
        assert_says(run("batch", "init", "--plan", file), EXIT_USAGE, told, "s2ct plan")
        assert not (tmp_path / "x.zarr").exists()

    def test_a_plan_file_excludes_sources_and_options(self, run, tmp_path, file, mine):
        before = tree(tmp_path)
        for extra in ((mine, tmp_path / "y.zarr"), ("--codec", "small"), ("--tile", "31TCJ")):
            done = run("convert", "--plan", file, *extra)
            assert done.returncode == EXIT_USAGE
            assert "--plan cannot be combined with" in done.stderr
        assert run("convert", "--plan", tmp_path / "missing.json").returncode == EXIT_USAGE
        assert tree(tmp_path) == before


def test_an_archive_is_counted_by_its_header_and_not_unpacked(run, tmp_path, rng):
    """A flipped bit makes the packed data unreadable; the header still has its size."""
    record = write_tfrecord(tmp_path / "x", [random_group(rng, 1, 64)], unit="train_31TCJ")
    archive = write_archive(tmp_path / f"{record.name}.7z", {record.name: record.read_bytes()})
    flip(archive, 5000)
    (unit,) = planned(run, archive, right_source(tmp_path / "y"), tmp_path / "x.zarr", "--tile", "31TCJ")["units"]
    assert unit["observations"] == 64


@pytest.mark.slow
def test_the_trial_reads_only_the_start_of_the_first_source(tmp_path, rng):
    """The trial reads 640 of 2,000 observations and does not reach the damage after them."""
    path = write_tfrecord(tmp_path, [random_group(rng, localid, 50) for localid in range(40)], unit="train_31TCJ")
    flip(path, -100)
    command = [sys.executable, "-m", "s2ct_convert", "plan", path, "x.zarr", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    speed = json.loads(done.stdout)["speed"]
    assert 640 <= speed["observations"] < 700
