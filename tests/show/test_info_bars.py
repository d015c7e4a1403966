"""The bars of ``s2ct info``: lengths follow the shares, letters everywhere, colours on terminals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from proc import read_terminal

from s2ct_convert.pictures.palette import CLASSES
from s2ct_convert.show.info import BAR, share_widths


@pytest.mark.parametrize(
    ("counts", "parts"),
    [
        ([5, 3, 0, 0, 0, 2], [30, 18, 0, 0, 0, 12]),
        ([1, 1, 1, 1, 1, 1], [10] * 6),
        ([1, 0, 0, 0, 0, 0], [60, 0, 0, 0, 0, 0]),
        ([1_000_000, 1, 1, 1, 1, 1], [55, 1, 1, 1, 1, 1]),
        ([0, 0, 0, 0, 0, 0], [0] * 6),
    ],
)
def test_parts_follow_the_shares_and_every_class_is_visible(counts, parts):
    assert share_widths(counts, BAR) == parts


def test_parts_fill_the_bar_with_minimal_rounding(rng):
    for _ in range(200):
        counts = (rng.integers(0, 2, 6) * rng.integers(1, 10 ** rng.integers(1, 7), 6)).tolist()
        if not any(counts):
            continue
        parts = share_widths(counts, BAR)
        assert sum(parts) == BAR
        assert [part > 0 for part in parts] == [n > 0 for n in counts]
        small = sum(0 < n / sum(counts) < 1 / BAR for n in counts)
        assert all(abs(part - BAR * n / sum(counts)) <= 1 + small for part, n in zip(parts, counts, strict=True))


def test_every_unit_has_a_bar_and_the_letters_are_explained(s2ct, sample_stores, suffix):
    lines = s2ct("info", sample_stores[suffix]).stdout.splitlines()
    (start,) = [i for i, line in enumerate(lines) if "shares of the labels" in line]
    for one in CLASSES:
        assert f"{one.letter} {one.name}" in lines[start]
    bars = {line.split()[0]: line.split()[1] for line in lines[start + 1 : start + 5]}
    assert list(bars) == ["train/31TCJ", "train/34VFN", "val/31TCJ", "val/34VFN"]
    assert all(len(bar) == BAR for bar in bars.values())
    # Shares are 46, 11, 12, 8, 4 and 0 of 81.
    assert bars["train/31TCJ"] == 34 * "c" + 8 * "O" + 9 * "t" + 6 * "h" + 3 * "s"
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(("environment", "colours"), [({"TERM": "xterm-256color"}, True), ({"NO_COLOR": "1"}, False)])
@pytest.mark.slow
def test_a_terminal_gets_colours_unless_no_color_is_set(sample_stores, environment, colours):
    master, slave = pty.openpty()
    base = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}
    command = [sys.executable, "-m", "s2ct_convert", "info", str(sample_stores["zarr"])]
    with subprocess.Popen(command, stdout=slave, env={**base, "TERM": "xterm", **environment}) as process:
        os.close(slave)
        output = read_terminal(master)
    assert process.returncode == 0
    (line,) = [line for line in output.decode().splitlines() if line.startswith("val/31TCJ") and "cccc" in line]
    assert bool(re.search(r"\x1b\[[\d;]*48;5;\d+m", line)) == colours
