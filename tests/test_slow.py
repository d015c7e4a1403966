"""The list of slow tests names existing tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LINES = [line for line in (HERE / "slow.txt").read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("line", LINES)
def test_every_line_names_a_test(line):
    file, *names = line.split("::")
    content = (HERE / file).read_text()
    for name in names:
        beginning = re.split(r"[*\[]", name, maxsplit=1)[0]
        assert re.search(rf"^\s*(def|class) {beginning}", content, re.MULTILINE) if beginning else "*" in name
