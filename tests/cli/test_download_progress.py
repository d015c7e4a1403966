"""What a download shows on the way, with and without a terminal."""

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

from s2ct_convert.errors import EXIT_INCOMPLETE

RNG = np.random.default_rng(64)
FILES = {f"train_{zone}SMG_2.7z": RNG.bytes(1_000_000) for zone in (50, 51, 52)}
ONE, TWO, THREE = FILES
# Makes the terminal the one whose Ctrl-C is a signal to the process, then becomes what is asked for.
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
    """Lines on stderr, none of them for a terminal."""
    assert not re.search(r"[\x1b\r]", done.stderr)
    return done.stderr.splitlines()


def test_without_a_terminal_there_is_a_line_per_event(run, zenodo, tmp_path):
    done = run("download", tmp_path, "--record", RECORD, "-j", 1)
    expected = [
        rf"note: the list of 3 files is saved as {RECORD}\.lock\.json",
        r"3 files to fetch, 3\.0 MB; 0 here before",
    ]
    for key in FILES:
        expected.append(rf"{re.escape(key)}: started, 1\.0 MB")
        expected.append(rf"{re.escape(key)}: done, 1\.0 MB, md5 correct, [\d.]+ s, [\d.]+ .?B/s")
    said = lines(done)
    assert len(said) == len(expected), done.stderr
    for line, pattern in zip(said, expected, strict=True):
        assert re.fullmatch(pattern, line)
    assert re.fullmatch(rf"folder   {tmp_path}\nfetched  3 files, 3\.0 MB in .*/s\nbefore   0 files\n", done.stdout)


def test_what_goes_wrong_on_the_way_is_told_as_it_happens(hasty, zenodo, tmp_path):
    zenodo.vices[ONE] = [cut_after(400_000), status(503), flipped]
    (tmp_path / TWO).write_bytes(FILES[TWO][:300_000])
    (tmp_path / THREE).write_bytes(bytes(1_000_000))
    said = lines(hasty("download", tmp_path, "--record", RECORD, "-j", 1))
    patterns = [
        r"reading 1 file that is there, 1\.0 MB",
        rf"note: {THREE}: its md5 is .*; kept as {THREE}\.bad-[0-9a-f]{{32}}, fetching it again",
        rf"note: {TWO}: 300,000 of 1,000,000 bytes, resumed",
        r"3 files to fetch, 3\.0 MB, 300\.0 kB of that are here; 0 here before",
        rf"{TWO}: goes on at 300\.0 kB of 1\.0 MB",
        rf"{ONE}: the connection .*; asks again in 0\.0 s",
        rf"{ONE}: the service answers 503 .*; asks again in 0\.0 s",
        rf"note: {ONE}: complete, but with the wrong md5 .*; fetching it again",
        rf"{ONE}: done, 1\.0 MB, md5 correct, .*",
    ]
    found = [next((i for i, line in enumerate(said) if re.fullmatch(pattern, line)), None) for pattern in patterns]
    assert None not in found, (found, said)
    assert found == sorted(found)


def test_quiet_leaves_notes_failures_and_the_result(hasty, zenodo, tmp_path):
    zenodo.vices[ONE] = [flipped, flipped]
    done = hasty("download", tmp_path, "--record", RECORD, "-q")
    assert done.returncode == EXIT_INCOMPLETE
    said = lines(done)
    assert [line for line in said if line.startswith("note: ")] == said[:2]
    assert said[2] == f"{ONE}: FAILED"
    assert not [line for line in said if ": started" in line or ": done" in line or "to fetch" in line]
    assert "fetched  2 files" in done.stdout


def test_lines_about_the_whole_count_what_was_here_before(hasty, zenodo, tmp_path):
    """Also what is begun but waits for its turn; otherwise rate and time left are nonsense."""
    for key, data in FILES.items():
        (tmp_path / f"{key}.part").write_bytes(data[:900_000])
    zenodo.vices = {key: [trickle(10_000, 0.03)] for key in FILES}
    said = lines(hasty("download", tmp_path, "--record", RECORD, "-j", 1))
    whole = [match for line in said if (match := re.fullmatch(r"([\d.]+) MB of 3\.0 MB, (.*)/s, (.*) left", line))]
    assert len(whole) > 3, said
    assert all(2.7 <= float(match[1]) <= 3.0 for match in whole), said
    assert all(match[2].endswith(" kB") for match in whole), "10 kB every 0.03 s, and nothing that came before"
    assert all(re.fullmatch(r"[\d.]+ s", match[3]) for match in whole)


