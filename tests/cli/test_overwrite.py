"""``--overwrite`` on a terminal: s2ct shows what it would replace, and asks."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from .helpers import right_source, state


def on_terminal(*words: object, answer: str, cwd: Path) -> tuple[int, str]:
    """Run s2ct on a terminal and answer its question. Returns the exit code and what the terminal shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "s2ct_convert", *map(str, words)]
    process = subprocess.Popen(command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, answered = b"", False
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the program has closed the terminal
            break
        if not piece:
            break
        shown += piece
        if not answered and b"[y/N]" in shown:
            os.write(ours, f"{answer}\n".encode())
            answered = True
    os.close(ours)
    return process.wait(60), shown.decode()


def made(run, folder: Path) -> str:
    """Convert a source to a store in a folder that also has another source. Returns the name of the store."""
    right_source(folder / "in")
    right_source(folder / "other", "val_31TCJ", (1,))
    assert run("convert", "in", "x.zarr", "-j1", cwd=folder).returncode == 0
    return "x.zarr"


def test_the_answer_no_keeps_the_store(run, tmp_path):
    store = made(run, tmp_path)
    before = state(tmp_path / store)
    code, shown = on_terminal("convert", "other", store, "--overwrite", answer="", cwd=tmp_path)
    assert code == 2
    assert "--overwrite replaces 1 unit (train/50SMG), " in shown
    assert f"  {store}.s2ct" in shown
    assert "nothing was deleted" in shown
    assert state(tmp_path / store) == before


def test_the_answer_yes_replaces_the_store(run, tmp_path):
    store = made(run, tmp_path)
    code, _ = on_terminal("convert", "other", store, "--overwrite", "-j1", answer="y", cwd=tmp_path)
    assert code == 0
    assert list(state(tmp_path / store)) == ["val/31TCJ"]


@pytest.mark.slow
@pytest.mark.parametrize("words", ["other x.zarr --overwrite -y", "in x.zarr", "in new.zarr --overwrite"])
def test_overwrite_does_not_ask_without_need(run, tmp_path, words):
    made(run, tmp_path)
    code, shown = on_terminal("convert", *words.split(), "-j1", answer="", cwd=tmp_path)
    assert code == 0
    assert "[y/N]" not in shown
