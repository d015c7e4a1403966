"""``s2ct build`` to a bucket: the store of convert, and no download or object twice."""

from __future__ import annotations

import os

import pytest
from servers.objects import serve
from servers.zenodo import RECORD

import s2ct_convert

pytest.importorskip("obstore")
KEYS = ("train_50SMG_2.7z", "train_51SMG_2.7z", "val_50SMG_2.7z")


@pytest.mark.slow
def test_build_writes_to_a_bucket_and_repeats_nothing(zenodo, s2ct, tmp_path, archives):
    sources = tmp_path / "sources"
    sources.mkdir()
    for key in KEYS:
        (sources / key).write_bytes(archives[key])
    s2ct_convert.convert(sources, tmp_path / "x.zarr")
    words = ("build", "s3://b/x.zarr", "--record", RECORD, "--file", "*.7z", "--scratch", tmp_path / "scratch")
    with serve(tmp_path / "served") as bucket:
        keys = {"AWS_ENDPOINT_URL": bucket.url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        env = {**os.environ, **keys}
        done = s2ct(*words, env=env)
        assert done.returncode == 0, done.stderr
        there = tmp_path / "served" / "b" / "x.zarr"
        for path in (tmp_path / "x.zarr").rglob("*"):
            name = path.relative_to(tmp_path / "x.zarr")
            if path.is_file() and name.as_posix() != "zarr.json":
                assert (there / name).read_bytes() == path.read_bytes(), name
        assert not list((tmp_path / "scratch" / "x.zarr.archives").glob("*.7z"))
        asked, puts = len(zenodo.requests), len(bucket.puts())
        done = s2ct(*words, env=env)
        assert done.returncode == 0, done.stderr
        assert not [one for one in zenodo.requests[asked:] if "/files/" in one.path]
        assert [key for key in bucket.puts()[puts:] if "probe-" not in key] == []
