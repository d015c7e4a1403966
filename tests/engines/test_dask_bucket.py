"""Dask workers write to a bucket, from a scratch folder that they share, and read sources from one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from servers.objects import serve

import s2ct_convert
from s2ct_convert.objects import service

pytest.importorskip("distributed")
pytest.importorskip("obstore")


@pytest.mark.slow
def test_dask_workers_write_to_a_bucket(dask, tmp_path, monkeypatch, made_sources, made):
    with serve(tmp_path / "served") as bucket:
        for name, value in {"ENDPOINT_URL": bucket.url, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        service._client.cache_clear()
        dask.start_workers(2)
        summary = s2ct_convert.convert(
            made_sources, "s3://b/made.zarr", engine="dask", scheduler_file=dask.file, scratch=tmp_path / "shared"
        )
        assert len(summary.converted) == 3
        there = tmp_path / "served" / "b" / "made.zarr"
        names = [path.relative_to(made["zarr"]) for path in made["zarr"].rglob("*") if path.is_file()]
        for name in names:
            if name != Path("zarr.json"):
                assert (there / name).read_bytes() == (made["zarr"] / name).read_bytes(), name
        with s2ct_convert.open_store("s3://b/made.zarr") as store:
            assert store.digest == summary.digest


@pytest.mark.slow
def test_dask_workers_read_sources_from_a_bucket(dask, tmp_path, monkeypatch, sample_stores):
    (tmp_path / "served" / "b").mkdir(parents=True)
    for path in s2ct_convert.sample_sources():
        shutil.copy(path, tmp_path / "served" / "b")
    with serve(tmp_path / "served") as bucket:
        for name, value in {"ENDPOINT_URL": bucket.url, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        service._client.cache_clear()
        dask.start_workers(2)
        summary = s2ct_convert.convert("s3://b", tmp_path / "x.zarr", engine="dask", scheduler_file=dask.file)
    with s2ct_convert.open_store(sample_stores["zarr"]) as local:
        assert summary.digest == local.digest
