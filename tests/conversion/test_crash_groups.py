"""A batch system kills a whole process group at random moments; then the same command resumes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord
from twins import first_quick, zarr_first

import s2ct_convert

UNITS = ("train_31TCJ", "train_34VFN", "train_49RGN", "train_50SMG", "val_31TCJ", "val_34VFN", "val_49RGN", "val_50SMG")
COMMAND = "s2ct convert in x"
# Kills its whole process group at the n-th event. The group is its own: start_new_session.
RUN = """
import os, signal, sys
import s2ct_convert

def main():
    n, linked, store, *sources = sys.argv[1:]
    left = int(n)
    def on_event(event):
        nonlocal left
        left -= 1
        if left == 0:
            os.killpg(0, signal.SIGKILL)
    s2ct_convert.convert(
        sources, store, linked=linked == "linked", jobs=2, on_event=on_event, command="s2ct convert in x"
    )

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    """Eight units, each of which needs a second pass."""
    rng = np.random.default_rng(53)
    folder = tmp_path_factory.mktemp("in")
    return [
        write_tfrecord(folder, [random_group(rng, localid, 20) for localid in (3, 1, 2)], unit=unit) for unit in UNITS
    ]


@pytest.fixture(scope="module")
def undisturbed(sources, tmp_path_factory):
    """Bytes of a store made without interruption, by suffix and way of linking; each is made once."""
    made: dict[tuple[str, str], dict[str, bytes]] = {}

    def content(suffix: str, linked: str) -> dict[str, bytes]:
        if (suffix, linked) not in made:
            store = tmp_path_factory.mktemp("undisturbed") / f"x.{suffix}"
            s2ct_convert.convert(sources, store, linked=linked == "linked", command=COMMAND)
            made[suffix, linked] = without_ledger(store)
        return made[suffix, linked]

    return content


def without_ledger(store: Path) -> dict[str, bytes]:
    return {name: data for name, data in plain.file_bytes(store.parent).items() if f"{store.name}.s2ct/" not in name}


def run(at: int, linked: str, store: Path, sources: list[Path]) -> subprocess.CompletedProcess[str]:
    script = store.parent.parent / "run.py"
    script.write_text(RUN)
    command = [sys.executable, str(script), str(at), linked, str(store), *map(str, sources)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, start_new_session=True)


# Each kill comes before its run ends, in any schedule of the processes. A unit has three events (started, progress,
# done), after the first event of the run. So the first 10 events report at most three finished units; two more units
# may be finished and not reported yet. Three of eight units are left for the second run: 10 events, then Finalising.
LOTS = [
    (suffix, linked, random.Random(f"{suffix} {linked}").sample(range(2, 11), 2))
    for suffix, linked in (("zarr", "whole"), ("h5", "whole"), ("h5", "linked"))
]


@pytest.mark.parametrize(("suffix", "linked", "moments"), first_quick(LOTS, quick=0))
def test_a_killed_process_group_resumes_to_the_same_bytes(
    tmp_path, sources, undisturbed, monkeypatch, suffix, linked, moments
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    right, store = undisturbed(suffix, linked), tmp_path / "out" / f"x.{suffix}"
    store.parent.mkdir()
    for moment in moments:
        died = run(moment, linked, store, sources)
        assert died.returncode == -signal.SIGKILL, died.stderr
        with pytest.raises(s2ct_convert.S2ctError):
            s2ct_convert.open_store(store)
    done = {path.stem for path in store.parent.glob("*.s2ct/units/*.json")}
    summary = s2ct_convert.convert(sources, store, linked=linked == "linked", command=COMMAND)
    assert {entry.unit.replace("/", "_") for entry in summary.skipped} == done
    assert without_ledger(store) == right
    beside = {f"x.{suffix}", f"x.{suffix}.s2ct", *([f"x.{suffix}.units"] if linked == "linked" else [])}
    assert {path.name for path in store.parent.iterdir()} == beside
    assert list((store.parent / f"x.{suffix}.s2ct" / "work").iterdir()) == []


@zarr_first
def test_a_kill_during_finalise_loses_no_unit(tmp_path, sources, suffix):
    """The kill comes at the last event, when every unit is done."""
    store = tmp_path / f"x.{suffix}"
    script = tmp_path / "run.py"
    script.write_text(RUN.replace("left -= 1", "left -= type(event).__name__ == 'Finalising'"))
    died = subprocess.run([sys.executable, script, "1", "whole", store, *sources], start_new_session=True, timeout=120)
    assert died.returncode == -signal.SIGKILL
    with pytest.raises(s2ct_convert.S2ctError):
        s2ct_convert.open_store(store)
    summary = s2ct_convert.convert(sources, store)
    assert (len(summary.skipped), len(summary.converted)) == (len(UNITS), 0)
    assert summary.digest == plain.store_digest(store)
