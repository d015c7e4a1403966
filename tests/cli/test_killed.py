"""SIGKILL during ``extract``, ``export`` and ``croissant`` in real processes; then the same command again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from makers import write_archive

from .helpers import RECORDS, tree

# Sends itself a signal at a given moment. `half`: half of the data is in the temporary file. `fsync`, `rename`: just
# before that call.
DRIVER = """
import builtins, io, os, sys
from s2ct_convert.cli import main

class Half(io.FileIO):
    def write(self, data):
        super().write(data[: len(data) // 2 + 1])
        os.kill(os.getpid(), number)

def half_open(path, mode="r", *args, **kwargs):
    temporary = ".s2ct-tmp" in str(path) and mode in ("wb", "xb")
    return Half(path, mode[0]) if temporary else real(path, mode, *args, **kwargs)

def step(*args, **kwargs):
    os.kill(os.getpid(), number)
    real(*args, **kwargs)

moment, number = sys.argv.pop(1), int(sys.argv.pop(1))
if moment == "half":
    real = open
    builtins.open = io.open = half_open
else:
    real = getattr(os, moment)
    setattr(os, moment, step)
sys.argv[0] = "s2ct"
main()
"""
NAME = "train_49RGN_2"


@pytest.fixture
def command(request, tmp_path, made) -> list[str | Path]:
    """A command without its destination, which is the last argument."""
    match request.param:
        case "extract":
            return ["extract", "--overwrite", write_archive(tmp_path / f"{NAME}.7z", {NAME: RECORDS})]
        case "export":
            return ["export", "--overwrite", "--tile", "49RGN", made["zarr"]]
        case _:
            return ["croissant", "--overwrite", made["zarr"]]


def put_old(folder: Path, command: str, right: Path) -> Path:
    """Put other content in the place of the result, and return its path."""
    if command == "croissant":  # which replaces only a description
        shutil.copytree(right, folder)
        with open(folder / "croissant.json", "a") as file:
            file.write("\n")
        return folder
    folder.mkdir()
    (folder / NAME).write_text("old")
    return folder / NAME


@pytest.mark.parametrize("moment", ["half", "fsync", "rename"])
@pytest.mark.parametrize("command", ["extract", "export", "croissant"], indirect=True)
def test_a_kill_keeps_the_old_result_and_the_same_command_completes(run, tmp_path, command, moment):
    assert run(*command, tmp_path / "right").returncode == 0
    out = tmp_path / "out"
    place = put_old(out, command[0], tmp_path / "right")
    before = {place.name: place.read_bytes()} if place.is_file() else tree(place)
    words = [sys.executable, "-c", DRIVER, moment, str(int(signal.SIGKILL)), *command, out]
    died = subprocess.run(words, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert list(tmp_path.rglob("*.s2ct-tmp")), "the process was not killed in the middle"
    assert ({place.name: place.read_bytes()} if place.is_file() else tree(place)) == before
    assert run(*command, out).returncode == 0
    assert not list(tmp_path.rglob("*.s2ct-tmp"))
    assert tree(out) == tree(tmp_path / "right")


@pytest.mark.parametrize("command", ["extract", "export"], indirect=True)
def test_temporary_files_of_a_living_process_stay(run, tmp_path, command):
    """The first process is stopped before it publishes; a second does the same work; then the first continues."""
    out = tmp_path / "out"
    words = [sys.executable, "-c", DRIVER, "rename", str(int(signal.SIGSTOP)), *command, out]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as first:
        try:
            assert os.WIFSTOPPED(os.waitpid(first.pid, os.WUNTRACED)[1])
            assert run(*command, out).returncode == 0
        finally:
            first.send_signal(signal.SIGCONT)
        _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert not list(tmp_path.rglob("*.s2ct-tmp"))
