"""A store in moto, a stand-in for S3 by other people: written, compared object by object, verified."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import s2ct_convert
from s2ct_convert.errors import SourceError, WrongUsage
from s2ct_convert.objects import ranged, service
from s2ct_convert.objects.address import ObjectPath
from s2ct_convert.objects.reads import read_object
from s2ct_convert.objects.remote import get_part, list_objects
from s2ct_convert.objects.writes import put_new, put_over

pytest.importorskip("obstore")
pytestmark = pytest.mark.slow
START_SECONDS = 60


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server with an empty bucket. S2CT_MOTO_SERVER names the program where it is not on the PATH."""
    program = os.environ.get("S2CT_MOTO_SERVER") or shutil.which("moto_server")
    if program is None:
        pytest.skip("moto_server is not here: pip install 'moto[server]' in an environment of its own")
    process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(START_SECONDS, process.kill)
    guard.start()
    try:
        assert process.stderr is not None
        url = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        guard.cancel()
        urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT")).close()
        for name, value in {"ENDPOINT_URL": url, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        service._client.cache_clear()
        yield url
    finally:
        guard.cancel()
        process.kill()
        process.communicate()


def test_objects_in_moto_are_the_files_of_a_store(moto, tmp_path, monkeypatch, made_sources, made):
    monkeypatch.chdir(tmp_path)
    summary = s2ct_convert.convert(made_sources, "s3://bucket/made.zarr")
    with s2ct_convert.open_store(made["zarr"]) as here:
        assert summary.digest == here.digest
    for path in sorted(made["zarr"].rglob("*")):
        name = path.relative_to(made["zarr"]).as_posix()
        if path.is_file() and name != "zarr.json":
            assert read_object(ObjectPath("s3://bucket/made.zarr", name)) == path.read_bytes(), name
    assert s2ct_convert.verify_store("s3://bucket/made.zarr").findings == []
    assert not Path("made.zarr.scratch").exists()


def test_archives_in_moto_give_the_store_of_the_local_ones(moto, tmp_path, monkeypatch, sample_stores):
    monkeypatch.chdir(tmp_path)
    for path in s2ct_convert.sample_sources():
        put_new(ObjectPath("s3://bucket", f"archives/{path.name}"), path.read_bytes())
    monkeypatch.setattr(ranged, "PART_BYTES", 100_000)
    summary = s2ct_convert.convert("s3://bucket/archives/", "x.zarr")
    with s2ct_convert.open_store(sample_stores["zarr"]) as local:
        assert summary.digest == local.digest
    assert len(s2ct_convert.convert("s3://bucket/archives", "x.zarr").skipped) == 4
    (file,) = [one for one in list_objects(ObjectPath("s3://bucket", "archives")) if one.name == "val_34VFN_2.7z"]
    put_over(file, b"other")
    with pytest.raises(SourceError, match="the object has changed since it was found"):
        get_part(file, 0, 5)
    for address, words in (("s3://bucket/none/", "no object here"), ("s3://missing/a/", "no such bucket")):
        with pytest.raises(WrongUsage, match=words):
            s2ct_convert.convert(address, "y.zarr")
