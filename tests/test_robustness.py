"""docs/robustness.md names a test for each fault, and each of these tests exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_each_test_in_the_table_of_faults_exists():
    page = (ROOT / "docs" / "robustness.md").read_text()
    named = re.findall(r"`(test_\w+)`", page)
    there = {
        name for path in ROOT.glob("tests/**/test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert len(named) > 40
    assert [name for name in named if name not in there] == []


def test_each_row_of_the_table_of_faults_names_a_test():
    page = (ROOT / "docs" / "robustness.md").read_text()
    faults = page.partition("## All faults")[2].partition("\n## ")[0]
    rows = [line for line in faults.splitlines() if line.startswith("|") and not re.match(r"\|(-|\s*fault)", line)]
    assert [row for row in rows if not re.search(r"\| `test_\w+` \|$", row)] == []
