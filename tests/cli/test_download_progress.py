"""Progress of a download, with and without a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from record.test_fetching import cut_after, flipped, stall_after, status
from record.test_lanes import trickle
from servers.zenodo import RECORD, StandIn, serving
from twins import first_quick

from s2ct_convert.errors import EXIT_INCOMPLETE

RNG = np.random.default_rng(64)
FILES = {f"train_{zone}SMG_2.7z": RNG.bytes(1_000_000) for zone in (50, 51, 52)}
ONE, TWO, THREE = FILES
# Makes stdin the controlling terminal, so that its Ctrl-C is a signal to the process, then runs the given command.
OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
SHORT_WAITS = Path(__file__).with_name("short_waits.py")


@pytest.fixture
def zenodo(clean_environment, monkeypatch) -> Iterator[StandIn]:
    with serving(dict(FILES)) as stand_in:
        monkeypatch.setenv("S2CT_ZENODO_URL", stand_in.url)
        yield stand_in


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines on stderr; checks that they contain no terminal codes."""
    assert not re.search(r"[\x1b\r]", done.stderr)
    return done.stderr.splitlines()


def test_without_a_terminal_each_event_is_one_line(run, zenodo, tmp_path):
    done = run("download", tmp_path, "--record", RECORD, "-j", 1)
    expected = [
        rf"note: the list of 3 files is saved as {RECORD}\.lock\.json",
        r"3 files to download, 3\.0 MB; 0 already here",
    ]
    for key in FILES:
        expected.append(rf"{re.escape(key)}: started, 1\.0 MB")
        expected.append(rf"{re.escape(key)}: done, 1\.0 MB, md5 correct, [\d.]+ s, [\d.]+ .?B/s")
    shown = lines(done)
    assert len(shown) == len(expected), done.stderr
    for line, pattern in zip(shown, expected, strict=True):
        assert re.fullmatch(pattern, line)
    assert re.fullmatch(
        rf"folder      {tmp_path}\ndownloaded  3 files, 3\.0 MB in .*/s\nkept        0 files\n", done.stdout
    )


def test_problems_are_reported_as_they_happen(hasty, zenodo, tmp_path):
    zenodo.vices[ONE] = [cut_after(400_000), status(503), flipped]
    (tmp_path / TWO).write_bytes(FILES[TWO][:300_000])
    (tmp_path / THREE).write_bytes(bytes(1_000_000))
    shown = lines(hasty("download", tmp_path, "--record", RECORD, "-j", 1))
    patterns = [
        r"checking 1 existing file, 1\.0 MB",
        rf"note: {THREE}: its md5 is .*; kept as {THREE}\.bad-[0-9a-f]{{32}}, fetching it again",
        rf"note: {TWO}: 300,000 of 1,000,000 bytes, resumed",
        r"3 files to download, 3\.0 MB \(300\.0 kB of it already here\); 0 already here",
        rf"{TWO}: resumes at 300\.0 kB of 1\.0 MB",
        rf"{ONE}: the connection .*; retries in 0\.0 s",
        rf"{ONE}: the service answers 503 .*; retries in 0\.0 s",
        rf"note: {ONE}: complete, but with the wrong md5 .*; fetching it again",
        rf"{ONE}: done, 1\.0 MB, md5 correct, .*",
    ]
    found = [next((i for i, line in enumerate(shown) if re.fullmatch(pattern, line)), None) for pattern in patterns]
    assert None not in found, (found, shown)
    assert found == sorted(found)


def test_quiet_shows_notes_failures_and_the_result(hasty, zenodo, tmp_path):
    zenodo.vices[ONE] = [flipped] * 3  # the download, the attempt to mend it, and the second download
    done = hasty("download", tmp_path, "--record", RECORD, "-q")
    assert done.returncode == EXIT_INCOMPLETE
    shown = lines(done)
    assert [line for line in shown if line.startswith("note: ")] == shown[:2]
    assert shown[2] == f"{ONE}: FAILED"
    assert not [line for line in shown if ": started" in line or ": done" in line or "to download" in line]
    assert "downloaded  2 files" in done.stdout


def test_lines_about_the_total_count_existing_bytes(hasty, zenodo, tmp_path):
    """Partial files that wait for their turn count too; otherwise rate and time left are wrong."""
    for key, data in FILES.items():
        (tmp_path / f"{key}.part").write_bytes(data[:900_000])
    zenodo.vices = {key: [trickle(10_000, 0.03)] for key in FILES}
    shown = lines(hasty("download", tmp_path, "--record", RECORD, "-j", 1))
    pattern = r"download: \d+ %, ([\d.]+) of 3\.0 MB, (.*)/s, (.*) left"
    whole = [match for line in shown if (match := re.fullmatch(pattern, line))]
    assert len(whole) > 3, shown
    assert all(2.7 <= float(match[1]) <= 3.0 for match in whole), shown
    assert all(match[2].endswith(" kB") for match in whole), "10 kB every 0.03 s, without bytes of earlier runs"
    assert all(re.fullmatch(r"0:00:\d\d", match[3]) for match in whole)


