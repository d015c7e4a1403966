"""Variations of names and packing from the shared folder, each with its expected exit codes and units."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import s2ct_convert

SHARED = Path(__file__).resolve().parents[3] / "shared"
pytestmark = pytest.mark.skipif(
    not (SHARED / "tools" / "make_cases.py").is_file(), reason="the cases are not beside the checkout"
)


@pytest.mark.slow
def test_every_case_has_an_expected_exit_code_and_its_units(run, tmp_path):
    cases = json.loads((SHARED / "data" / "cases.json").read_text())["packed"]
    command = [sys.executable, SHARED / "tools" / "make_cases.py", tmp_path / "in", *cases]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the cases cannot be made here: {made.stderr.splitlines()[-1]}")
    wrong = {}
    for case, expected in cases.items():
        done = run("convert", tmp_path / "in" / case, store := tmp_path / f"{case}.zarr", "-j1")
        units: list[str] = []
        if done.returncode in (0, 3):
            with s2ct_convert.open_store(store, allow_incomplete=True) as opened:
                units = sorted(opened.units)
        if done.returncode not in expected["exit"] or (done.returncode != 5 and units != sorted(expected["units"])):
            wrong[case] = (done.returncode, units, done.stderr)
    assert not wrong
