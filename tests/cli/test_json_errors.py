"""``--json``: one document on stdout in every case, with the error in it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from .helpers import assert_says, right_source

FIELDS = {"what", "where", "expected", "found", "todo", "exit_code"}


@pytest.mark.every_variant
@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        ("info nowhere --json", 2, "no such file or folder"),
        ("convert --json", 2, "Missing argument"),
        ("convert a b.zarr --fast --json", 2, "No such option"),
        ("verify store nowhere.zarr --json", 2, "this store does not exist"),
        ("export nowhere.zarr out --json", 2, "this store does not exist"),
        ("verify sources bad_50SMG_1.7z --json", 5, "cannot be used"),
        ("convert bad_50SMG_1.7z x.zarr --json", 5, "failed"),
    ],
)
def test_an_error_is_json_on_stdout_and_a_sentence_on_stderr(run, tmp_path, words, code, what):
    (tmp_path / "bad_50SMG_1.7z").write_bytes(b"7z\xbc\xaf\x27\x1c broken")
    done = run(*words.split(), cwd=tmp_path)
    assert_says(done, code, what)
    error = json.loads(done.stdout)["error"]
    assert set(error) == FIELDS
    assert what in error["what"]
    assert error["exit_code"] == code


def test_an_error_after_the_result_is_in_the_same_document(run, tmp_path):
    right_source(tmp_path / "in")
    (tmp_path / "in" / "val_50SMG_1.7z").write_bytes(b"7z\xbc\xaf\x27\x1c broken")
    done = run("convert", "in", "x.zarr", "-j1", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert [one["unit"] for one in document["converted"]] == ["train/50SMG"]
    assert document["failed"][0]["unit"] == "val/50SMG"
    assert document["error"]["exit_code"] == done.returncode == 3


def test_without_json_stdout_stays_empty(run, tmp_path):
    assert run("info", "nowhere", cwd=tmp_path).stdout == ""


def test_dates_in_json_are_iso_8601(run, sample_stores):
    done = run("info", sample_stores["zarr"], "--json")
    document = json.loads(done.stdout)
    assert "error" not in document
    for unit in document["units"]:
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", unit[name]) for name in ("time_first", "time_last"))
        assert unit["time_first"] <= unit["time_last"]
    shown = run("info", sample_stores["zarr"]).stdout
    assert document["units"][0]["time_first"] in shown


# Buffered output, as for a user.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("words", ["info nowhere 2>&1", "list --offline .", "--help", "info nowhere --json"])
def test_a_closed_pipe_ends_a_command_quietly_with_141(tmp_path, words):
    command = f"{shlex.join([sys.executable, '-m', 's2ct_convert'])} {words} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=BUFFERED)
    assert done.stdout == "141\n"
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
