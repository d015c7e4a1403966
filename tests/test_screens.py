"""The pictures of docs/screens.md: what commands print today, nothing of the machine they were made on, few bytes."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import screens

PICTURES = sorted(screens.OUT.glob("*.svg"))
SIZES = [(shot, columns, rows) for shot in screens.SHOTS for columns, rows in shot.sizes]
MOST_BYTES = 400_000


def steady(name: str, text: str) -> list[str]:
    """The lines without what differs between runs: times, rates, progress; units that end in another order."""
    text = re.sub(r"\d[\d.]* s\b", "N s", text)
    if name in ("convert", "stopped"):  # looked at while two units are in work: which, and how far, differs
        text = re.sub(r"(train|val)/[0-9A-Z]{5}", "UNIT", text)
        text = re.sub(r"UNIT(, UNIT)*", "UNIT", re.sub(r"[━─]+", "━", re.sub(r"[\d.,:]*\d", "N", text)))
        return sorted({" ".join(line.split()) for line in text.splitlines()})
    if name == "doctor":  # of another machine: the same facts
        return sorted(line.split("  ")[0] for line in text.splitlines() if not line.startswith("  "))
    return sorted(line.rstrip() for line in text.splitlines())


@pytest.fixture(scope="module")
def stage() -> Iterator[Path]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    with screens.stage() as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize(("shot", "columns", "rows"), SIZES, ids=lambda value: getattr(value, "name", str(value)))
def test_a_picture_of_a_terminal_shows_what_is_printed_today(stage, shot, columns, rows):
    name = f"{shot.name}-{columns}x{rows}"
    drawn = screens.draw(screens.capture(stage, shot, columns, rows), "", name, columns)
    kept = (screens.OUT / f"{name}.svg").read_text(encoding="utf-8")
    assert steady(shot.name, screens.text_of(drawn)) == steady(shot.name, screens.text_of(kept)), (
        f"make it again: python scripts/screens.py --only {shot.name}"
    )


def test_every_picture_is_on_the_page_and_of_a_shot():
    page = (ROOT / "docs" / "screens.md").read_text(encoding="utf-8")
    names = {f"{shot.name}-{columns}x{rows}.svg" for shot, columns, rows in SIZES} | {f"{n}.png" for n in screens.PAGES}
    assert {path.name for path in screens.OUT.iterdir()} == names
    assert set(re.findall(r"\(images/screens/([^)]+)\)", page)) == names


def test_pictures_are_small_and_load_nothing():
    assert sum(path.stat().st_size for path in screens.OUT.iterdir()) <= MOST_BYTES
    for path in PICTURES:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"@font-face|@import|<image|href|url\((?!#)", text), path.name


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_shows_no_path_of_a_machine_and_no_line_too_wide(path):
    text = screens.text_of(path.read_text(encoding="utf-8"))
    paths = re.findall(r"(?<![\w./:-])/[\w.-]+/\S+", text)
    assert [one for one in paths if not one.startswith((screens.PLACE, "/usr/bin/"))] == []
    columns, rows = map(int, path.stem.rpartition("-")[2].split("x"))
    lines = text.split("\n")
    assert max(map(len, lines)) <= columns
    assert len(lines) <= rows
