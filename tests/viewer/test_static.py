"""``s2ct view`` and its export on the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cli.helpers import assert_says

import s2ct_convert
from s2ct_convert.dataset import DATASET
from s2ct_convert.errors import DestinationExists, MachineError, WrongUsage


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def served(store: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """A server in a process of its own, whose output is a pipe."""
    command = [sys.executable, "-m", "s2ct_convert", "view", str(store), "--no-open", "--port", "0", *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def end(process: subprocess.Popen[str]) -> str:
    """End it with Ctrl-C; what it printed on stderr."""
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=8)
    assert process.returncode == 0, messages
    return messages


@pytest.mark.slow
def test_the_address_is_one_line_and_ctrl_c_ends_the_server(sample_stores):
    process = served(sample_stores["zarr"])
    url = process.stdout.readline()
    assert url.startswith("http://127.0.0.1:") and url.endswith("/\n")
    with urllib.request.urlopen(url.strip() + "store/zarr.json", timeout=10) as answer:
        assert json.load(answer)["attributes"]["state"] == "complete"
    assert process.stderr.readline() == "Ctrl-C ends the server\n"
    assert end(process) == "s2ct: the server has ended\n"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url.strip(), timeout=5)


@pytest.mark.slow
def test_json_is_printed_at_once(sample_stores):
    process = served(sample_stores["zarr"], "--json", "--quiet")
    text = ""
    while not text.rstrip().endswith("}"):
        text += process.stdout.readline()
    document = json.loads(text)
    assert document["url"].startswith(f"http://127.0.0.1:{document['port']}/")
    assert end(process) == ""


@pytest.mark.slow
def test_over_ssh_the_command_of_the_tunnel_is_printed(sample_stores):
    process = served(sample_stores["zarr"], SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 22")
    url = process.stdout.readline()
    port = url.split(":")[2].split("/")[0]
    assert "On your own machine" in process.stderr.readline()
    assert process.stderr.readline().startswith(f"  ssh -N -L {port}:127.0.0.1:{port} ")
    end(process)


@pytest.mark.slow
def test_a_port_in_use_and_a_foreign_address_are_reported(run, sample_stores):
    with s2ct_convert.view(sample_stores["zarr"]) as view:
        port = view.url.split(":")[2].split("/")[0]
        assert_says(
            run("view", sample_stores["zarr"], "--no-open", "--port", port),
            6,
            f"127.0.0.1:{port}: Address already in use",
            "--port",
        )
    assert_says(run("view", sample_stores["zarr"], "--no-open", "--host", "192.0.2.1"), 6, "192.0.2.1", "--host")
    assert_says(run("view", sample_stores["zarr"], "--no-store"), 2, "need --export")


def test_a_name_without_address_and_an_address_that_is_no_origin_are_refused(sample_stores):
    with pytest.raises(MachineError, match=r"not known|No address|in name resolution"):
        s2ct_convert.view(sample_stores["zarr"], host="nowhere.invalid")
    for cors in ("https://example.org/", "example.org", "https://a.b\nX: y"):
        with pytest.raises(WrongUsage, match="not an origin"):
            s2ct_convert.view(sample_stores["zarr"], cors=cors)


@pytest.mark.slow
def test_stores_that_the_page_cannot_show_are_refused(run, sample_stores, tmp_path):
    assert_says(run("view", sample_stores["h5"]), 2, "this is an HDF5 file", "s2ct convert ARCHIVES sample.zarr")
    assert_says(run("view", tmp_path / "none.zarr"), 2, "none.zarr: this store does not exist")
    for change, code, words in (
        ({"state": "incomplete"}, 3, "has not finished"),
        ({"s2ct_dataset": json.dumps({**DATASET.values(), "doi": "https://doi.org/10.1/x"})}, 2, "holds another"),
        ({"s2ct_layout_version": 99}, 2, "99"),
    ):
        copy = shutil.copytree(sample_stores["zarr"], tmp_path / f"{code}{words[:3]}.zarr")
        root = json.loads((copy / "zarr.json").read_bytes())
        root["attributes"] |= change
        (copy / "zarr.json").write_text(json.dumps(root))
        assert_says(run("view", copy, "--no-open"), code, words)


def test_an_export_holds_the_page_and_an_equal_store(sample_stores, tmp_path):
    seen = []
    done = s2ct_convert.export_view(
        sample_stores["zarr"], tmp_path / "site", on_total=seen.append, on_bytes=lambda n: seen.append(-n)
    )
    assert sum(seen) == 0 and seen[0] == done.bytes
    made = files(tmp_path / "site")
    assert {name for name in made if not name.startswith("store/")} == {"index.html", "app.js", "LICENSES.txt"}
    assert {name.removeprefix("store/"): data for name, data in made.items() if name.startswith("store/")} == files(
        sample_stores["zarr"]
    )
    assert (done.files, done.copied) == (len(made) - 3, len(made) - 3)
    again = s2ct_convert.export_view(sample_stores["zarr"], tmp_path / "site")
    assert again.copied == 0
    (tmp_path / "site/store/train/31TCJ/label/c/0").unlink()
    assert s2ct_convert.export_view(sample_stores["zarr"], tmp_path / "site").copied == 1
    assert files(tmp_path / "site") == made


@pytest.mark.slow
def test_an_export_replaces_nothing_that_is_not_its_own(sample_stores, tmp_path):
    store, site = sample_stores["zarr"], tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("mine")
    with pytest.raises(DestinationExists, match="not an export of s2ct view"):
        s2ct_convert.export_view(store, site)
    assert files(site) == {"index.html": b"mine"}
    with pytest.raises(WrongUsage, match="cannot be inside the store"):
        s2ct_convert.export_view(store, store / "site")
    (site / "index.html").unlink()
    s2ct_convert.export_view(store, site, with_store=False)
    assert "store" not in {path.name for path in site.iterdir()}
    (site / "store").mkdir()
    (site / "store/zarr.json").write_text('{"attributes": {"content_digest": "sha256:other"}}')
    (site / "store/old").write_text("old")
    with pytest.raises(DestinationExists, match="another store"):
        s2ct_convert.export_view(store, site)
    s2ct_convert.export_view(store, site, overwrite=True)
    assert not (site / "store/old").exists()
    (site / "store/index/link").symlink_to("/etc/hostname")
    with pytest.raises(WrongUsage, match="symbolic link"):
        s2ct_convert.export_view(site / "store", tmp_path / "second")


@pytest.mark.slow
def test_the_command_exports_and_says_what(run, sample_stores, tmp_path):
    done = run("view", sample_stores["zarr"], "--export", "site", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["page", "site/index.html"]
    assert "site/store, " in done.stdout
    done = run("view", sample_stores["zarr"], "--export", "site", "--json", "-q", cwd=tmp_path)
    assert json.loads(done.stdout)["copied"] == 0
