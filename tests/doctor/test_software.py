"""Versions, optional packages, unpackers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import h5py
import numpy as np

from s2ct_convert.archives import unpackers
from s2ct_convert.doctor import software
from s2ct_convert.doctor.findings import Findings

ROOT = Path(__file__).resolve().parents[2]


def examined(what) -> Findings:
    found = Findings()
    what(found)
    return found


def test_the_versions_are_those_of_the_packages():
    found = examined(software.examine_software)
    assert found.values["packages"]["numpy"] == np.__version__
    assert found.values["packages"]["HDF5"] == h5py.version.hdf5_version
    assert found.problems == []


def test_a_missing_package_is_a_problem_and_a_missing_extra_is_not(monkeypatch):
    monkeypatch.setattr(software, "_version", lambda name: None if name in ("zarr", "torch") else "1")
    found = examined(software.examine_software)
    assert [one.what for one in found.problems] == ["zarr is not installed or does not load"]
    assert dict(found.facts)["optional"].endswith("extras not installed: torch")


def test_the_optional_packages_are_those_of_the_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {
        extra: tuple(re.match(r"[A-Za-z0-9_.-]+", one)[0] for one in those)
        for extra, those in extras.items()
        if extra not in ("dev", "docs", "readers")
    }
    assert {extra: set(those) for extra, those in names.items()} == {
        extra: set(those) for extra, those in software.OPTIONAL.items()
    }


def program(folder: Path, banner: str) -> None:
    path = folder / "7zz"
    path.write_text(f"#!/bin/sh\nprintf '{banner}'\n")
    path.chmod(0o755)


def test_a_slow_7_zip_brings_advice_and_a_fast_one_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(unpackers, "find_spec", lambda name: None)
    for tail, advice in (("", 1), (", ASM", 0)):
        unpackers._look_at.cache_clear()
        program(tmp_path, f"\\n7-Zip (z) 24.09 (x64) : Copyright\\n 64-bit Threads:2{tail}\\n")
        found = examined(software.examine_unpackers)
        assert len(found.advice) == advice
        assert found.values["unpacker"] == "7zz 24.09"
    unpackers._look_at.cache_clear()


def test_without_7_zip_python_unpacks_and_there_is_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(unpackers, "find_spec", lambda name: None)
    found = examined(software.examine_unpackers)
    assert found.values["unpacker"] == "python"
    assert "[7zz]" in found.advice[0].todo