def test_a_stall_is_told_once_then_ended_and_the_file_comes_all_the_same(hasty, zenodo, tmp_path):
    zenodo.vices[ONE] = [stall_after(400_000)]
    said = lines(hasty("download", tmp_path, "--record", RECORD))
    assert len([line for line in said if re.fullmatch(rf"{ONE}: no data for \d+ s", line)]) == 1
    assert [line for line in said if re.fullmatch(rf"{ONE}: no data for 1 s; asks again in 0\.0 s", line)]
    assert zenodo.asked(ONE) == [0, 400_000]
    assert (tmp_path / ONE).read_bytes() == FILES[ONE]


class Terminal:
    """A process that has a terminal of its own for everything."""

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
        """All that was ever written, without colours and movements of the cursor."""
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.raw).replace("\r", "\n")

    def read_to(self, pattern: str) -> re.Match[str]:
        """Read until a pattern is there."""
        while not (match := re.search(pattern, self.text, re.MULTILINE)):
            assert self._read(), f"{pattern} never came:\n{self.text}"
        return match

    def _read(self) -> bool:
        try:
            block = os.read(self._master, 65536)
        except OSError:  # the other end has gone
            block = b""
        self.raw += block.decode(errors="replace")
        return bool(block)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(timeout=20)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_has_a_line_per_lane_and_a_total_with_rate_and_time_left(zenodo, tmp_path, columns):
    zenodo.vices = {key: [trickle(40_000, 0.05)] for key in FILES}
    terminal = Terminal("download", tmp_path, "--record", RECORD, "-j", 2, columns=columns)
    bar = r" +\S* *[\d.]+/[\d.]+ .?B +[\d.]+ .?B/s +\d:\d\d:\d\d left *\n+"
    terminal.read_to(rf"^total{bar}({ONE}{bar}{TWO}|{TWO}{bar}{ONE}){bar}")
    assert terminal.end() == 0, terminal.text
    assert not re.search(rf"^total{bar}(train_5.SMG_2.7z{bar}){{3}}", terminal.text, re.MULTILINE), "two lanes"
    assert max(len(line.rstrip()) for line in terminal.text.splitlines() if "left" in line) <= columns
    assert [f"{key}: started" in terminal.text for key in FILES] == [False] * 3, "the bar shows that"
    assert "/?" not in terminal.text, "no total before it is known"
    for key, data in FILES.items():
        assert f"{key}: done, 1.0 MB, md5 correct" in terminal.text
        assert (tmp_path / key).read_bytes() == data
    assert terminal.raw.count("\x1b[?25h") == terminal.raw.count("\x1b[?25l") > 0, "the cursor is there again"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_tells_where_no_data_comes(zenodo, tmp_path, columns):
    zenodo.vices[TWO] = [stall_after(400_000)]
    terminal = Terminal("download", tmp_path, "--record", RECORD, columns=columns)
    terminal.read_to(rf"^{TWO}: no data for [1-9] s .* 0\.4/1\.0 MB")
    assert terminal.end() == 0, terminal.text
    assert (tmp_path / TWO).read_bytes() == FILES[TWO]


def test_ctrl_c_on_a_terminal_takes_the_bars_away_and_says_how_to_go_on(zenodo, tmp_path):
    zenodo.vices = {key: [stall_after(400_000)] * 9 for key in FILES}
    terminal = Terminal("download", tmp_path, "--record", RECORD, "--file", ONE)
    terminal.read_to("no data for")
    terminal.type(b"\x03")
    assert terminal.end() == 130, terminal.text
    assert terminal.text.rstrip().endswith(
        "interrupted. What is finished is kept; the same command goes on from there."
    )
    assert "Traceback" not in terminal.text
    assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l"), "the cursor is there again"
    (part,) = tmp_path.glob("*.part")
    assert part.stat().st_size == 400_000
