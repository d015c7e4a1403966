"""``--max-unpacked`` and ``--max-decoding``: the error names the option, and the option lifts the limit."""

from __future__ import annotations

from pathlib import Path

import pytest
from makers import write_archive
from servers.zenodo import RECORD

from .helpers import RECORDS, assert_says, right_source

ENOUGH = str(len(RECORDS))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "in" / "train_50SMG_2.7z", {"train_50SMG_2": RECORDS})


@pytest.mark.slow
def test_convert_refuses_and_names_the_option_which_lifts_it(run, tmp_path, archive):
    done = run("convert", archive, tmp_path / "x.zarr", "--max-unpacked", "1K", "-j1")
    assert_says(done, 5, "train_50SMG_2.7z: train_50SMG_2: this file of ", "allow it: --max-unpacked 1G")
    assert "s2ct convert" in done.stderr and " --max-unpacked 1024" in done.stderr, "it says how to try again"
    done = run("convert", archive, tmp_path / "x.zarr", "--max-unpacked", ENOUGH, "-j1")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_units_in_processes_of_their_own_have_the_limits(run, tmp_path, archive):
    right_source(archive.parent, "val_50SMG")
    done = run("convert", archive.parent, tmp_path / "x.zarr", "--max-unpacked", "1K", "-j2")
    assert_says(done, 3, "allow it: --max-unpacked 1G", "1 of 2 units failed")


@pytest.mark.slow
def test_build_has_the_limits(run, tmp_path, zenodo):
    done = run("build", tmp_path / "x.zarr", "--record", RECORD, "--file", "train_50SMG_2.7z", "--max-unpacked", "1K")
    assert_says(done, 5, "allow it: --max-unpacked 1G")


@pytest.mark.slow
def test_a_job_of_a_batch_has_the_limits(run, tmp_path, archive):
    assert run("batch", "init", archive, tmp_path / "x.zarr").returncode == 0
    assert_says(run("batch", "run", tmp_path / "x.zarr", "1", "--max-unpacked", "1K"), 5, "--max-unpacked 1G")
    assert run("batch", "run", tmp_path / "x.zarr", "1").returncode == 0


@pytest.mark.slow
def test_the_next_steps_of_a_batch_keep_the_limits(run, tmp_path, archive):
    right_source(archive.parent, "val_50SMG")
    assert run("batch", "init", archive.parent, tmp_path / "x.zarr").returncode == 0
    done = run("batch", "run", tmp_path / "x.zarr", "1", "--max-unpacked", "10M")
    assert done.stdout == f"next: s2ct batch run {tmp_path / 'x.zarr'} 2 --max-unpacked 10485760\n"
    failed = run("batch", "run", tmp_path / "x.zarr", "2", "--max-decoding", "1K")
    assert f"to do:    s2ct batch run {tmp_path / 'x.zarr'} 2 --max-decoding 1024\n" in failed.stderr


@pytest.mark.slow
def test_extract_refuses_and_names_the_option_which_lifts_it(run, tmp_path, archive):
    done = run("extract", archive, tmp_path / "out", "--max-unpacked", "1K")
    assert_says(done, 5, "allow it: --max-unpacked 1G")
    assert not list((tmp_path / "out").glob("*"))
    assert run("extract", archive, tmp_path / "out", "--max-unpacked", ENOUGH).returncode == 0


@pytest.mark.slow
def test_verify_sources_refuses_and_names_the_option_which_lifts_it(run, archive):
    done = run("verify", "sources", archive, "--max-unpacked", "1K")
    assert done.returncode == 5
    assert "unusable" in done.stdout and "--max-unpacked 1G" in done.stdout
    assert run("verify", "sources", archive, "--max-unpacked", ENOUGH).returncode == 0


@pytest.mark.slow
def test_verify_store_against_has_the_limits(run, tmp_path, archive):
    assert run("convert", archive, tmp_path / "x.zarr", "-j1").returncode == 0
    done = run("verify", "store", tmp_path / "x.zarr", "--against", archive, "--max-unpacked", "1K")
    assert done.returncode == 5
    assert "--max-unpacked 1G" in done.stdout + done.stderr


@pytest.mark.slow
def test_plan_lists_a_source_that_is_too_large_as_a_problem(run, tmp_path, archive):
    done = run("plan", archive, tmp_path / "x.zarr", "--max-unpacked", "1K")
    assert done.returncode == 0, done.stderr
    assert "--max-unpacked 1G" in " ".join(done.stdout.split())
    assert "--max-unpacked" not in run("plan", archive, tmp_path / "x.zarr").stdout


def test_an_example_that_takes_too_much_memory_names_the_option_which_lifts_it(run, archive):
    done = run("verify", "sources", archive, "--max-decoding", "100K")
    assert done.returncode == 5
    assert "train_50SMG_2.7z: example 0, byte 0: an example of " in done.stdout and "--max-decoding 1G" in done.stdout
