"""The folder: space, inodes, locks."""

from __future__ import annotations

import errno
from pathlib import Path

import h5py
import pytest

from s2ct_convert.doctor import place
from s2ct_convert.doctor.findings import Findings
from s2ct_convert.doctor.place import examine_place


def examined(folder: Path) -> Findings:
    found = Findings()
    examine_place(folder, found)
    return found


def test_a_good_folder_has_working_locks_and_stays_empty(tmp_path):
    found = examined(tmp_path)
    assert found.values["file_locks"]["flock"]
    assert found.values["file_locks"]["hdf5"]
    assert found.values["space"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("unlocked", "what"), [(True, "HDF5 cannot lock files"), (False, "HDF5 cannot write")])
def test_a_failure_of_hdf5_is_a_problem(tmp_path, monkeypatch, unlocked, what):
    open_file = h5py.File

    def refused(*arguments: object, locking: bool | None = None) -> h5py.File:
        if unlocked and locking is False:
            return open_file(*arguments, locking=locking)
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(h5py, "File", refused)
    monkeypatch.setattr(place.fcntl, "flock", refused)
    found = examined(tmp_path)
    assert found.values["file_locks"]["flock"] is found.values["file_locks"]["hdf5"] is False
    assert what in found.problems[-1].what
    assert ("HDF5_USE_FILE_LOCKING=FALSE" in found.problems[-1].todo) == unlocked


def test_a_lock_that_everyone_gets_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(place.fcntl, "flock", lambda *arguments: None)
    assert "has no effect" in dict(examined(tmp_path).facts)["file locks"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has /proc")
def test_a_folder_that_cannot_be_written_is_a_problem():
    found = examined(Path("/proc"))
    assert any("nothing can be written to /proc" in one.what for one in found.problems)
    assert found.values["file_system"] == "proc"


def test_little_space_and_few_inodes_are_problems(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "LITTLE_BYTES", 1 << 62)
    monkeypatch.setattr(place, "LITTLE_INODES", 1 << 62)
    found = examined(tmp_path)
    assert "are free in" in found.problems[0].what
    assert found.values["inodes"] is None or "inodes" in found.problems[1].what
