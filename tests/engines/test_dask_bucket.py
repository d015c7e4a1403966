"""Dask workers write to a bucket and read sources from one. They share no disk, but for other sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import random_group, write_tfrecord
from servers.made_bucket import same_as_on_disk
from servers.objects import Bucket, serve

import s2ct_convert
from s2ct_convert.errors import WrongUsage
from s2ct_convert.objects import service
from s2ct_convert.units.events import UnitSending

pytest.importorskip("distributed")
pytest.importorskip("obstore")


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with serve(tmp_path / "served") as bucket:
        for name, value in {"ENDPOINT_URL": bucket.url, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        service._client.cache_clear()
        yield bucket


def start_apart(dask: Any, hidden: Path, n: int) -> None:
    """Start workers, each of which sees an empty disk of its own where the client and Dask have a folder."""
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(hidden)]
    if os.geteuid() or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("file systems can only be hidden by root, and not in every container")
    own = dask.folder / "scratch"
    own.mkdir()
    script = f'mount -t tmpfs tmpfs {hidden} && mount -t tmpfs tmpfs {own} && exec "$@"'
    dask.start_workers(n, prefix=["unshare", "-m", "sh", "-c", script, "sh"])


@pytest.mark.slow
def test_dask_workers_without_a_common_disk_write_to_a_bucket(dask, bucket, tmp_path, made_sources, made):
    (tmp_path / "mine").mkdir()
    start_apart(dask, tmp_path / "mine", 2)
    seen: list[UnitSending] = []
    summary = s2ct_convert.convert(
        made_sources,
        "s3://b/made.zarr",
        engine="dask",
        scheduler_file=dask.file,
        scratch=tmp_path / "mine" / "scratch",
        on_event=lambda event: seen.append(event) if isinstance(event, UnitSending) else None,
    )
    assert len(summary.converted) == 3
    assert {event.unit for event in seen if event.sent == event.bytes} == {one.unit for one in summary.converted}
    with s2ct_convert.open_store(made["zarr"]) as here, s2ct_convert.open_store("s3://b/made.zarr") as there:
        assert here.digest == there.digest == summary.digest
    assert same_as_on_disk(bucket, made["zarr"])
    left = dask.admin.run(lambda dask_worker: [str(path) for path in Path(dask_worker.local_directory).rglob("s2ct-*")])
    assert not any(left.values())


@pytest.mark.slow
def test_dask_workers_without_a_common_disk_replace_a_unit(dask, bucket, tmp_path, made_sources):
    (tmp_path / "mine").mkdir()
    other = write_tfrecord(tmp_path, [random_group(np.random.default_rng(5), 7, 40)], unit="train_50SMG")
    s2ct_convert.convert(made_sources[:2], "s3://b/made.zarr", scratch=tmp_path / "first")
    start_apart(dask, tmp_path / "mine", 1)
    s2ct_convert.convert(
        [other, made_sources[1]],
        "s3://b/made.zarr",
        engine="dask",
        scheduler_file=dask.file,
        scratch=tmp_path / "mine" / "scratch",
        overwrite_units=["train/50SMG"],
    )
    s2ct_convert.convert([other, made_sources[1]], tmp_path / "local.zarr")
    assert same_as_on_disk(bucket, tmp_path / "local.zarr")


@pytest.mark.slow
def test_a_worker_that_cannot_read_the_bucket_is_refused(dask, bucket, tmp_path, monkeypatch, made_sources):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    dask.start_workers(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    with pytest.raises(WrongUsage, match="do not see the files of this machine, or the bucket"):
        s2ct_convert.convert(
            made_sources, "s3://b/made.zarr", engine="dask", scheduler_file=dask.file, scratch=tmp_path / "mine"
        )
    assert bucket.puts() == []


@pytest.mark.slow
def test_dask_workers_read_sources_from_a_bucket(dask, bucket, tmp_path, sample_stores):
    (tmp_path / "served" / "b").mkdir(parents=True, exist_ok=True)
    for path in s2ct_convert.sample_sources():
        shutil.copy(path, tmp_path / "served" / "b")
    dask.start_workers(2)
    summary = s2ct_convert.convert("s3://b", tmp_path / "x.zarr", engine="dask", scheduler_file=dask.file)
    with s2ct_convert.open_store(sample_stores["zarr"]) as local:
        assert summary.digest == local.digest
