"""The sentence of a stopped command: what is kept, and the command to go on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2ct_convert.cli import stopping
from s2ct_convert.events import ignore
from s2ct_convert.units.events import UnitDone, UnitsPlanned

STORE = Path("x.zarr")


@pytest.fixture(autouse=True)
def command(monkeypatch):
    """A command that is typed, and no note of an earlier one."""
    monkeypatch.setattr("sys.argv", ["s2ct", "convert", "my archives", "x.zarr", "--overwrite"])
    monkeypatch.setattr(stopping, "_kept", "")
    monkeypatch.setattr(stopping, "_restarts", False)


def test_a_command_that_keeps_nothing_names_itself():
    assert (
        stopping.stopped("interrupted")
        == "s2ct: interrupted\n  to go on: s2ct convert 'my archives' x.zarr --overwrite"
    )


def test_a_conversion_counts_the_units_that_are_done():
    send = stopping.keeps_units(STORE, ignore, "; downloads stay in x.zarr.archives")
    send(UnitsPlanned(9, 3, 1))
    send(UnitDone(None))
    assert stopping.stopped("terminated") == (
        "s2ct: terminated; 2 of 4 units of x.zarr are done and kept; downloads stay in x.zarr.archives\n"
        "  to go on: s2ct convert 'my archives' x.zarr"
    )


def test_overwrite_is_left_out_only_once_the_old_store_is_gone():
    """Else the same command would delete the finished units, or keep the old store."""
    send = stopping.keeps_units(STORE, ignore)
    assert stopping.stopped("interrupted").splitlines()[0] == "s2ct: interrupted; nothing of x.zarr has changed"
    assert stopping.stopped("interrupted").endswith(" --overwrite")
    send(UnitsPlanned(9, 3, 0))
    assert not stopping.stopped("interrupted").endswith(" --overwrite")
