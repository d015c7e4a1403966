"""The use of a shared machine: memory limit and priority of a run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.cli.options import read_bytes
from s2ct_convert.conversion.estimate import PEAK_BYTES, share
from s2ct_convert.errors import WrongUsage
from s2ct_convert.events import Message
from s2ct_convert.units.events import UnitStarted

UNITS = ("train_31TCJ", "train_34VFN", "val_50SMG")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    rng, folder = np.random.default_rng(83), tmp_path_factory.mktemp("in")
    return [write_tfrecord(folder, [random_group(rng, 1, 60)], unit=unit) for unit in UNITS]


@pytest.mark.parametrize(
    ("cores", "units", "memory", "expected"),
    [
        (8, 72, None, (8, 1)),
        (8, 3, None, (3, 2)),
        (8, 72, 4 * PEAK_BYTES, (4, 2)),
        (8, 72, 4 * PEAK_BYTES - 1, (3, 2)),
        (8, 3, 100 * PEAK_BYTES, (3, 2)),
        (2, 72, PEAK_BYTES, (1, 2)),
        (1, 72, None, (1, 1)),
    ],
)
def test_memory_limits_units_and_spare_cores_become_threads(cores, units, memory, expected):
    assert share(cores, units, memory) == expected


class Listener:
    """Collects notes, and the number of live workers at each start of a unit."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.alive: list[int] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Message):
            self.notes.append(event.text)
        if isinstance(event, UnitStarted):
            self.alive.append(len(multiprocessing.active_children()))


@pytest.mark.parametrize(("allowed", "most", "by_cgroup"), [(2, 2, True), (3, 3, False), (2, 2, False), (1, 0, False)])
def test_a_memory_limit_reduces_workers_and_is_reported(tmp_path, sources, allowed, most, by_cgroup, monkeypatch):
    """With one unit at a time there are no workers: it is made in this process."""
    listener = Listener()
    memory = None if by_cgroup else allowed * PEAK_BYTES
    monkeypatch.setattr(
        "s2ct_convert.conversion.convert.shared_memory", lambda: allowed * PEAK_BYTES if by_cgroup else None
    )
    s2ct_convert.convert(sources, tmp_path / "x.zarr", jobs=3, memory=memory, on_event=listener)
    assert max(listener.alive) == most
    note = f"making {allowed} instead of 3 units at a time, because of the memory limit"
    assert listener.notes == ([] if allowed == 3 else [note])


def test_a_memory_limit_below_one_unit_is_refused_at_once(tmp_path, sources):
    with pytest.raises(WrongUsage) as caught:
        s2ct_convert.convert(sources, tmp_path / "x.zarr", memory=PEAK_BYTES - 1)
    assert caught.value.expected == f"--memory of at least {PEAK_BYTES >> 20}M"
    assert list(tmp_path.iterdir()) == []


def test_a_unit_needs_less_memory_than_the_estimate(tmp_path, sources):
    """Measured in worker processes, since the test process has loaded much."""
    summary = s2ct_convert.convert(sources, tmp_path / "x.zarr", jobs=2)
    assert all(10 << 20 < entry.peak_memory < PEAK_BYTES for entry in summary.converted)


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 << 30), ("800M", 800 << 20), ("1.5g", 3 << 29), ("600MiB", 600 << 20), ("2T", 2 << 40)]
)
def test_sizes_have_the_syntax_of_batch_systems(text, size):
    assert read_bytes(None, None, text) == size  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "0", "G", "-1G", "4X", "1,5G", "nan"])
def test_what_is_no_size_is_wrong_usage(text):
    with pytest.raises(click.BadParameter, match="is not a size, such as 4G"):
        read_bytes(None, None, text)  # type: ignore[arg-type]


def read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stderr is not None
    output = ""
    for line in process.stderr:
        output += line
        if word in line:
            break
    return output


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are found in /proc")
@pytest.mark.slow
def test_nice_applies_to_the_run_and_its_workers(tmp_path, sources):
    """Read while the run is suspended. A worker that has ended is a zombie and keeps its priority."""
    arguments = ["convert", *sources[:2], tmp_path / "x.zarr", "-j2", "--nice", "7"]
    words = [sys.executable, "-m", "s2ct_convert", *map(str, arguments)]
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        read_until(process, ": started")
        process.send_signal(signal.SIGSTOP)
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        found = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (process.pid, *children)]
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert set(found) == {min(19, before + 7)}
    assert len(children) >= 2  # workers and the resource tracker
