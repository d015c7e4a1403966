"""``s2ct export --to parquet|webdataset|netcdf``: options of a selection, results, errors, interruptions."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys

import pytest
from makers import flip
from plain import chunk_place
from twins import first_quick

from s2ct_convert import open_store
from s2ct_convert.errors import EXIT_DIFFERENCE, EXIT_MACHINE, EXIT_USAGE

from .helpers import assert_says

FORMATS = {"parquet": ["parquet", "Parquet file"], "webdataset": ["tar", "tar file"], "netcdf": ["nc", "netCDF file"]}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_reports_its_folder(run, made, tmp_path, to):
    suffix, noun = FORMATS[to]
    done = run("export", made["zarr"], tmp_path / "out", "--to", to, "--split", "val")
    assert done.returncode == 0, done.stderr
    name = f"val_50SMG.{suffix}" if to == "netcdf" else f"val-00000.{suffix}"
    assert names(tmp_path / "out") == ["export.json", name]
    assert done.stdout.startswith(f"{tmp_path}/out: 1 {noun}, 2 samples, 40 observations, ")


def test_options_select_what_store_select_does(run, made, tmp_path):
    words = [
        "--tile",
        "50smg",
        "--label",
        "haze,0",
        "--label",
        "no_label",
        "--time",
        "2018-01:2018-06",
        "--month",
        "1,3",
    ]
    words += ["--localid", "37,412", "--max-length", "9", "--seed", "4", "--split", "train"]
    done = run("export", made["zarr"], tmp_path / "out", "--to", "parquet", *words, "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    where = {"tile": "50SMG", "split": "train", "localid": [37, 412], "label": ["haze", 0, "no_label"]}
    where |= {"time": slice("2018-01", "2018-06"), "months": [1, 3], "max_length": 9, "seed": 4}
    with open_store(made["zarr"]) as store:
        chosen = store.select(**where)
        counts = (len(chosen), chosen.count())
    told = json.loads(done.stdout)
    assert (told["samples"], told["observations"], told["format"]) == (*counts, "parquet")
    assert told["folder"] == str(tmp_path / "out")
    (file,) = told["files"]
    assert file["bytes"] == told["bytes"] == (tmp_path / "out" / "train-00000.parquet").stat().st_size


@pytest.mark.slow
def test_index_and_shard_size_are_passed_on(run, made, tmp_path):
    assert run("export", made["zarr"], tmp_path / "i", "--to", "parquet", "--index").returncode == 0
    assert names(tmp_path / "i") == ["export.json", "index.parquet"]
    words = ["--to", "webdataset", "--shard-size", "500k", "--tile", "50SMG"]
    done = run("export", made["zarr"], tmp_path / "w", *words, "-v")
    assert len(names(tmp_path / "w")) == 5
    assert done.stderr.count(".tar: ") == 4


WRONG = {
    "a label of tfrecord": (["--label", "snow", "--month", "1"], "whole units, without --label, --month"),
    "the index of netcdf": (["--to", "netcdf", "--index"], "--index is for --to parquet"),
    "shards of netcdf": (["--to", "netcdf", "--shard-size", "1M"], "--shard-size is for the pixels"),
    "no date": (["--to", "parquet", "--time", "summer"], "'summer' is not a date"),
    "an empty range": (["--to", "parquet", "--time", ":"], "':' is not a date"),
    "a range backwards": (["--to", "parquet", "--time", "2019:2018"], "ends before it begins"),
    "no number": (["--to", "parquet", "--localid", "1,x"], "'1,x' is not a number"),
    "an empty part": (["--to", "parquet", "--label", "snow,"], "has an empty part"),
    "another class": (["--to", "parquet", "--label", "fog"], "no class 'fog'; the store has clear,"),
    "another tile": (["--to", "parquet", "--tile", "51SMG"], "no tile '51SMG'; the store has 49RGN, 50SMG"),
    "another month": (["--to", "parquet", "--month", "13"], "months are numbers from 1 to 12, not 13\n"),
    "a seed alone": (["--to", "parquet", "--seed", "1"], "--seed is for --max-length"),
    "nothing": (["--to", "parquet", "--time", "1999"], "no observation matches the selection"),
    "labels of two shapes": (["--to", "parquet"], "labels of different shapes"),
}


@pytest.mark.parametrize("case", first_quick(list(WRONG), quick=3))
def test_wrong_usage_of_formats_is_reported_and_writes_nothing(run, made, tmp_path, case):
    options, part = WRONG[case]
    assert_says(run("export", made["zarr"], tmp_path / "out", *options), EXIT_USAGE, part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_overwrite_replaces_an_export_and_nothing_else(run, made, tmp_path):
    words = ("export", made["zarr"], tmp_path / "out", "--to", "parquet", "--index")
    assert run(*words).returncode == 0
    assert_says(run(*words), EXIT_USAGE, "this folder is not empty", "--overwrite")
    assert run(*words, "--overwrite").returncode == 0
    (tmp_path / "out" / "mine").write_text("mine")
    assert_says(run(*words, "--overwrite"), EXIT_USAGE, "not only an export", "mine")


@pytest.mark.slow
def test_a_damaged_chunk_is_reported_and_nothing_is_left(run, made, tmp_path):
    own = shutil.copytree(made["zarr"], tmp_path / "made.zarr")
    path, offset, _ = chunk_place(own, "train/50SMG", 1)
    flip(path, offset + 300)
    done = run("export", own, tmp_path / "out", "--to", "webdataset")
    assert_says(done, EXIT_DIFFERENCE, "rows 32 to 63 of image are damaged", str(path))
    assert names(tmp_path) == ["made.zarr"]


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
def test_a_full_disk_is_reported_and_nothing_is_left(run, made, disk, to):
    full = disk("size=1m")
    done = run("export", made["zarr"], full / "out", "--to", to, "--tile", "50SMG")
    assert_says(done, EXIT_MACHINE, f"{full / 'out'}", "nothing of this export is kept")
    assert names(full) == []


PAUSED = """
import signal, sys
from s2ct_convert.cli import main
import s2ct_convert.export.parquet as parquet
parquet._table = lambda *args: (print("writing", flush=True), signal.pause())
sys.argv[0] = "s2ct"
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_and_says_so(made, tmp_path, number, code):
    folder = tmp_path / "out"
    command = [sys.executable, "-c", PAUSED, "export", made["zarr"], folder, "--to", "parquet", "--tile", "50SMG", "-q"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"nothing of {folder} has changed\n  to go on: s2ct export " in errors
    assert list(tmp_path.iterdir()) == []
