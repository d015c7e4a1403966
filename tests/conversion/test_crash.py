"""A killed conversion never leaves a store that looks finished and is not, and the same command finishes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord
from proc import workers_of
from twins import slow, zarr_first

import s2ct_convert
from s2ct_convert.units.events import UnitStarted

DRIVER = Path(__file__).with_name("crash_driver.py")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    """Two small units, one of which needs a second pass."""
    rng = np.random.default_rng(17)
    folder = tmp_path_factory.mktemp("in")
    return [
        write_tfrecord(folder, [random_group(rng, i, 2) for i in (2, 1, 2)]),
        write_tfrecord(folder, [random_group(rng, 1, 3)], unit="val_50SMG"),
    ]


@pytest.mark.parametrize(
    ("suffix", "linked", "start", "stride"),
    [
        ("zarr", "whole", "new", 61),
        ("h5", "whole", "new", 3),
        pytest.param("zarr", "whole", "new", 3, marks=slow),  # of 450 steps: zarr writes each array by rename
        pytest.param("zarr", "whole", "grown", 4, marks=slow),
        pytest.param("h5", "whole", "new", 1, marks=slow),
        pytest.param("h5", "whole", "grown", 1, marks=slow),
        pytest.param("h5", "linked", "new", 1, marks=slow),
        pytest.param("h5", "linked", "grown", 1, marks=slow),
    ],
)
def test_a_kill_before_any_durable_step_loses_only_unfinished_work(tmp_path, sources, suffix, linked, start, stride):
    command = [sys.executable, str(DRIVER), suffix, linked, start, str(stride), str(tmp_path), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) > 20


@pytest.fixture(scope="module")
def long_sources(tmp_path_factory) -> list[Path]:
    """Two units that take long enough for a kill in between."""
    rng = np.random.default_rng(19)
    folder = tmp_path_factory.mktemp("long")
    data = write_tfrecord(folder / "part", [random_group(rng, i, 100) for i in range(4)]).read_bytes() * 20
    paths = []
    for unit in ("train_50SMG", "val_50SMG"):
        paths.append(folder / f"{unit}_80")
        paths[-1].write_bytes(data)
    return paths


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")


def start(sources: list[Path], store: Path, until: str) -> subprocess.Popen[str]:
    """Start a conversion in two processes; return when its stderr has a line with ``until``."""
    command = [sys.executable, "-m", "s2ct_convert", "convert", *map(str, sources), str(store), "-j2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in process.stderr:
        if until in line:
            return process
    raise AssertionError(f"{until!r} did not appear")


@needs_proc
@zarr_first
def test_workers_end_when_the_run_is_killed_and_the_next_run_finishes(s2ct, tmp_path, long_sources, suffix):
    store = tmp_path / f"x.{suffix}"
    process = start(long_sources, store, "train/50SMG: started")
    workers = workers_of(process.pid)
    assert workers
    process.kill()
    process.communicate()
    for worker in workers:
        wait_for_end(worker)
    with pytest.raises(s2ct_convert.S2ctError):
        s2ct_convert.open_store(store)
    done = s2ct("convert", *long_sources, store, "-j2")
    assert done.returncode == 0, done.stderr
    work = store.with_name(f"{store.name}.s2ct") / "work"
    assert not list(work.iterdir())


def wait_for_end(pid: int) -> None:
    """Wait until a process ends that is not a child of this process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    try:
        assert select.select([descriptor], [], [], 60)[0], f"process {pid} runs without its parent"
    finally:
        os.close(descriptor)


def test_an_interrupted_run_leaves_finished_units_unchanged(tmp_path, sources):
    """An exception in the callback, as an example of an orderly end of the process."""
    store = tmp_path / "x.zarr"

    def stop_at_the_second(event: object) -> None:
        if isinstance(event, UnitStarted) and event.unit == "val/50SMG":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        s2ct_convert.convert(sources, store, on_event=stop_at_the_second)
    before = plain.file_bytes(store / "train")
    summary = s2ct_convert.convert(sources, store)
    assert [entry.unit for entry in summary.skipped] == ["train/50SMG"]
    assert {name: data for name, data in plain.file_bytes(store / "train").items() if name != "zarr.json"} == {
        name: data for name, data in before.items() if name != "zarr.json"
    }
