"""Progress by events and a clock of the test: lines every 30 s, bars with labels, one time left for a build."""

from __future__ import annotations

import re

import pytest

from s2ct_convert.record import events as files
from s2ct_convert.show.board import Board
from s2ct_convert.show.meter import Meter
from s2ct_convert.show.progress import ByteProgress, show_events
from s2ct_convert.units import events as units

MB = 1_000_000


class Clock:
    """A clock that stands still until the test moves it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """A board with its lines and the callback that a command would get."""

    def __init__(self, *, terminal: bool = False, quiet: bool = False) -> None:
        self.clock, self.lines = Clock(), list[str]()
        self.board = Board(self.lines.append, width=lambda: None, periodic=not (terminal or quiet), clock=self.clock)
        self.send = show_events(self.board, quiet=quiet, every=not terminal, tracebacks=False, bars=terminal)

    def after(self, seconds: float, event) -> None:
        self.clock.now += seconds
        self.send(event)

    def bars(self, width: int = 80) -> list[str]:
        """The bars as text."""
        drawn = [
            f"{label}  {'━' * full}{'─' * empty}  {words}" if words else label
            for label, full, empty, words in self.board.bar_lines(width)
        ]
        assert max(map(len, drawn), default=0) <= width
        return drawn


def test_a_conversion_without_a_terminal_prints_a_line_every_30_s():
    shown = Shown()
    shown.send(units.UnitsPlanned(800 * MB, 2, 0))
    shown.send(units.UnitStarted("train/50SMG", "train_50SMG_2.7z", 500 * MB))
    for _ in range(95):
        shown.after(1, units.UnitProgress("train/50SMG", 5 * MB))
    assert shown.lines[2:] == [
        "conversion: 18 %, 150.0 of 800.0 MB, 5.0 MB/s, 0:02:10 left",
        "conversion: 37 %, 300.0 of 800.0 MB, 5.0 MB/s, 0:01:40 left",
        "conversion: 56 %, 450.0 of 800.0 MB, 5.0 MB/s, 0:01:10 left",
    ]


def test_work_that_counts_bytes_prints_a_line_every_30_s():
    """Verification, extraction and export count bytes, without events."""
    shown = Shown()
    progress = ByteProgress(shown.board, shown.board.add("checking"), quiet=False)
    progress.advance(0)
    progress.set_total(100 * MB)
    for _ in range(61):
        shown.clock.now += 1
        progress.advance(MB)
    assert shown.lines == [
        "checking: 30 %, 30.0 of 100.0 MB, 1.0 MB/s, 0:01:10 left",
        "checking: 60 %, 60.0 of 100.0 MB, 1.0 MB/s, 0:00:40 left",
    ]


@pytest.mark.parametrize("options", [{"quiet": True}, {"terminal": True}])
def test_no_line_comes_with_quiet_or_beside_bars(options):
    shown = Shown(**options)
    shown.send(units.UnitsPlanned(1000 * MB, 2, 0))
    shown.send(units.UnitStarted("train/50SMG", "train_50SMG_2.7z", 500 * MB))
    before = list(shown.lines)
    shown.after(100, units.UnitProgress("train/50SMG", 5 * MB))
    assert shown.lines == before


def build(shown: Shown) -> None:
    """A build after 100 s: half is downloaded, a quarter is converted in 25 s, a unit is running."""
    shown.send(units.UnitsPlanned(400 * MB, 4, 0))
    shown.send(files.FilesPlanned(4, 400 * MB, 0, 0))
    shown.send(files.FileStarted("train_50SMG_2.7z", 100 * MB, 0))
    shown.after(50, files.FileProgress("train_50SMG_2.7z", 100 * MB))
    shown.send(files.FileDone("train_50SMG_2.7z", 100 * MB, 100 * MB, 50))
    shown.send(units.UnitStarted("train/50SMG", "train_50SMG_2.7z", 100 * MB))
    shown.send(files.FileStarted("val_50SMG_2.7z", 100 * MB, 0))
    shown.after(25, units.UnitProgress("train/50SMG", 100 * MB))
    shown.send(units.UnitFailed("train/50SMG", "train_50SMG_2.7z", 5, "damaged"))
    shown.after(25, files.FileProgress("val_50SMG_2.7z", 60 * MB))


def test_a_build_shows_download_and_conversion_with_one_time_left():
    shown = Shown(terminal=True)
    build(shown)
    download, file, conversion, both = shown.bars()
    assert re.fullmatch(r"download +[━─]+ +40 %  160\.0 of 400\.0 MB  \S+ MB/s", download)
    assert re.fullmatch(r"  val_50SMG_2\.7z +[━─]+ +60 %   60\.0 of 100\.0 MB  \S+ MB/s  0:00:\d\d left", file)
    assert re.fullmatch(r"conversion +[━─]+ +25 %  100\.0 of 400\.0 MB +4\.0 MB/s", conversion)
    assert re.fullmatch(r"in all +0:0\d:\d\d left", both)
    assert shown.board.line().startswith("download: 40 %, 160.0 of 400.0 MB, ")
    assert re.search(
        r"; conversion: 25 %, 100\.0 of 400\.0 MB, 4\.0 MB/s; 0:\d\d:\d\d left in all$", shown.board.line()
    )


def test_the_time_left_of_a_build_is_that_of_the_slower_half():
    shown = Shown(terminal=True)
    build(shown)
    download, conversion = [meter for meter in shown.board._meters if not meter.part]
    assert conversion.left == pytest.approx(75)  # 300 MB at 4 MB/s: it did not work all the time
    assert download.left == pytest.approx(240 / download.rate * MB)
    assert shown.bars()[-1].endswith(f"0:{int(download.left) // 60:02}:{round(download.left) % 60:02} left")


def test_a_build_says_when_it_does_not_know_the_time_left():
    shown = Shown(terminal=True)
    shown.send(units.UnitsPlanned(400 * MB, 4, 0))
    shown.send(files.FilesPlanned(4, 400 * MB, 0, 0))
    assert shown.bars()[-1].split("  ")[-1] == "time left not known yet"


def test_a_bar_takes_the_room_that_a_short_label_leaves():
    shown = Shown(terminal=True)
    shown.send(units.UnitsPlanned(200 * MB, 4, 0))
    shown.send(units.UnitStarted("train/50SMG", "train_50SMG_2.7z", 50 * MB))
    shown.after(1, units.UnitProgress("train/50SMG", 20 * MB))
    (bar,) = [line for line in shown.bars(77) if "━" in line]
    assert bar.startswith("conversion  ━")
    assert len(bar) == 77


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_every_bar_has_a_label_and_fits(width):
    shown = Shown(terminal=True)
    build(shown)
    shown.send(files.FileIdle("val_50SMG_2.7z", 12, 60 * MB))
    shown.send(units.UnitStarted("train/a-unit-with-a-long-name", "x", 100 * MB))
    lines = shown.bars(width)
    assert all(line.strip() and line.strip()[0] not in "━─" for line in lines)
    assert not [line for line in lines if "?" in line]
    assert "no data for 12 s" in "\n".join(lines) or width < 80


def test_a_total_that_is_not_known_is_not_shown():
    shown = Shown(terminal=True)
    shown.board.add("checking")
    assert shown.bars() == ["checking"]
    assert shown.board.line() == ""


def test_the_index_is_shown_after_the_units():
    shown = Shown(terminal=True)
    shown.send(units.UnitsPlanned(MB, 1, 0))
    shown.send(units.Finalising())
    assert shown.bars() == ["writing the index"]


def test_a_source_that_ends_early_counts_as_done():
    shown = Shown(terminal=True)
    shown.send(units.UnitsPlanned(400 * MB, 4, 0))
    shown.send(units.UnitStarted("train/50SMG", "train_50SMG_2.7z", 100 * MB))
    shown.after(10, units.UnitProgress("train/50SMG", 20 * MB))
    shown.send(units.UnitFailed("train/50SMG", "train_50SMG_2.7z", 5, "damaged"))
    shown.send(units.SourceSkipped(100 * MB))
    assert re.search(r" 50 %  200\.0 of 400\.0 MB  2\.0 MB/s", shown.bars()[0])


def test_bytes_of_a_killed_worker_are_taken_back():
    shown = Shown(terminal=True)
    shown.send(units.UnitsPlanned(400 * MB, 4, 0))
    shown.send(units.UnitStarted("train/50SMG", "train_50SMG_2.7z", 100 * MB))
    shown.after(10, units.UnitProgress("train/50SMG", 20 * MB))
    shown.send(units.UnitRetried("train/50SMG", "the worker process died", 1, 20 * MB))
    assert " 0 %  0.0 of 400.0 MB" in shown.bars()[0]


def test_a_rate_is_of_the_last_minute_and_not_of_earlier_bytes():
    clock = Clock()
    meter = Meter("download", 1000 * MB, 500 * MB, clock=clock)
    assert meter.rate is None
    assert meter.left is None
    for step in [1] * 100 + [2] * 100:
        clock.now += 1
        meter.add(step * MB)
    assert meter.rate == pytest.approx(2 * MB, rel=0.02)
    clock.now += 60
    assert meter.rate == pytest.approx(MB, rel=0.05), "a stall lowers the rate"
