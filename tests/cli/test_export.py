"""``s2ct export`` writes a store back as TFRecords."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import records
from makers import flip
from plain import chunk_place
from twins import first_quick

from s2ct_convert.errors import EXIT_DIFFERENCE, EXIT_INCOMPLETE, EXIT_MACHINE, EXIT_USAGE

from .helpers import assert_says, closing_message

NAMES = ["train_49RGN_2", "train_50SMG_4", "val_50SMG_2"]
DATA = Path(__file__).resolve().parents[1] / "data"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_export_writes_the_sources_back_and_reports_them(run, made, made_sources, suffix, tmp_path):
    done = run("export", made[suffix], tmp_path / "back", "--to", "tfrecord")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "back") == NAMES
    for source in made_sources:
        assert records.all_features(tmp_path / "back" / source.name) == records.all_features(source)
    assert done.stdout == f"{tmp_path}/back: 3 TFRecords, 8 examples, 3.4 MB\n"
    lines = [line for line in done.stderr.splitlines() if "49RGN_2: " in line]
    assert len(lines) == 1 and lines[0].endswith("train_49RGN_2: train/49RGN, 2 examples, 708.3 kB")


def test_json_lists_each_file(run, made, tmp_path):
    run("export", made["zarr"], tmp_path, "--tile", "49RGN")
    done = run("export", made["zarr"], tmp_path, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    listed = document.pop("files")
    numbers = {"examples": 8, "bytes": sum(one["bytes"] for one in listed)}
    assert document == {"folder": str(tmp_path), "format": "tfrecord", **numbers}
    assert listed == [
        {
            "unit": f"{split}/{tile}",
            "path": str(tmp_path / name),
            "examples": int(n),
            "bytes": (tmp_path / name).stat().st_size,
            "was_there": tile == "49RGN",
        }
        for name in NAMES
        for split, tile, n in [name.split("_")]
    ]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--tile", "50SMG"], NAMES[1:]),
        (["--tile", "50smg", "--split", "val"], NAMES[2:]),
        (["--split", "train", "--split", "val", "--tile", "49RGN"], NAMES[:1]),
    ],
)
def test_units_can_be_selected(run, made, tmp_path, options, wanted):
    assert run("export", made["zarr"], tmp_path, *options).returncode == 0
    assert names(tmp_path) == wanted


def test_a_second_run_reports_existing_files(run, made, tmp_path):
    run("export", made["zarr"], tmp_path)
    times = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    done = run("export", made["zarr"], tmp_path)
    assert done.returncode == 0
    assert done.stderr.count(", already there") == 3
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == times


def test_another_file_in_the_way_needs_overwrite(run, made, tmp_path):
    (tmp_path / NAMES[0]).write_bytes(b"mine")
    done = run("export", made["zarr"], tmp_path)
    assert_says(done, EXIT_USAGE, "not unit train/49RGN of this store", str(tmp_path / NAMES[0]), "--overwrite")
    assert (tmp_path / NAMES[0]).read_bytes() == b"mine"
    assert run("export", made["zarr"], tmp_path, "--overwrite").returncode == 0
    assert names(tmp_path) == NAMES
    assert len(records.payloads(tmp_path / NAMES[0])) == 2


WRONG = {
    "another tile": (["--tile", "51SMG"], "no such unit"),
    "another form": (["--to", "csv"], "'csv' is not"),
    "a file for a folder": ([], "back"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_reported_and_writes_nothing(run, made, tmp_path, case):
    options, part = WRONG[case]
    if case == "a file for a folder":
        (tmp_path / "back").write_bytes(b"mine")
    done = run("export", made["zarr"], tmp_path / "back", *options)
    assert done.returncode in (EXIT_USAGE, EXIT_MACHINE)
    assert part in closing_message(done)
    assert not (tmp_path / "back").is_dir()


def test_a_missing_store_is_wrong_usage(run, tmp_path):
    assert_says(run("export", tmp_path / "none.zarr", tmp_path / "back"), EXIT_USAGE, "none.zarr")
    assert not (tmp_path / "back").exists()


def test_a_store_of_layout_1_is_refused_with_advice(run, suffix, tmp_path):
    if suffix == "zarr":
        shutil.unpack_archive(DATA / "layout_1.zarr.zip", tmp_path)
    else:
        shutil.copy(DATA / "layout_1.h5", tmp_path)
    done = run("export", tmp_path / f"layout_1.{suffix}", tmp_path / "back")
    assert_says(done, EXIT_USAGE, "layout 1, which does not keep every feature", "convert the sources again")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("suffix", first_quick(["h5", "zarr"]))
def test_a_damaged_store_is_reported_and_leaves_no_file_of_the_unit(run, made, suffix, tmp_path):
    own = tmp_path / made[suffix].name
    (shutil.copytree if own.suffix == ".zarr" else shutil.copy)(made[suffix], own)
    path, offset, _ = chunk_place(own, "train/50SMG", 1)
    flip(path, offset + 300)
    done = run("export", own, tmp_path / "back")
    assert_says(done, EXIT_DIFFERENCE, "damaged")
    assert names(tmp_path / "back") == NAMES[:1]
    assert len(records.payloads(tmp_path / "back" / NAMES[0])) == 2


def test_an_unfinished_store_is_reported_as_unfinished(run, tmp_path):
    (tmp_path / "x.h5.s2ct").mkdir()
    done = run("export", tmp_path / "x.h5", tmp_path / "back")
    assert_says(done, EXIT_INCOMPLETE, "the conversion of this store has not finished", "run the command that made")


def test_a_full_disk_is_reported_and_keeps_whole_files(run, made, tmp_path, disk):
    full = disk("size=1m")
    done = run("export", made["zarr"], full / "back")
    assert_says(done, EXIT_MACHINE, f"{full / 'back' / NAMES[1]}: No space left on device")
    assert names(full / "back") == NAMES[:1]
    assert len(records.payloads(full / "back" / NAMES[0])) == 2


PAUSED = """
import signal, sys
import s2ct_convert.export.tfrecord as export
from s2ct_convert.cli import main
write = export.write_raw_record
def pause(file, payload):
    write(file, payload)
    print("one record", flush=True)
    signal.pause()
export.write_raw_record = pause
sys.argv[0] = "s2ct"
main()
"""


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_leaves_no_file(made, tmp_path, number, code, word):
    command = [sys.executable, "-c", PAUSED, "export", made["zarr"], tmp_path, "--quiet"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "one record\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert word in errors
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_wrong_usage(run, sample_stores, tmp_path):
    (tmp_path / "back").write_text("mine")
    done = run("export", sample_stores["zarr"], tmp_path / "back")
    assert done.returncode == 2
    assert "this is a file, not a folder" in done.stderr
    assert (tmp_path / "back").read_text() == "mine"
