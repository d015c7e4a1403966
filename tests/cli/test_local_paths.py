"""Every command refuses URLs, pipes, sockets and devices at once and writes nothing."""

from __future__ import annotations

import os

import pytest

from .helpers import assert_says, right_source, tree

URL = "ftp://host/x.zarr"
URLS = {
    "convert, a source": ["convert", URL, "x.zarr"],
    "convert, the store": ["convert", "in", URL],
    "plan, the store": ["plan", "in", URL],
    "plan, the file": ["plan", "in", "x.zarr", "-o", URL],
    "convert, the plan": ["convert", "--plan", URL],
    "build": ["build", URL],
    "batch init": ["batch", "init", "in", URL],
    "batch run": ["batch", "run", URL, "1"],
    "batch status": ["batch", "status", URL],
    "batch finalise": ["batch", "finalise", URL],
    "batch script": ["batch", "script", URL],
    "extract, an archive": ["extract", URL, "out"],
    "extract, the folder": ["extract", "in/train_50SMG_2", URL],
    "download": ["download", URL],
    "list": ["list", URL],
    "urls": ["urls", URL],
    "info": ["info", URL],
    "preview": ["preview", URL],
    "preview, the picture": ["preview", "x.zarr", "-o", URL],
    "view": ["view", URL],
    "view, the export": ["view", "x.zarr", "--export", URL],
    "croissant": ["croissant", URL],
    "croissant, the folder": ["croissant", "x.zarr", URL],
    "verify checksums": ["verify", "checksums", URL],
    "verify checksums, the list": ["verify", "checksums", "in", "--write", URL],
    "verify sources": ["verify", "sources", URL],
    "verify store": ["verify", "store", URL],
    "verify store, a source": ["verify", "store", "x.zarr", "--against", URL],
    "demo": ["demo", URL],
}


@pytest.mark.parametrize("case", URLS)
def test_a_url_is_wrong_usage_in_every_command(run, tmp_path, case):
    right_source(tmp_path / "in")
    before = tree(tmp_path)
    assert_says(run(*URLS[case], cwd=tmp_path), 2, f"{URL}: this is a URL; s2ct needs a local path")
    assert tree(tmp_path) == before


PIPES = {
    "convert": ["convert", "pipe", "x.zarr"],
    "convert to": ["convert", "in", "pipe"],
    "plan": ["plan", "pipe", "x.zarr"],
    "batch init": ["batch", "init", "pipe", "x.zarr"],
    "extract": ["extract", "pipe", "out"],
    "info": ["info", "pipe"],
    "preview": ["preview", "pipe"],
    "view": ["view", "pipe"],
    "croissant": ["croissant", "pipe"],
    "verify checksums": ["verify", "checksums", "pipe"],
    "verify sources": ["verify", "sources", "pipe"],
    "verify store": ["verify", "store", "pipe"],
    "verify store, a source": ["verify", "store", "x.zarr", "--against", "pipe"],
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("case", PIPES)
def test_a_pipe_is_wrong_usage_and_is_never_opened(run, tmp_path, case):
    right_source(tmp_path / "in")
    os.mkfifo(tmp_path / "pipe")
    assert_says(run(*PIPES[case], cwd=tmp_path), 2, "pipe: this is a pipe (FIFO)")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "pipe"]


def test_a_device_is_wrong_usage(run, tmp_path):
    assert_says(run("convert", os.devnull, tmp_path / "x.zarr"), 2, f"{os.devnull}: this is a device")


def test_verify_refuses_a_folder_without_sources(run, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    assert_says(run("verify", "sources", tmp_path), 2, "no archive or TFRecord found")
