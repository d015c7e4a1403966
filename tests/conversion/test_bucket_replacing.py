"""A finished unit in a bucket that is replaced: the old one, none, or the new one, wherever a run is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from makers import random_group, write_tfrecord
from servers.made_bucket import ADDRESS, same_as_on_disk, sent_twice
from servers.objects import Bucket, Handler

import s2ct_convert
from s2ct_convert.errors import Incomplete
from s2ct_convert.store.local import crc32_of

pytest.importorskip("obstore")
UNIT = "train/50SMG"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another source of the first unit, with fewer arrays' chunks than the first."""
    return write_tfrecord(tmp_path, [random_group(np.random.default_rng(5), 7, 40)], unit="train_50SMG")


def recorded(bucket: Bucket) -> str | None:
    """The digest of the unit in its record, whose objects must all be there; None without a record."""
    folder = bucket.folder / "b"
    record = folder / "made.zarr.s2ct" / "units" / "train_50SMG.json"
    if not record.exists():
        return None
    entry = json.loads(record.read_bytes())
    there = {path.relative_to(folder / "made.zarr" / UNIT).as_posix(): path for path in files_below(bucket)}
    assert sorted(there) == sorted(file["name"] for file in entry["files"])
    for file in entry["files"]:
        assert crc32_of(there[file["name"]].read_bytes()) == file["crc32"], file["name"]
    return str(entry["digest"])


def files_below(bucket: Bucket) -> list[Path]:
    return [path for path in (bucket.folder / "b" / "made.zarr" / UNIT).rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_unit_in_a_bucket_is_replaced_on_request(bucket, made_sources, other, tmp_path):
    s2ct_convert.convert(made_sources[:2], ADDRESS)
    with pytest.raises(s2ct_convert.UnitsFailed, match="1 source was refused"):
        s2ct_convert.convert([other, made_sources[1]], ADDRESS)
    bucket.requests.clear()
    summary = s2ct_convert.convert([other, made_sources[1]], ADDRESS, overwrite_units=[UNIT])
    assert [entry.unit for entry in summary.converted] == [UNIT]
    assert sent_twice(bucket) == []
    s2ct_convert.convert([other, made_sources[1]], tmp_path / "local.zarr")
    assert same_as_on_disk(bucket, tmp_path / "local.zarr")
    assert not list((bucket.folder / "b" / "made.zarr.s2ct" / "replacing").iterdir())


@pytest.mark.slow
@pytest.mark.every_variant
@pytest.mark.parametrize("number", [6, 7, 8, 9, 10, 22, 35, 36, 37, 38, 39, 40, 52, 66, 70, 72])
def test_a_run_that_is_killed_while_it_replaces_leaves_no_mix(bucket, made_sources, other, tmp_path, number):
    old = s2ct_convert.convert(made_sources[:1], ADDRESS).converted[0].digest
    new = s2ct_convert.convert([other], tmp_path / "local.zarr").converted[0].digest
    process: list[subprocess.Popen[bytes]] = []

    def kill(handler: Handler) -> None:
        handler.write()
        os.kill(process[0].pid, signal.SIGKILL)

    command = [sys.executable, "-m", "s2ct_convert", "convert", str(other), ADDRESS, "-j1", "--overwrite-unit", UNIT]
    bucket.writes, bucket.after_writes = 0, (number, kill)
    process.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
    assert process[0].wait(timeout=120) == -signal.SIGKILL
    assert recorded(bucket) in (old, None, new)
    with pytest.raises(Incomplete):
        s2ct_convert.open_store(ADDRESS)
    if number % 2:  # as on another machine
        shutil.rmtree("made.zarr.scratch")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert recorded(bucket) == new
    assert same_as_on_disk(bucket, tmp_path / "local.zarr")
    assert s2ct_convert.verify_store(ADDRESS).findings == []


@pytest.mark.slow
def test_objects_of_a_killed_run_give_way_on_request(bucket, made_sources, other, tmp_path):
    label = bucket.folder / "b" / "made.zarr" / UNIT / "label"
    s2ct_convert.convert(made_sources[:1], ADDRESS)
    (bucket.folder / "b" / "made.zarr.s2ct" / "units" / "train_50SMG.json").unlink()
    shutil.rmtree(label)
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        s2ct_convert.convert([other], ADDRESS)
    assert f"--overwrite-unit {UNIT}" in caught.value.summary.failures[0].message
    assert "s2ct convert" not in str(caught.value), "the same again would fail again"
    s2ct_convert.convert([other], ADDRESS, overwrite_units=[UNIT])
    s2ct_convert.convert([other], tmp_path / "local.zarr")
    assert same_as_on_disk(bucket, tmp_path / "local.zarr")
