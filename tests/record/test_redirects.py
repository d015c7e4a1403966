"""Redirects: a few to web addresses are followed; all others are errors and end no thread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from servers.zenodo import RECORD, Handler, StandIn, good, serving

from s2ct_convert.errors import EXIT_NETWORK, NetworkError, WrongUsage
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import FilesFailed, download
from s2ct_convert.record.service import service_url

from .test_fetching import QUICK, cut_after

pytestmark = pytest.mark.every_variant  # all are quick

KEY = "train_50SMG_2.7z"
DATA = np.random.default_rng(63).bytes(300_000)


@pytest.fixture
def zenodo() -> Iterator[StandIn]:
    with serving({KEY: DATA}) as stand_in:
        yield stand_in


def to(location: str, code: int = 302):
    return lambda handler, data, start: handler.answer(code, b"", {"Location": location})


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/records/{r}/files/{k}?download=1", "//{host}/records/{r}/files/{k}?download=1"])
def test_a_redirect_is_followed(zenodo, tmp_path, code, location):
    host = zenodo.url.removeprefix("http://")
    zenodo.vices[KEY] = [to(location.format(r=RECORD, k=KEY, host=host), code)]
    download(tmp_path, record=RECORD, base_url=zenodo.url, policy=QUICK, budget=Budget(1000))
    assert (tmp_path / KEY).read_bytes() == DATA
    assert len(zenodo.requests) == 3


def test_a_redirected_request_keeps_its_range(zenodo, tmp_path):
    zenodo.vices[KEY] = [cut_after(100_000), to(f"/records/{RECORD}/files/{KEY}?download=1"), good]
    download(tmp_path, record=RECORD, base_url=zenodo.url, policy=QUICK, budget=Budget(1000))
    assert (tmp_path / KEY).read_bytes() == DATA
    assert zenodo.asked(KEY) == [0, 100_000, 100_000]


NOWHERE = {
    "a loop": "/api/records/4711/files/train_50SMG_2.7z/content",
    "a file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/x",
    "not an address": "http://[::1",
    "an impossible port": "http://127.0.0.1:99999999/x",
    "a port of letters": "http://127.0.0.1:http/x",
    "no host": "http:///x",
    "no server": "http://127.0.0.1:9/x",
}


@pytest.mark.parametrize("token", [None, "secret-token"])
@pytest.mark.parametrize("case", NOWHERE)
def test_a_bad_redirect_is_an_error(zenodo, tmp_path, monkeypatch, case, token):
    if token:
        monkeypatch.setenv("S2CT_ZENODO_TOKEN", token)
    zenodo.vices[KEY] = [to(NOWHERE[case])] * 30
    with pytest.raises(FilesFailed) as caught:
        download(tmp_path, record=RECORD, base_url=zenodo.url, policy=QUICK, budget=Budget(1000))
    (failed,) = caught.value.report.failed
    assert failed.exit_code == EXIT_NETWORK
    assert "secret" not in failed.message
    assert not (tmp_path / KEY).exists()


@pytest.mark.parametrize("case", NOWHERE)
def test_a_bad_redirect_of_the_list_of_files_is_an_error(zenodo, tmp_path, case):
    location = NOWHERE[case].replace("/files/train_50SMG_2.7z/content", "")

    def vice(handler: Handler, data: bytes, start: int) -> None:
        handler.answer(302, b"", {"Location": location})

    zenodo.record_vices = [vice] * 30
    with pytest.raises(NetworkError):
        download(tmp_path, record=RECORD, base_url=zenodo.url, policy=QUICK, budget=Budget(1000))


@pytest.mark.parametrize(
    "url", ["zenodo.org", "ftp://z", "http://", "http://[::1", "http://z:port", "http://z:0", "http:///x"]
)
def test_an_invalid_root_url_is_wrong_usage(url):
    with pytest.raises(WrongUsage, match="not the root URL of a service"):
        service_url(url)


@pytest.mark.parametrize("url", ["http://z", "https://z.example:8080/below", "http://[::1]:80", "https://z//"])
def test_a_root_url_loses_its_final_slashes(url):
    assert service_url(url) == url.rstrip("/")
