from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from s2ct_convert.errors import DestinationExists
from s2ct_convert.names import UnitName
from s2ct_convert.source.notes import Note
from s2ct_convert.store.container import UnitFile
from s2ct_convert.units.entries import StoreOptions, UnitEntry
from s2ct_convert.units.ledger import Ledger

pytestmark = pytest.mark.every_variant  # all are quick

SMG, RGN = UnitName("train", "50SMG"), UnitName("val", "49RGN")
OPTIONS = StoreOptions("zarr", "balanced")


def entry(unit: UnitName = SMG) -> UnitEntry:
    values = {
        field.name: {"int": 1, "float": 0.5, "str": "x", "list[int]": [1, 2]}.get(str(field.type))
        for field in dataclasses.fields(UnitEntry)
    }
    files = (UnitFile("image/c/0", 7, "0123abcd"), UnitFile("", 0, "0"))
    notes = (Note("dates_missing", 3, "example 1: 0"),)
    return UnitEntry(**{**values, "unit": str(unit), "files": files, "notes": notes})


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    ledger = Ledger(tmp_path / "x.zarr")
    ledger.begin(OPTIONS, [SMG])
    return ledger


def test_the_ledger_is_beside_the_store(tmp_path, ledger):
    assert ledger.path == tmp_path / "x.zarr.s2ct"
    assert ledger.exists()
    assert not Ledger(tmp_path / "other.zarr").exists()


def test_an_entry_is_read_as_it_was_written(ledger):
    assert ledger.entry(SMG) is None
    ledger.write(entry())
    assert ledger.entry(SMG) == entry()
    ledger.forget(SMG)
    assert ledger.entry(SMG) is None
    ledger.forget(SMG)  # again: nothing to forget


def test_planned_units_stay_planned(ledger):
    ledger.begin(OPTIONS, [RGN])
    assert ledger.planned() == [SMG, RGN]
    assert ledger.options() == OPTIONS


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"unit": "train/50SMG"}', '{"unit": 1, "of": "a later version"}', "\x00" * 80]
)
def test_an_unreadable_entry_is_none(ledger, content):
    ledger.write(entry())
    (path,) = (ledger.path / "units").iterdir()
    path.write_text(content)
    assert ledger.entry(SMG) is None


@pytest.mark.parametrize(
    "other", [StoreOptions("hdf5", "gzip"), StoreOptions("zarr", "fast"), StoreOptions("zarr", "balanced", layout=1)]
)
def test_other_options_are_refused_and_both_are_shown(ledger, other, tmp_path):
    ledger.check_options(OPTIONS, tmp_path)
    with pytest.raises(DestinationExists) as caught:
        ledger.check_options(other, tmp_path)
    assert caught.value.expected.startswith("--format zarr --codec balanced")
    assert caught.value.expected != caught.value.found


class TestClean:
    @pytest.fixture
    def dead(self) -> int:
        """Id of a process that has ended."""
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        return process.pid

    def work(self, ledger: Ledger, name: str) -> Path:
        path = ledger.path / "work" / name
        path.mkdir()
        (path / "half").write_bytes(b"x")
        return path

    def test_work_of_dead_processes_on_this_host_is_deleted(self, ledger, dead):
        host = ledger.scratch.path("x").name.split(".")[1]
        left = [self.work(ledger, f"train_50SMG.{host}.{dead}{suffix}") for suffix in ("", ".sorted")]
        ledger.clean()
        assert not any(path.exists() for path in left)

    def test_work_of_live_processes_and_of_other_hosts_stays(self, ledger, dead):
        host = ledger.scratch.path("x").name.split(".")[1]
        kept = [
            self.work(ledger, f"train_50SMG.{host}.{os.getpid()}"),
            self.work(ledger, f"train_50SMG.{host}.{os.getppid()}.sorted"),
            self.work(ledger, f"train_50SMG.another-machine.{dead}"),
        ]
        ledger.clean()
        assert all((path / "half").exists() for path in kept)

    def test_leases_of_dead_processes_are_deleted_and_held_leases_stay(self, ledger, tmp_path):
        """A process killed right after its unit was done leaves a lease, and no process takes that lease again."""
        code = (
            "import os, pathlib, signal, sys\n"
            "from s2ct_convert.units.ledger import Ledger\n"
            "from s2ct_convert.names import UnitName\n"
            "Ledger(pathlib.Path(sys.argv[1])).unit_lease(UnitName('train', '50SMG')).take()\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.zarr")])
        leases = ledger.path / "leases"
        (leases / "test_31TCJ.lease.breaking").touch()  # of a process killed while it broke a lease
        os.utime(leases / "test_31TCJ.lease.breaking", (0, 0))
        with ledger.unit_lease(RGN).held(), ledger.run_lease().held():
            assert len(list(leases.iterdir())) == 4
            ledger.clean()
            assert sorted(path.name for path in leases.iterdir()) == ["run.lease", "val_49RGN.lease"]

    def test_work_paths_contain_host_and_process(self, ledger):
        mine = ledger.scratch.path("train_50SMG")
        assert mine.name.endswith(f".{os.getpid()}")
        assert socket.gethostname().split(".")[0] in mine.name
