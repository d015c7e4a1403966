"""The committed page is what the sources in web/ make, and is small."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "s2ct_convert" / "viewer" / "page"
WEB = ROOT / "web"


def test_the_bundle_is_small_and_names_no_other_server():
    texts = {path.name: path.read_text(encoding="utf-8") for path in PAGE.iterdir()}
    assert set(texts) == {"index.html", "app.js", "LICENSES.txt"}
    assert sum(path.stat().st_size for path in PAGE.iterdir() if path.name != "LICENSES.txt") <= 700_000
    addresses = set(re.findall(r"https?://[\w.-]+", texts["index.html"] + texts["app.js"]))
    assert addresses <= {"http://www.w3.org", "https://doi.org"}
    assert "connect-src 'self'" in texts["index.html"]


def test_the_lock_file_holds_no_addresses():
    assert "://" not in (WEB / "package-lock.json").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (WEB / "node_modules/esbuild").exists(), reason="esbuild is not installed: npm ci --prefix web")
def test_the_sources_make_the_committed_page(tmp_path):
    done = subprocess.run(["node", WEB / "build.mjs", tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in PAGE.iterdir()
    }
