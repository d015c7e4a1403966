from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from archives.sevenzip import handmade, put
from makers import flip, random_group, tfrecord_bytes, write_archive

import s2ct_convert
from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_SOURCE, EXIT_USAGE

from .helpers import assert_says


@pytest.fixture(scope="module")
def data() -> bytes:
    return tfrecord_bytes([random_group(np.random.default_rng(2), i, 5) for i in range(3)])


@pytest.fixture
def archive(tmp_path, data):
    return write_archive(tmp_path / "in" / "val_50SMG_3.7z", {"val_50SMG_3": data})


def test_files_are_extracted_unchanged(run, tmp_path, archive, data):
    done = run("extract", archive, tmp_path / "out")
    assert done.returncode == 0
    assert (tmp_path / "out" / "val_50SMG_3").read_bytes() == data
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["val_50SMG_3"]
    assert done.stdout == f"1 file, {len(data) / 1e3:.1f} kB in {tmp_path / 'out'}\n"


def test_a_second_run_keeps_existing_files(run, tmp_path, archive):
    run("extract", archive, tmp_path / "out")
    before = (tmp_path / "out" / "val_50SMG_3").stat().st_mtime_ns
    done = run("extract", archive, tmp_path / "out", "--json")
    assert json.loads(done.stdout)["files"][0]["was_there"] is True
    assert (tmp_path / "out" / "val_50SMG_3").stat().st_mtime_ns == before


def test_another_file_with_the_same_name_needs_overwrite(run, tmp_path, archive, data):
    out = tmp_path / "out"
    out.mkdir()
    (out / "val_50SMG_3").write_bytes(b"mine")
    assert_says(run("extract", archive, out), EXIT_USAGE, "--overwrite")
    assert (out / "val_50SMG_3").read_bytes() == b"mine"
    assert run("extract", archive, out, "--overwrite").returncode == 0
    assert (out / "val_50SMG_3").read_bytes() == data


def test_a_damaged_archive_does_not_stop_the_others_and_leaves_nothing(run, tmp_path, archive):
    bad = flip(archive, 5000, to=tmp_path / "in" / "train_50SMG_3.7z")
    done = run("extract", bad, archive, tmp_path / "out")
    assert done.returncode == EXIT_INCOMPLETE
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["val_50SMG_3"]
    assert run("extract", bad, tmp_path / "other").returncode == EXIT_SOURCE
    assert not (tmp_path / "other").exists() or not list((tmp_path / "other").iterdir())


def test_a_member_name_outside_the_folder_is_refused(run, tmp_path, data):
    archive = put(tmp_path / "in" / "val_50SMG_3.7z", handmade({"../../val_50SMG_3": data}))
    done = run("extract", archive, tmp_path / "a" / "out")
    assert done.returncode == EXIT_SOURCE
    assert not list(tmp_path.rglob("val_50SMG_3"))


def test_a_missing_archive_is_wrong_usage(run, tmp_path):
    assert_says(run("extract", tmp_path / "nowhere.7z", tmp_path / "out"), EXIT_USAGE, "there is no such file")


def test_ctrl_c_leaves_no_partial_file(tmp_path):
    out = tmp_path / "out"
    sources = list(map(str, s2ct_convert.sample_sources()))
    command = [sys.executable, "-m", "s2ct_convert", "extract", *sources, str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    process.stderr.readline()  # the first file is written
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in rest
    assert all(path.name.startswith(("train_", "val_")) for path in out.iterdir())
