"""Downloads from nginx, an independent server: resume, ranges and md5."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers.nginx import NGINX, nginx_serving

from s2ct_convert.record.budget import Budget
from s2ct_convert.record.damage import Damage, Mending
from s2ct_convert.record.download import download
from s2ct_convert.record.manifest import RecordFile
from s2ct_convert.record.partial import partial_path

KEY, RECORD = "train_50SMG_2.7z", "4711"
DATA = np.random.default_rng(5).bytes(3_000_000)

CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ }}
http {{
  access_log {folder}/access; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
  fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  log_format plain "$uri $http_range $status"; access_log {folder}/plain plain;
  server {{ listen 127.0.0.1:{port}; root {folder}/www;
    location = /api/records/4711 {{ default_type application/json; alias {folder}/record.json; }} }}
}}
"""


@pytest.fixture
def nginx(tmp_path) -> Iterator[tuple[str, Path]]:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    place = tmp_path / "www" / "api" / "records" / RECORD / "files" / KEY
    place.mkdir(parents=True)
    (place / "content").write_bytes(DATA)
    files = [{"key": KEY, "size": len(DATA), "checksum": f"md5:{hashlib.md5(DATA).hexdigest()}"}]
    (tmp_path / "record.json").write_text(json.dumps({"id": int(RECORD), "files": files}))
    with nginx_serving(tmp_path, CONFIGURATION) as port:
        yield f"http://127.0.0.1:{port}", tmp_path


@pytest.mark.parametrize("have", [0, 1, 1_234_567, len(DATA) - 1, len(DATA)])
def test_a_download_resumes_at_its_offset(nginx, have):
    url, folder = nginx
    out = folder / "out"
    out.mkdir()
    file = RecordFile(KEY, hashlib.md5(DATA).hexdigest(), len(DATA))
    partial_path(out / KEY, file).write_bytes(DATA[:have])
    report = download(out, record=RECORD, base_url=url, budget=Budget())
    assert (out / KEY).read_bytes() == DATA
    assert [done.fetched for done in report.done] == [len(DATA) - have]
    log = (folder / "plain").read_text().splitlines()
    if have < len(DATA):
        assert log[-1].endswith(f"bytes={have}- 206" if have else "- 200")


def test_a_stretch_is_requested_by_its_first_and_last_byte(nginx):
    url, folder = nginx
    out = folder / "out"
    out.mkdir()
    (out / KEY).write_bytes(DATA[:1_100_000] + bytes(4096) + DATA[1_104_096:])
    mending = Mending(lambda path, key, stopping: Damage(1_000_000, 1_300_000), existing=True)
    (done,) = download(out, record=RECORD, base_url=url, budget=Budget(), mending=mending).done
    assert (out / KEY).read_bytes() == DATA
    assert done.repaired == done.fetched == 300_000
    assert (folder / "plain").read_text().splitlines()[-1].endswith("bytes=1000000-1299999 206")