def test_a_stall_is_reported_once_and_the_download_completes(hasty, zenodo, tmp_path):
    zenodo.vices[ONE] = [stall_after(400_000)]
    shown = lines(hasty("download", tmp_path, "--record", RECORD))
    assert len([line for line in shown if re.fullmatch(rf"{ONE}: no data for \d+ s", line)]) == 1
    assert [line for line in shown if re.fullmatch(rf"{ONE}: no data for 1 s; retries in 0\.0 s", line)]
    assert zenodo.asked(ONE) == [0, 400_000]
    assert (tmp_path / ONE).read_bytes() == FILES[ONE]


class Terminal:
    """A process with its own terminal for stdin, stdout and stderr."""

    def __init__(self, *arguments: object, columns: int = 120) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        command = [sys.executable, "-c", OWN_TERMINAL, sys.executable, str(SHORT_WAITS), *map(str, arguments)]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        self.raw = ""

    @property
    def text(self) -> str:
        """All output so far, without colours and cursor movements."""
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.raw).replace("\r", "\n")

    def read_to(self, pattern: str) -> re.Match[str]:
        """Read until a pattern matches."""
        while not (match := re.search(pattern, self.text, re.MULTILINE)):
            assert self._read(), f"{pattern} never came:\n{self.text}"
        return match

    def _read(self) -> bool:
        try:
            block = os.read(self._master, 65536)
        except OSError:  # EIO: the other end is closed
            block = b""
        self.raw += block.decode(errors="replace")
        return bool(block)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(timeout=20)


@pytest.mark.parametrize("columns", first_quick([80, 120]))
def test_a_terminal_shows_a_bar_per_lane_and_a_total_with_time_left(zenodo, tmp_path, columns):
    zenodo.vices = {key: [trickle(40_000, 0.05)] for key in FILES}
    terminal = Terminal("download", tmp_path, "--record", RECORD, "-j", 2, columns=columns)
    bar = r" +[━─]+ +\d+ % +[\d.]+ of [\d.]+ .?B +[\d.]+ .?B/s +\d:\d\d:\d\d left *\n+"
    terminal.read_to(rf"^download{bar}(  {ONE}{bar}  {TWO}|  {TWO}{bar}  {ONE}){bar}")
    assert terminal.end() == 0, terminal.text
    assert not re.search(rf"^download{bar}(  train_5.SMG_2.7z{bar}){{3}}", terminal.text, re.MULTILINE), "two lanes"
    assert max(len(line.rstrip()) for line in terminal.text.splitlines() if "left" in line) <= columns - 3, (
        "room for ^C"
    )
    assert [f"{key}: started" in terminal.text for key in FILES] == [False] * 3, "the bar shows the start"
    assert "?" not in terminal.text, "no total before it is known"
    for key, data in FILES.items():
        assert f"{key}: done, 1.0 MB, md5 correct" in terminal.text
        assert (tmp_path / key).read_bytes() == data
    assert terminal.raw.count("\x1b[?25h") == terminal.raw.count("\x1b[?25l") > 0, "the cursor is there again"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_which_file_is_stalled(zenodo, tmp_path, columns):
    zenodo.vices[TWO] = [stall_after(400_000)]
    terminal = Terminal("download", tmp_path, "--record", RECORD, columns=columns)
    terminal.read_to(rf"^  {TWO}  .* 0\.4 of 1\.0 MB  no data for [1-9] s")
    assert terminal.end() == 0, terminal.text
    assert (tmp_path / TWO).read_bytes() == FILES[TWO]


def test_ctrl_c_removes_the_bars_and_prints_how_to_resume(zenodo, tmp_path):
    zenodo.vices = {key: [stall_after(400_000)] * 9 for key in FILES}
    terminal = Terminal("download", tmp_path, "--record", RECORD, "--file", ONE)
    terminal.read_to("no data for")
    terminal.type(b"\x03")
    assert terminal.end() == 130, terminal.text
    kept = f"s2ct: interrupted; whole and partial files stay in {tmp_path}"
    command = f"s2ct download {tmp_path} --record {RECORD} --file {ONE}"
    assert [line for line in terminal.text.splitlines() if line][-2:] == [kept, f"  to go on: {command}"]
    assert "Traceback" not in terminal.text
    assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l"), "the cursor is there again"
    (part,) = tmp_path.glob("*.part")
    assert part.stat().st_size == 400_000
