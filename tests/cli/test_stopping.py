"""The sentence of a stopped command: what is kept, and the command to go on with."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

import s2ct_convert
from s2ct_convert.cli import cli, stopping
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


# The library function that is stopped, the arguments of the command, and what it says is kept.
COMMANDS = {
    "verify store": ("verify.store.verify_store", ["STORE"], "no result is kept; the check starts again"),
    "verify sources": ("verify.sources.verify_sources", ["ARCHIVE"], "no result is kept; the check starts again"),
    "verify checksums": ("record.checksums.check_files", ["ARCHIVE"], "no result is kept; the check starts again"),
    "extract": ("archives.extract.extract_archive", ["ARCHIVE", "out"], "unpacked files stay in out"),
    "export": ("export.tfrecord.export_tfrecord", ["STORE", "back"], "whole TFRecords stay in back"),
    "download": ("conversion.download.download", ["here"], "whole and partial files stay in here"),
    "build": ("conversion.build.build", ["x.zarr"], "nothing of x.zarr has changed"),
    "batch run": ("conversion.batch.run_units", ["x.zarr", "1"], "nothing of x.zarr has changed"),
    "batch finalise": ("conversion.batch_finalise.finalise_batch", ["x.zarr"], "the units of x.zarr stay"),
}


@pytest.mark.every_variant
@pytest.mark.parametrize("name", COMMANDS)
def test_every_long_command_says_what_is_kept(monkeypatch, sample_stores, name):
    function, arguments, kept = COMMANDS[name]
    places = {"STORE": sample_stores["zarr"], "ARCHIVE": s2ct_convert.sample_sources()[0]}
    words = [*name.split(), *(os.fspath(places.get(word, word)) for word in arguments)]

    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"s2ct_convert.{function}", interrupted)
    monkeypatch.setattr("sys.argv", ["s2ct", *words])
    with pytest.raises((KeyboardInterrupt, click.Abort)):
        cli.main(words, standalone_mode=False)
    assert stopping.stopped("interrupted") == f"s2ct: interrupted; {kept}\n  to go on: s2ct {' '.join(words)}"
