"""The files of the ledger: their paths, unexpected content, and cleaning while other processes work."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import DestinationExists
from s2ct_convert.names import UnitName
from s2ct_convert.processes import owner_tag
from s2ct_convert.units.entries import StoreOptions, UnitEntry
from s2ct_convert.units.ledger import Ledger

pytestmark = pytest.mark.every_variant  # all are quick

SMG, OTHER = UnitName("train", "50SMG"), UnitName("val", "50SMG")
OPTIONS = StoreOptions("zarr", "balanced")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    rng = np.random.default_rng(41)
    folder = tmp_path_factory.mktemp("in")
    return [
        write_tfrecord(folder, [random_group(rng, 1, 3)]),
        write_tfrecord(folder, [random_group(rng, 1, 2)], unit="val_50SMG"),
    ]


@pytest.fixture
def ledger(tmp_path, sources, suffix) -> Ledger:
    """The ledger of a complete store."""
    s2ct_convert.convert(sources, tmp_path / f"x.{suffix}")
    return Ledger(tmp_path / f"x.{suffix}")


def unit_file(ledger: Ledger, unit: UnitName) -> Path:
    return ledger.path / "units" / f"{unit.key}.json"


def test_ledger_files_match_the_design(ledger):
    files = sorted(path.relative_to(ledger.path).as_posix() for path in ledger.path.rglob("*"))
    units = ["units", "units/train_50SMG.json", "units/val_50SMG.json"]
    assert files == ["failed", "leases", "store.json", *units, "work"]


def test_an_entry_is_plain_json_with_source_and_content(ledger, sources):
    entry = json.loads(unit_file(ledger, SMG).read_text())
    assert entry.keys() == {field.name for field in dataclasses.fields(UnitEntry)}
    assert (entry["unit"], entry["source_file"]) == ("train/50SMG", sources[0].name)
    assert (entry["source_bytes"], entry["observations"], entry["samples"]) == (sources[0].stat().st_size, 3, 1)


def test_an_entry_of_another_unit_is_ignored(ledger):
    """Someone copies an entry by hand and gives it the wrong name."""
    unit_file(ledger, SMG).write_bytes(unit_file(ledger, OTHER).read_bytes())
    assert ledger.entry(SMG) is None


def test_an_entry_of_another_unit_never_gives_a_wrong_digest(ledger, sources):
    store = ledger.path.with_suffix("")
    right = s2ct_convert.convert(sources, store).digest
    unit_file(ledger, OTHER).write_bytes(unit_file(ledger, SMG).read_bytes())
    for some in (sources[:1], sources):
        s2ct_convert.convert(some, store)
        with s2ct_convert.open_store(store) as opened:
            assert opened.digest == right


def test_an_entry_of_a_later_version_means_not_done(ledger, sources):
    entry = json.loads(unit_file(ledger, SMG).read_text())
    unit_file(ledger, SMG).write_text(json.dumps({**entry, "of a later version": 1}))
    summary = s2ct_convert.convert(sources, ledger.path.with_suffix(""))
    assert [one.unit for one in summary.converted] == ["train/50SMG"]
    assert [one.unit for one in summary.skipped] == ["val/50SMG"]


@pytest.fixture
def started(tmp_path) -> Ledger:
    """The ledger of a store without units."""
    ledger = Ledger(tmp_path / "started.zarr")
    ledger.begin(OPTIONS, [SMG])
    return ledger


def change(ledger: Ledger, **values: object) -> None:
    path = ledger.path / "store.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("units", [None, 7, "train/50SMG", ["train"], [7]], ids=repr)
def test_invalid_units_in_a_ledger_are_refused(started, units):
    change(started, units=units)
    with pytest.raises(DestinationExists, match="cannot read the ledger of the store"):
        started.planned()


def test_another_layout_is_refused_and_the_difference_shown(started, tmp_path):
    """The lines ``expected`` and ``found`` of the message must differ."""
    change(started, layout=OPTIONS.layout + 1)
    with pytest.raises(DestinationExists) as caught:
        started.check_options(OPTIONS, tmp_path)
    assert caught.value.expected != caught.value.found


def test_stores_in_one_folder_have_separate_ledgers(tmp_path, sources):
    stores = [tmp_path / name for name in ("x.zarr", "x.h5", "x.zarr.zarr", "y.zarr")]
    for store in stores:
        s2ct_convert.convert(sources[:1], store)
    for store in stores:
        assert len(s2ct_convert.convert(sources[:1], store).skipped) == 1


def test_a_store_moved_with_its_ledger_resumes(tmp_path, sources, suffix):
    s2ct_convert.convert(sources[:1], tmp_path / "here" / f"x.{suffix}")
    (tmp_path / "here").rename(tmp_path / "there")
    summary = s2ct_convert.convert(sources, tmp_path / "there" / f"x.{suffix}")
    assert ([one.unit for one in summary.skipped], len(summary.converted)) == (["train/50SMG"], 1)


class TestCleaningWhileOthersWork:
    """Several processes may share a ledger, such as an array of batch jobs. None may delete the work of another."""

    WRITE = """
import os, signal, sys
from pathlib import Path
from s2ct_convert.durable import write_atomic
real = os.rename
def replace(*args):
    print("written", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    real(*args)
os.rename = replace
write_atomic(Path(sys.argv[1]), b"the entry")
"""

    @pytest.fixture
    def writer(self, started):
        """A process that is suspended between writing an entry and renaming it."""
        command = [sys.executable, "-c", self.WRITE, str(unit_file(started, SMG))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "written\n"
        os.waitpid(process.pid, os.WUNTRACED)
        yield started, process
        process.kill()
        process.communicate()

    def test_an_entry_that_a_live_process_is_writing_stays(self, writer):
        ledger, process = writer
        ledger.clean()
        os.kill(process.pid, signal.SIGCONT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert unit_file(ledger, SMG).read_text() == "the entry"

    def test_the_partial_entry_of_a_dead_process_is_deleted(self, writer):
        ledger, process = writer
        process.kill()
        process.wait()
        assert len(list((ledger.path / "units").iterdir())) == 1
        ledger.clean()
        assert list((ledger.path / "units").iterdir()) == []


def test_a_folder_that_a_live_process_is_deleting_stays(started):
    """Otherwise that process finds half of the folder gone and reports a fault of the file system."""
    doomed = started.path / "work" / f".train_50SMG.node1.7.1a2b3c4d@{owner_tag()}.s2ct-tmp"
    doomed.mkdir()
    started.clean()
    assert doomed.exists()
