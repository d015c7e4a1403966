"""A damaged archive, a full disk and a dead node during a batch, as docs/cluster.md describes them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import random_group, write_archive, write_tfrecord

from s2ct_convert.errors import EXIT_INCOMPLETE, EXIT_MACHINE
from s2ct_convert.lease import SILENT_SECONDS

from .helpers import assert_says, assert_tidy, right_source, state

UNITS = ("train_31TCJ", "train_50SMG", "val_50SMG")


def states(run: Any, store: Path) -> dict[str, str]:
    status = json.loads(run("batch", "status", store, "--json").stdout)
    return {unit["unit"]: unit["state"] for unit in status["units"]}


def good(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_a_new_archive_is_used_after_init_and_finished_units_stay(run, tmp_path):
    archives, store = tmp_path / "in", tmp_path / "x.zarr"
    for unit in UNITS:
        record = right_source(tmp_path, unit)
        write_archive(archives / f"{record.name}.7z", {record.name: record.read_bytes()})
    bad = archives / "train_50SMG_2.7z"
    content = bad.read_bytes()
    bad.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    good(run("batch", "init", archives, store))
    assert run("batch", "run", store, "1-3").returncode == EXIT_INCOMPLETE
    assert states(run, store)["train/50SMG"] == "failed"
    assert sorted(states(run, store).values()) == ["done", "done", "failed"]
    assert "missing  --array=" in run("batch", "status", store).stdout
    bad.write_bytes(content)
    os.utime(bad, (1e9, 1e9))
    told = ("the file has changed since the plan was made", "s2ct batch init")
    assert_says(run("batch", "run", store, "1-3"), EXIT_INCOMPLETE, *told)
    assert "1 unit to make, 2 done before" in good(run("batch", "init", archives, store)).stderr
    assert good(run("batch", "run", store, "1-3")).stderr.count(" is done") == 2
    good(run("batch", "finalise", store))
    assert len(state(store)) == 3


def test_a_task_on_a_full_disk_leaves_no_partial_unit_and_resumes(run, tmp_path, disk, suffix):
    rng, sources = np.random.default_rng(29), []
    for unit in UNITS[:2]:
        group = random_group(rng, 4, 60)
        group.image = rng.integers(0, 65536, group.image.shape, dtype=np.uint16)  # incompressible
        sources.append(write_tfrecord(tmp_path / "in", [group], unit=unit))
    folder = disk("size=1400k")
    store = folder / f"x.{suffix}"
    good(run("batch", "init", *sources, store))
    good(run("batch", "run", store, 1))
    done = run("batch", "run", store, 2)
    assert_says(done, EXIT_MACHINE, "No space left on device", "free some space", "run the same command again")
    assert sorted(states(run, store).values()) in (
        ["done", "failed"],
        ["done", "planned"],
    )  # the disk may have no space for the failure entry either
    assert list((folder / f"{store.name}.s2ct" / "work").iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True)
    good(run("batch", "run", store, 2))
    good(run("batch", "finalise", store))
    assert len(state(store)) == 2
    assert_tidy(store)


@pytest.mark.parametrize(("silent", "shown"), [(0, "running"), (SILENT_SECONDS + 1, "planned")])
def test_a_unit_on_another_host_is_running_until_its_heartbeat_expires(run, tmp_path, silent, shown):
    store = tmp_path / "x.zarr"
    good(run("batch", "init", right_source(tmp_path), store))
    lease = tmp_path / "x.zarr.s2ct" / "leases" / "train_50SMG.lease"
    lease.write_text(json.dumps({"host": "node7", "pid": 4711, "boot": "x", "started": 1, "lease": "y"}))
    then = time.time() - silent
    os.utime(lease, (then, then))
    assert states(run, store) == {"train/50SMG": shown}
    text = run("batch", "status", store).stdout
    assert ("process 4711 on node7, last heartbeat" in text) == (shown == "running")
    assert ("missing  --array=1" in text) == (shown == "planned")
    if shown == "planned":
        good(run("batch", "run", store, 1))
        assert not lease.exists()


@pytest.mark.slow
def test_sources_refused_before_a_batch_are_named_until_their_unit_is_run(run, tmp_path):
    store, kept = tmp_path / "x.zarr", right_source(tmp_path / "a")
    refused, new = right_source(tmp_path / "b", localids=(8, 9)), right_source(tmp_path / "c", "val_50SMG")
    assert run("convert", kept, refused, store, "-j1").returncode == 3
    assert run("batch", "init", new, store).returncode == 0
    assert run("batch", "run", store, "1").stdout == f"next: s2ct batch finalise {store} --partial\n"
    assert refused.name in run("batch", "status", store).stdout
    assert run("batch", "finalise", store, "--partial").stdout.startswith(f"{store} is partial: without 1 source")
    assert run("batch", "init", kept, new, store).returncode == 0
    assert run("batch", "run", store, "1-2").returncode == 0
    assert run("batch", "finalise", store).stdout.startswith(f"{store} is complete")
