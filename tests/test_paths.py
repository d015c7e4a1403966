from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import s2ct_convert
from s2ct_convert.conversion.plan_file import write_plan
from s2ct_convert.errors import WrongUsage
from s2ct_convert.paths import check_path, check_readable, check_spelling
from s2ct_convert.units.plan import make_plan

URLS = ["s3://bucket/x.zarr", "gs://b/x.h5", "https://example.org/x.zarr", "file:///tmp/x.zarr", "zip+memory://x"]


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_refused_as_text_and_as_a_path(url):
    for given in (url, Path(url)):
        with pytest.raises(WrongUsage, match="this is a URL; s2ct needs a local path"):
            check_path(given)


@pytest.mark.parametrize("path", ["x.zarr", "/data/x.zarr", "./s3:x", "C:/data/x.zarr", "a:b/c", "../x", "10:30/notes"])
def test_a_local_path_is_returned(path):
    assert check_path(path) == check_readable(path) == Path(path)


def test_a_pipe_a_socket_and_a_device_are_refused_without_being_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path, kind in (("pipe", "pipe"), ("link", "pipe"), ("socket", "socket"), (os.devnull, "device")):
            with pytest.raises(WrongUsage, match=kind):
                check_readable(path)


CALLS = {
    "convert, its source": lambda url, own: s2ct_convert.convert(Path(url), own / "x.zarr"),
    "convert, its store": lambda url, own: s2ct_convert.convert(own / "train_50SMG_0", Path(url)),
    "build": lambda url, own: s2ct_convert.build(Path(url)),
    "open_store": lambda url, own: s2ct_convert.open_store(Path(url)),
    "verify_store": lambda url, own: s2ct_convert.verify_store(Path(url)),
    "verify_sources": lambda url, own: s2ct_convert.verify_sources([Path(url)]),
    "read_examples": lambda url, own: next(s2ct_convert.read_examples(url)),
    "extract_archive": lambda url, own: s2ct_convert.extract_archive(url, own),
    "extract_archive, to": lambda url, own: s2ct_convert.extract_archive(own / "train_50SMG_0", url),
    "check_files": lambda url, own: s2ct_convert.check_files(url),
    "download": lambda url, own: s2ct_convert.download(url),
    "list_files": lambda url, own: s2ct_convert.list_files(url),
    "write_croissant": lambda url, own: s2ct_convert.write_croissant(url),
    "a plan": lambda url, own: write_plan(make_plan([own], own / "x.zarr"), Path(url)),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_function_refuses_a_url_and_writes_nothing(tmp_path, monkeypatch, call):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train_50SMG_0").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongUsage, match="this is a URL"):
        CALLS[call]("s3://bucket/x.zarr", tmp_path / "in")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "train_50SMG_0"]


INTO = {
    "download": lambda made, folder: s2ct_convert.download(folder, base_url="http://127.0.0.1:1"),
    "extract_archive": lambda made, folder: s2ct_convert.extract_archive(s2ct_convert.sample_sources()[0], folder),
    "salvage_tfrecord": lambda made, folder: s2ct_convert.salvage_tfrecord(s2ct_convert.sample_sources()[0], folder),
    "export_tfrecord": lambda made, folder: s2ct_convert.export_tfrecord(made["zarr"], folder),
    "export_netcdf": lambda made, folder: s2ct_convert.export_netcdf(made["zarr"], folder / "sub"),
}


@pytest.mark.parametrize("call", INTO)
def test_no_other_files_are_written_into_a_store(made, tmp_path, call):
    """``--overwrite`` of the store would delete them."""
    (tmp_path / "zarr.json").touch()
    for folder in (tmp_path, tmp_path / "below"):
        with pytest.raises(WrongUsage, match="has no place in a store"):
            INTO[call](made, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["zarr.json"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("clouds/sampel.zarr", "clouds/sample.zarr"),
        ("cluods/sample.zarr", "clouds/sample.zarr"),
        ("clouds/a smaple", "'clouds/a sample'"),
        ("clouds/nope.zarr", None),  # alike in the suffix alone
        ("clouds/thesis.tex", None),
        ("cluods/thesis.tex", None),
        ("nowhere/at/all", None),
    ],
)
def test_a_path_spelled_almost_like_one_that_exists_is_named(tmp_path, monkeypatch, given, meant):
    for name in ("sample.zarr", "py.zarr", "a sample"):
        (tmp_path / "clouds" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert check_spelling(Path(given)) == f"check the path{f'; did you mean {meant}?' if meant else ''}"
