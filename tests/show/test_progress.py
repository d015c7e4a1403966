"""Progress as lines: one line per event, and the events that are shown even with ``--quiet``."""

from __future__ import annotations

import pytest

from s2ct_convert.events import Event, Message
from s2ct_convert.record.events import FileFailed, FilesPlanned, FileStarted
from s2ct_convert.show.progress import show_progress
from s2ct_convert.units.events import Finalising, UnitFailed, UnitLog, UnitRetried, UnitsPlanned, UnitStarted

LINES = [
    (Message("the list of files has changed"), "note: the list of files has changed", True),
    (FilesPlanned(2, 3_000_000, 0, 1), "2 files to download, 3.0 MB; 1 already here", False),
    (FileStarted("train_50SMG_2.7z", 2_000_000, 0), "train_50SMG_2.7z: started, 2.0 MB", False),
    (FileFailed("train_50SMG_2.7z", 7, "no network"), "train_50SMG_2.7z: FAILED\nno network", True),
    (UnitsPlanned(2_000_000, 1, 3), "1 unit to convert, 2.0 MB, 3 done before", False),
    (UnitStarted("train/50SMG", "train_50SMG_2.7z"), "train/50SMG: started, train_50SMG_2.7z", False),
    (UnitLog("train/50SMG", "a warning"), "train/50SMG: a warning", True),
    (
        UnitRetried("train/50SMG", "the worker process died", 1, 9),
        "train/50SMG: the worker process died; s2ct retries it once at the end, with 1 job at a time",
        True,
    ),
    (UnitFailed("train/50SMG", "a.7z", 5, "damaged"), "train/50SMG: FAILED\ndamaged", True),
    (UnitFailed("train/50SMG", "a.7z", 5, "another", refused=True), "train/50SMG: REFUSED\nanother", True),
    (Finalising(), "writing the index", False),
]


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(("event", "line", "always"), LINES, ids=[type(event).__name__ for event, _, _ in LINES])
def test_an_event_is_one_line_on_stderr(capsys, event: Event, line: str, always: bool, quiet: bool):
    with show_progress(quiet=quiet, verbose=False) as on_event:
        on_event(event)
    assert capsys.readouterr().err == (f"{line}\n" if always or not quiet else "")


def test_an_unknown_event_is_not_shown(capsys):
    with show_progress(quiet=False, verbose=True) as on_event:
        on_event(Event())
    assert capsys.readouterr().err == ""
