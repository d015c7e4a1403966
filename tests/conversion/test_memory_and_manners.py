"""What a run takes of a machine that others use too: memory, priority; and what its processes say meanwhile."""

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
from s2ct_convert.cli.options import _bytes
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
def test_memory_caps_units_at_a_time_and_cores_left_go_into_units(cores, units, memory, expected):
    assert share(cores, units, memory) == expected


class Listener:
    """Keeps notes, and how many workers were alive when units started."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.alive: list[int] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Message):
            self.notes.append(event.text)
        if isinstance(event, UnitStarted):
            self.alive.append(len(multiprocessing.active_children()))


@pytest.mark.parametrize(("allowed", "most"), [(3, 3), (2, 2), (1, 0)])
def test_a_run_with_less_memory_has_fewer_workers_and_says_so(tmp_path, sources, allowed, most):
    """One unit at a time is made in this process."""
    listener = Listener()
    s2ct_convert.convert(sources, tmp_path / "x.zarr", jobs=3, memory=allowed * PEAK_BYTES, on_event=listener)
    assert max(listener.alive) == most
    told = f"units at a time: {allowed} rather than 3, for the memory that is allowed"
    assert listener.notes == ([] if allowed == 3 else [told])


def test_less_memory_than_one_unit_takes_is_refused_before_anything_is_made(tmp_path, sources):
    with pytest.raises(WrongUsage) as caught:
        s2ct_convert.convert(sources, tmp_path / "x.zarr", memory=PEAK_BYTES - 1)
    assert caught.value.expected == f"--memory of {PEAK_BYTES >> 20}M at least"
    assert list(tmp_path.iterdir()) == []


def test_a_unit_takes_less_memory_than_is_reckoned_with(tmp_path, sources):
    """In processes of their own; this one has loaded much."""
    summary = s2ct_convert.convert(sources, tmp_path / "x.zarr", jobs=2)
    assert all(10 << 20 < entry.peak_memory < PEAK_BYTES for entry in summary.converted)


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 << 30), ("800M", 800 << 20), ("1.5g", 3 << 29), ("600MiB", 600 << 20), ("2T", 2 << 40)]
)
def test_sizes_are_taken_as_batch_systems_write_them(text, size):
    assert _bytes(None, None, text) == size  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "0", "G", "-1G", "4X", "1,5G", "nan"])
def test_what_is_no_size_is_wrong_usage(text):
    with pytest.raises(click.BadParameter, match="is not a size, such as 4G"):
        _bytes(None, None, text)  # type: ignore[arg-type]


def told_by(process: subprocess.Popen[str], word: str) -> str:
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if word in line:
            break
    return told


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are found in /proc")
def test_nice_is_of_the_run_and_of_its_workers(tmp_path, sources):
    """Looked at while the run is stopped: a worker that has ended meanwhile is a zombie and keeps its priority."""
    arguments = ["convert", *sources[:2], tmp_path / "x.zarr", "-j2", "--nice", "7"]
    words = [sys.executable, "-m", "s2ct_convert", *map(str, arguments)]
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        told_by(process, ": started")
        process.send_signal(signal.SIGSTOP)
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        found = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (process.pid, *children)]
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert set(found) == {min(19, before + 7)}
    assert len(children) >= 2  # workers, and what tracks their resources
