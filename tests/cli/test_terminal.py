"""What commands print on a terminal of 80 columns: no line is wider."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from proc import read_terminal

import s2ct_convert


def on_terminal(*arguments: object, cwd: Path, columns: int = 80) -> list[str]:
    """The lines that a command prints on a terminal, without colours. The command has to succeed."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "s2ct_convert", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    with subprocess.Popen(command, cwd=cwd, stdout=slave, env={**environment, "TERM": "xterm"}) as process:
        os.close(slave)
        seen = read_terminal(master)
    assert process.returncode == 0, seen
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).splitlines()


@pytest.fixture(scope="module")
def folder(sample_stores, tmp_path_factory) -> Path:
    """A folder with a store of the sample, and its archives below a folder with a long name."""
    place = tmp_path_factory.mktemp("terminal")
    (place / "x.zarr").symlink_to(sample_stores["zarr"])
    archives = place / "a-folder-of-archives-with-a-rather-long-name-as-on-a-cluster"
    archives.mkdir()
    for source in s2ct_convert.sample_sources():
        (archives / source.name).symlink_to(source)
    return place


LONG = "a-folder-of-archives-with-a-rather-long-name-as-on-a-cluster"
COMMANDS = [
    "info x.zarr -v",
    f"plan {LONG} y.zarr",
    f"verify sources {LONG}",
    f"info {LONG}",
    f"info {LONG}/train_34VFN_5.7z",
    "list --offline",
    "verify store x.zarr",
    f"export x.zarr out-of-{LONG}/back",
    f"extract {LONG}/val_34VFN_2.7z out-of-{LONG}/extracted",
    f"croissant x.zarr out-of-{LONG}/croissant",
    f"convert {LONG} y.zarr",
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split(" x.zarr")[0].replace(LONG, "LONG"))
def test_no_line_is_wider_than_80_columns(folder, command):
    lines = on_terminal(*command.split(), cwd=folder)
    assert [line for line in lines if len(line) > 80] == []
    assert lines


@pytest.mark.slow
def test_a_wide_terminal_shows_one_table(folder):
    """At 80 columns the classes have a table of their own, with -v."""
    heads = {columns: on_terminal("info", "x.zarr", "-v", cwd=folder, columns=columns) for columns in (80, 120)}
    assert [("samples" in line, "haze" in line) for line in heads[80] if line.startswith("unit  ")][:2] == [
        (True, False),
        (False, True),
    ]
    assert any(line.split()[:2] == ["unit", "samples"] and line.endswith("snow") for line in heads[120])


@pytest.mark.slow
def test_a_letter_of_a_class_is_on_the_line_of_its_name(folder):
    text = "\n".join(on_terminal("info", "x.zarr", cwd=folder))
    for words in ("c clear", "O opaque cloud", "t thin cloud", "h haze", "s cloud shadow", "n snow"):
        assert words in text


def test_info_of_the_sample_fits_a_terminal_of_24_rows(sample_stores):
    lines = on_terminal("info", sample_stores["zarr"].name, cwd=sample_stores["zarr"].parent)
    assert len(lines) < 24, "a line is for the prompt"
    for words in (
        "digest  sha256:",
        "train/34VFN        4           152  2018-01-02",
        "cccc",
        "note  train/31TCJ",
        "-v shows all",
    ):
        assert any(words in line for line in lines), words
    assert not any("opaque_cloud" in line or ".7z" in line for line in lines)


def test_digests_come_on_request_on_a_terminal_and_always_in_a_pipe(run, folder):
    with s2ct_convert.open_store(folder / "x.zarr") as store:
        digests = [text for unit in store.units.values() for text in (unit.digest, unit.attributes["source_md5"])]
    for text, shown in (
        ("\n".join(on_terminal("info", "x.zarr", cwd=folder)), False),
        ("\n".join(on_terminal("info", "x.zarr", "-v", cwd=folder)), True),
        (run("info", "x.zarr", cwd=folder).stdout, True),
    ):
        assert [digest in text for digest in digests] == [shown] * len(digests)


def test_nothing_is_shortened_in_a_pipe(run, folder):
    done = run("verify", "sources", LONG, cwd=folder)
    assert f"ok       {LONG}/train_34VFN_5.7z: train/34VFN, 5 examples, 152 observations" in done.stdout
    assert "…" not in done.stdout


class TestTextFromElsewhere:
    NAME = "a\x1b]0;owned\x07\u202eb\x9b31m"
    SHOWN = r"a\x1b]0;owned\x07\u202eb\x9b31m"

    def test_stderr_shows_control_characters_escaped(self, run, tmp_path):
        (tmp_path / self.NAME).write_bytes(b"no TFRecord")
        done = run("convert", self.NAME, "x.zarr", cwd=tmp_path)
        assert self.SHOWN in done.stderr
        assert not set(self.NAME) & set(done.stderr) - set("a]0;ownedb31m")

    def test_a_terminal_shows_them_escaped_and_a_pipe_gets_them(self, run, tmp_path, sample_stores):
        store = tmp_path / f"{self.NAME}.zarr"
        store.symlink_to(sample_stores["zarr"])
        done = run("info", store.name, cwd=tmp_path)
        assert self.NAME in done.stdout
        shown = "\n".join(on_terminal("info", store.name, cwd=tmp_path, columns=200))
        assert self.SHOWN in shown
        assert "\x1b]0" not in shown
        assert "\x9b" not in shown
