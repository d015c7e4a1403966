"""Pictures of stores whose images have no date, no label, or labels of any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from makers import write_tfrecord
from twins import SUFFIXES
from variations import group

import s2ct_convert
from s2ct_convert.conversion.describe import describe
from s2ct_convert.pictures import contact_sheet, overview
from s2ct_convert.pictures.preview import preview

pytest.importorskip("matplotlib")

DAY = 17_533  # 2018-01-02
SIDES = (1, 2, 3, 4, 6, 7, 42)


def store(folder: Path, suffix: str, *groups: object) -> Path:
    path = folder / f"x.{suffix}"
    s2ct_convert.convert([write_tfrecord(folder, groups)], path)
    return path


@pytest.fixture(params=SUFFIXES)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def undated(tmp_path, suffix) -> Path:
    """A store whose dates are positions."""
    return store(tmp_path, suffix, *(group(i, dates=np.arange(4)) for i in range(2)))


@pytest.fixture
def partly(tmp_path, suffix) -> Path:
    """A store with one sample with an invalid date, and one without dates."""
    zero = group(1)
    zero.dates[0] = 0
    return store(tmp_path, suffix, zero, group(2, dates=None))


def words_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the text on sheets."""
    drawn: list[str] = []
    draw = contact_sheet.Sheet.text
    monkeypatch.setattr(
        "s2ct_convert.pictures.sheet.Sheet.text",
        lambda self, x, y, words, **options: (drawn.append(words), draw(self, x, y, words, **options))[1],
    )
    return drawn


def test_a_sheet_without_dates_shows_that(undated, tmp_path, monkeypatch):
    drawn = words_of(monkeypatch)
    made = preview(undated, tmp_path / "sample.png")
    assert (made.time_first, made.time_last) == (None, None)
    assert "4 observations, no dates" in drawn
    assert drawn.count("no date") == 4
    assert json.dumps(made.document())


@pytest.mark.slow
def test_a_summary_without_dates_shows_that(undated, tmp_path, monkeypatch):
    drawn = words_of(monkeypatch)
    made = preview(undated, tmp_path / "summary.png", summary=True)
    assert (made.time_first, made.time_last, made.observations) == (None, None, 8)
    assert "1 tile, 2 samples, 8 observations, no dates" in drawn
    assert "no observation has a date" in drawn
    assert "2  (25.0 %)" in drawn, "labels are still counted"


def test_known_dates_are_shown(partly, tmp_path, monkeypatch):
    drawn = words_of(monkeypatch)
    made = preview(partly, tmp_path / "sample.png", sample=1)
    assert (made.time_first, made.time_last) == (DAY + 5, DAY + 15)
    assert "4 observations, 2018-01-07 to 2018-01-17" in drawn
    assert drawn.count("no date") == 1
    summary = preview(partly, tmp_path / "summary.png", summary=True)
    assert (summary.time_first, summary.time_last, summary.observations) == (DAY + 5, DAY + 15, 8)


@pytest.mark.parametrize("finished", [True, False])
def test_info_reports_known_dates_or_none(tmp_path, suffix, finished):
    groups = {"undated": [group(0, dates=np.arange(4))], "partly": [group(1), group(2, dates=None)]}
    found = {}
    for name, examples in groups.items():
        (tmp_path / name).mkdir()
        path = store(tmp_path / name, suffix, *examples)
        unit = describe(path if finished else tmp_path / name / f"train_50SMG_{len(examples)}")["units"][0]
        found[name] = (unit["time_first"], unit["time_last"], unit["date_encoding"])
    assert found == {"undated": (None, None, "position"), "partly": (DAY, DAY + 15, "ordinal")}


def test_a_sample_without_dates_has_empty_cells_in_the_csv(partly, tmp_path):
    s2ct_convert.write_croissant(partly, folder=tmp_path / "c")
    lines = (tmp_path / "c" / "samples.csv").read_text().splitlines()
    assert lines[1].split(",")[:7] == ["train", "50SMG", "1", "0", "4", "2018-01-07", "2018-01-17"]
    assert lines[2].split(",")[:7] == ["train", "50SMG", "2", "4", "4", "", ""]
    document = json.loads((tmp_path / "c" / "croissant.json").read_text())
    assert document["rai:dataCollectionTimeFrame"] == ["2018-01-07", "2018-01-17"]


def test_a_store_without_dates_has_no_time_frame(undated, tmp_path):
    s2ct_convert.write_croissant(undated, folder=tmp_path / "c")
    assert json.loads((tmp_path / "c" / "croissant.json").read_text())["rai:dataCollectionTimeFrame"] == []


@pytest.mark.parametrize("side", SIDES)
def test_labels_of_any_size_are_drawn_and_counted(tmp_path, side):
    labels = np.tile(np.repeat(np.arange(side) * 6 // side, side), 4).astype(np.int8)
    path = store(tmp_path, "h5", *(group(i, labels=labels) for i in range(2)))
    with s2ct_convert.open_store(path) as opened:
        found = overview.read_overview(opened)
    assert found.brightness.counts.sum() == 8 * 4 * 36
    assert found.brightness.by_class.sum() == pytest.approx(8)
    assert sum(counts.sum() for counts in found.tiles.values()) == pytest.approx(8)


@pytest.mark.parametrize("side", [3, 42])
@pytest.mark.slow
def test_sheets_show_labels_of_any_size(tmp_path, side, monkeypatch):
    labels = np.tile(np.repeat(np.arange(side) * 6 // side, side), 4).astype(np.int8)
    path = store(tmp_path, "h5", group(1, labels=labels))
    drawn = words_of(monkeypatch)
    preview(path, tmp_path / "sample.png")
    assert any(one.endswith(f" of {side**2}") for one in drawn)
    preview(path, tmp_path / "summary.png", summary=True)


@pytest.mark.parametrize(
    ("side", "centre"),
    [(1, [0] * 6), (2, [0] * 3 + [1] * 3), (3, [0, 0, 1, 1, 2, 2]), (6, list(range(6))), (42, list(range(18, 24)))],
)
def test_labels_are_placed_over_the_pixels_they_cover(side, centre):
    rows = np.repeat(np.arange(side), side).reshape(1, side, side) if side > 1 else np.zeros(1, np.int64)
    found = overview._of_pixels(rows)
    assert found.reshape(6, 6).tolist() == [[row] * 6 for row in centre]


@pytest.mark.slow
def test_images_without_label_are_shown_and_counted(tmp_path, monkeypatch):
    drawn = words_of(monkeypatch)
    path = store(tmp_path, "h5", group(1, labels=None))
    preview(path, tmp_path / "sample.png")
    assert drawn.count("no label") == 4
    preview(path, tmp_path / "summary.png", summary=True)
    assert "4  (100.0 %)" in drawn
