"""Downloads from a misbehaving stand-in: the file is correct in the end, or an error says why not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers.zenodo import RECORD, Handler, StandIn, good, ranged, serving, tunnelling
from twins import first_quick

from s2ct_convert.errors import Difference, NetworkError, S2ctError
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import FilesFailed, download
from s2ct_convert.record.policy import RetryPolicy

KEY = "train_50SMG_2.7z"
DATA = np.random.default_rng(31).bytes(900_001)
QUICK = RetryPolicy(attempts=4, backoff=0.01, longest=0.02, connect=5, stall=0.4, slow_window=0.4, slow_bytes=1000)


@pytest.fixture
def zenodo() -> Iterator[StandIn]:
    with serving({KEY: DATA}) as stand_in:
        yield stand_in


def fetch(zenodo: StandIn, folder: Path, **options: object):
    options = {"policy": QUICK, "budget": Budget(limit=1000), **options}
    return download(folder, record=RECORD, base_url=zenodo.url, **options)


def cut_after(n: int):
    def vice(handler: Handler, data: bytes, start: int) -> None:
        handler.head(206 if start else 200, len(data) - start, ranged(data, start) if start else {})
        handler.wfile.write(data[start : start + n])
        handler.hang_up()

    return vice


def reset_after(n: int):
    def vice(handler: Handler, data: bytes, start: int) -> None:
        handler.head(206 if start else 200, len(data) - start, ranged(data, start) if start else {})
        handler.wfile.write(data[start : start + n])
        handler.reset()

    return vice


def chunked_end_after(n: int):
    def vice(handler: Handler, data: bytes, start: int) -> None:
        headers = {"Transfer-Encoding": "chunked", **(ranged(data, start) if start else {})}
        handler.head(206 if start else 200, None, headers)
        part = data[start : start + n]
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(part), part))

    return vice


def stall_after(n: int):
    def vice(handler: Handler, data: bytes, start: int) -> None:
        handler.head(206 if start else 200, len(data) - start, ranged(data, start) if start else {})
        handler.wfile.write(data[start : start + n])
        handler.wfile.flush()
        handler.server.stand_in.release.wait(30)
        handler.hang_up()

    return vice


def all_of_it(handler: Handler, data: bytes, start: int) -> None:
    handler.answer(200, data)


def wrong_start(handler: Handler, data: bytes, start: int) -> None:
    handler.answer(206, data[start + 1 :], ranged(data, start + 1))


def wrong_total(handler: Handler, data: bytes, start: int) -> None:
    handler.answer(206, data[start:], ranged(data, start, len(data) + 7))


def flipped(handler: Handler, data: bytes, start: int) -> None:
    good(handler, data[:-1] + bytes([data[-1] ^ 1]), start)


def status(code: int, body: bytes = b"", **headers: str):
    return lambda handler, data, start: handler.answer(
        code, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )


PAGE = b"<html><title>Unusual traffic from your network</title>Reference ID: abc123def456</html>"

# Misbehaviour, response by response, and the first byte of each request.
SURVIVED = {
    "nothing": ([], [0]),
    "cut": ([cut_after(300_000)], [0, 300_000]),
    "cut repeatedly": ([cut_after(200_000)] * 4, [0, 200_000, 400_000, 600_000, 800_000]),
    "cut before the first byte": ([cut_after(0)] * 2, [0, 0, 0]),
    "reset": ([reset_after(0)], [0, 0]),
    "a clean but early end": ([chunked_end_after(250_000)], [0, 250_000]),
    "a stall": ([stall_after(100_000)], [0, 100_000]),
    "200 for a range, once": ([cut_after(300_000), all_of_it], [0, 300_000, 300_000]),
    "200 for every range": ([cut_after(300_000), all_of_it, all_of_it], [0, 300_000, 300_000]),
    "another range": ([cut_after(300_000), wrong_start], [0, 300_000, 300_000]),
    "another range at both URLs": ([cut_after(300_000), wrong_start, wrong_start], [0, 300_000, 300_000, 0]),
    "416 without a reason": ([cut_after(300_000), status(416)], [0, 300_000, 300_000]),
    "503, 500 and 502": ([status(503), status(500), status(502, PAGE, Content_Type="text/html")], [0, 0, 0, 0]),
    "404 at one URL": ([status(404)], [0, 0]),
    "429 in seconds": ([status(429, Retry_After="0")], [0, 0]),
    "429 with a past date": ([status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")], [0, 0]),
    "a page instead": ([status(200, PAGE, Content_Type="text/html")], [0, 0]),
    "a content encoding": ([status(200, b"x" * len(DATA), Content_Encoding="gzip")], [0, 0]),
    "another total, once": ([cut_after(300_000), wrong_total], [0, 300_000, 300_000]),
    "503 three times": ([status(503)] * 3, [0, 0, 0, 0]),
    "429 without headers": ([status(429)], [0, 0]),
    "429 with a time of day": ([status(429, X_RateLimit_Reset="1000000000")], [0, 0]),
    "another file in the second half": ([cut_after(300_000), flipped], [0, 300_000, 0]),
    "a flipped byte, once": ([flipped], [0, 0]),
    "another size, once": ([status(200, b"short")], [0, 0]),
}


@pytest.mark.parametrize("case", SURVIVED)
def test_a_file_is_completed_without_requesting_a_byte_twice(zenodo, tmp_path, case):
    vices, asked = SURVIVED[case]
    zenodo.vices[KEY] = list(vices)
    report = fetch(zenodo, tmp_path)
    assert (tmp_path / KEY).read_bytes() == DATA
    assert [done.key for done in report.done] == [KEY]
    assert zenodo.asked(KEY) == asked
    assert left(tmp_path) == {KEY}


def left(folder: Path) -> set[str]:
    """Names in a folder, without the lock and the receipts."""
    return {path.name for path in folder.iterdir()} - {f"{RECORD}.lock.json", ".s2ct-receipts"}


GIVEN_UP = {
    "no byte at all": ([cut_after(0)] * 9, 7, "4 attempts without a new byte"),
    "always a page": ([status(200, PAGE, Content_Type="text/html")] * 9, 7, "Unusual traffic"),
    "a page that blocks": ([status(403, PAGE, Content_Type="text/html")], 7, "reference abc123def456"),
    "restricted": ([status(403, b'{"message": "no"}', Content_Type="application/json")], 7, "S2CT_ZENODO_TOKEN"),
    "gone": ([status(404)] * 2, 7, "does not have this file"),
    "another file by its ETag": ([status(200, b"", ETag='"md5:' + "0" * 32 + '"')], 4, "another file"),
    "another size": ([status(200, b"short")] * 2, 4, "5 bytes"),
    "another size in the second half": ([cut_after(300_000), wrong_total, wrong_total], 4, "900,008 bytes"),
    "always a flipped byte": ([flipped] * 2, 4, "wrong md5 after two complete downloads"),
    "too long a wait": ([status(429, Retry_After="90000")], 7, "asks to wait until"),
}


@pytest.mark.every_variant
@pytest.mark.parametrize("case", GIVEN_UP)
def test_a_failed_file_is_reported_and_does_not_appear(zenodo, tmp_path, case):
    vices, code, words = GIVEN_UP[case]
    zenodo.vices[KEY] = list(vices)
    with pytest.raises(FilesFailed) as caught:
        fetch(zenodo, tmp_path)
    (failed,) = caught.value.report.failed
    assert failed.exit_code == code
    assert words in failed.message
    assert not (tmp_path / KEY).exists()


def test_a_failed_download_is_resumed_by_the_next_run(zenodo, tmp_path):
    zenodo.vices[KEY] = [cut_after(300_000), *[status(503)] * 9]
    with pytest.raises(FilesFailed):
        fetch(zenodo, tmp_path)
    zenodo.vices[KEY] = []
    zenodo.requests.clear()
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [300_000]
    assert (tmp_path / KEY).read_bytes() == DATA


def test_a_connection_reset_costs_only_bytes_in_flight(zenodo, tmp_path):
    zenodo.vices[KEY] = [reset_after(400_000)] * 2
    fetch(zenodo, tmp_path)
    assert (tmp_path / KEY).read_bytes() == DATA
    asked = zenodo.asked(KEY)
    assert len(asked) == 3
    assert asked == sorted(asked)


def test_new_bytes_reset_the_count_of_attempts(zenodo, tmp_path):
    zenodo.vices[KEY] = [one for _ in range(5) for one in (status(503), status(503), cut_after(1000))]
    fetch(zenodo, tmp_path)
    assert (tmp_path / KEY).read_bytes() == DATA


def test_the_whole_record_takes_73_requests_and_a_second_run_none(tmp_path):
    rng = np.random.default_rng(1)
    files = {f"train_{zone:02}SMG_{n}.7z": rng.bytes(2000 + n) for zone in range(1, 37) for n in (1, 2)}
    assert len(files) == 72
    with serving(files) as zenodo:
        fetch(zenodo, tmp_path, jobs=4)
        assert len(zenodo.requests) == 1 + 72
        assert all("Range" not in request.headers for request in zenodo.requests)
        zenodo.requests.clear()
        report = fetch(zenodo, tmp_path)
        assert zenodo.requests == []
    assert len(report.before) == 72
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.7z")} == files


def test_requests_never_exceed_the_budget(tmp_path):
    files = {f"val_{zone:02}SMG_1.7z": b"x" * zone for zone in range(1, 13)}
    began = time.monotonic()
    with serving(files) as zenodo:
        fetch(zenodo, tmp_path, jobs=6, budget=Budget(limit=5, window=0.5))
        assert len(zenodo.requests) == 13
    assert time.monotonic() - began >= 1.0  # 13 requests take three windows of 5, so two waits


def test_a_record_that_differs_from_the_lock_is_an_error(zenodo, tmp_path):
    fetch(zenodo, tmp_path)
    zenodo.files[KEY] = DATA + b"more"
    (tmp_path / KEY).unlink()
    with pytest.raises(Difference, match="differs from the lock") as caught:
        fetch(zenodo, tmp_path)
    assert "another md5 or size" in caught.value.found
    assert not (tmp_path / KEY).exists()


def test_a_missing_service_is_an_error(tmp_path):
    with pytest.raises(NetworkError, match="the list of files cannot be fetched"):
        download(tmp_path, record=RECORD, base_url="http://127.0.0.1:9", policy=QUICK)


@pytest.mark.every_variant
@pytest.mark.parametrize("key", ["../x.7z", "/x.7z", "a/../../x.7z", "C:x.7z", "a\\x.7z", "x\0.7z", ""])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, key):
    with serving({key: b"x"}) as zenodo, pytest.raises(S2ctError, match="leads out of the folder"):
        fetch(zenodo, tmp_path / "in")
    assert not list(tmp_path.rglob("x*"))


@pytest.mark.every_variant
@pytest.mark.parametrize("name", [f"{KEY}?download=1", "train_50SMG_2 (1).7z", f"{KEY}.1", "download", KEY])
def test_a_complete_file_is_adopted_under_any_name(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA)
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == []
    assert left(tmp_path) == {KEY}


@pytest.mark.every_variant
@pytest.mark.parametrize("name", [KEY, f"{KEY}.part", f"{KEY}.crdownload", f"{KEY}?download=1", "train_50SMG_2 (2).7z"])
def test_a_partial_file_is_resumed(zenodo, tmp_path, name):
    (tmp_path / name).write_bytes(DATA[:123_456])
    fetch(zenodo, tmp_path)
    assert zenodo.asked(KEY) == [123_456]
    assert (tmp_path / KEY).read_bytes() == DATA


def test_a_wrong_file_is_renamed(zenodo, tmp_path):
    wrong = DATA[:-1] + b"?"
    (tmp_path / KEY).write_bytes(wrong)
    fetch(zenodo, tmp_path)
    assert (tmp_path / KEY).read_bytes() == DATA
    assert (tmp_path / f"{KEY}.bad-{hashlib.md5(wrong).hexdigest()}").read_bytes() == wrong


def test_the_token_goes_only_to_the_service(zenodo, tmp_path, monkeypatch):
    monkeypatch.setenv("S2CT_ZENODO_TOKEN", "secret-token")
    with serving({KEY: DATA}) as elsewhere:
        target = f"{elsewhere.url}/api/records/{RECORD}/files/{KEY}/content"
        zenodo.vices[KEY] = [status(302, Location=target)]
        fetch(zenodo, tmp_path)
        assert [request.headers.get("Authorization") for request in zenodo.requests] == ["Bearer secret-token"] * 2
        assert [request.headers.get("Authorization") for request in elsewhere.requests] == [None]
    assert all("secret" not in request.path for request in zenodo.requests)


def command(zenodo: StandIn, folder: Path) -> list[str]:
    arguments = ["download", str(folder), "--record", RECORD, "--base-url", zenodo.url]
    return [sys.executable, "-m", "s2ct_convert", *arguments]


@pytest.mark.parametrize("place", first_quick(np.random.default_rng(50).integers(0, len(DATA), 50).tolist(), quick=5))
def test_a_killed_download_resumes_at_its_last_byte(zenodo, tmp_path, place):
    pids: list[int] = []

    def kill(handler: Handler, data: bytes, start: int) -> None:
        handler.head(200, len(data), {})
        handler.wfile.write(data[:place])
        handler.wfile.flush()
        deadline = time.monotonic() + 20
        while not grown(tmp_path, place) and time.monotonic() < deadline:
            time.sleep(0.005)  # polls: no event reports the writes of another process
        os.kill(pids[0], signal.SIGKILL)
        handler.hang_up()

    zenodo.vices[KEY] = [kill]
    with subprocess.Popen(command(zenodo, tmp_path), stderr=subprocess.DEVNULL) as process:
        pids.append(process.pid)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / KEY).exists()
    done = subprocess.run(command(zenodo, tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / KEY).read_bytes() == DATA
    assert zenodo.asked(KEY)[1] >= place - (1 << 20)
    assert zenodo.asked(KEY)[1] == place
    assert left(tmp_path) == {KEY}


def grown(folder: Path, size: int) -> bool:
    return size == 0 or any(path.stat().st_size >= size for path in folder.glob("*.part"))


def test_ctrl_c_keeps_the_partial_file_and_says_how_to_resume(zenodo, tmp_path):
    zenodo.vices[KEY] = [stall_after(200_000)]
    process = subprocess.Popen(command(zenodo, tmp_path), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if ": started" in line:
            break
    while not grown(tmp_path, 200_000):
        time.sleep(0.005)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 5
    assert "whole and partial files stay" in rest
    assert f"to go on: s2ct download {tmp_path}" in rest
    assert "Traceback" not in rest
    (part,) = tmp_path.glob("*.part")
    assert part.stat().st_size == 200_000


def test_verify_and_list_show_local_files(s2ct, zenodo, tmp_path):
    assert subprocess.run(command(zenodo, tmp_path), capture_output=True).returncode == 0
    assert s2ct("verify", "checksums", tmp_path, "--write", tmp_path / "md5sums.txt").returncode == 0
    listed = json.loads(s2ct("list", tmp_path, "--record", RECORD, "--json").stdout)
    assert [(row["key"], row["state"]) for row in listed["files"]] == [(KEY, "ok")]
    md5 = subprocess.run(["md5sum", "-c", "md5sums.txt"], cwd=tmp_path, capture_output=True, text=True)
    assert md5.returncode == 0, md5.stdout
    (tmp_path / KEY).write_bytes(DATA[:-1])
    short = s2ct("verify", "checksums", tmp_path)
    assert short.returncode == 4
    assert "short" in short.stdout
    (tmp_path / KEY).unlink()
    assert s2ct("verify", "checksums", tmp_path).returncode == 3


class TestProxy:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)

    def test_the_proxy_of_the_environment_is_used_with_its_login(self, zenodo, tmp_path, monkeypatch):
        monkeypatch.setenv("http_proxy", zenodo.url.replace("http://", "http://me:p%40ss@"))
        download(tmp_path, record=RECORD, base_url="http://zenodo.invalid", policy=QUICK)
        assert (tmp_path / KEY).read_bytes() == DATA
        assert all(request.path.startswith("http://zenodo.invalid/") for request in zenodo.requests)
        logins = [{name.lower(): value for name, value in one.headers.items()} for one in zenodo.requests]
        assert {headers["proxy-authorization"] for headers in logins} == {"Basic bWU6cEBzcw=="}

    def test_no_proxy_connects_directly(self, zenodo, tmp_path, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1,example.org")
        fetch(zenodo, tmp_path)
        assert (tmp_path / KEY).read_bytes() == DATA

    def test_a_missing_proxy_is_reported_without_its_login(self, tmp_path, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
        with pytest.raises(NetworkError) as caught:
            download(tmp_path, record=RECORD, base_url="http://zenodo.invalid", policy=QUICK)
        assert "proxy" in str(caught.value)
        assert "secret" not in str(caught.value)

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
    def test_https_and_the_token_go_only_through_a_tunnel(self, tmp_path, monkeypatch):
        certificate, key = tmp_path / "certificate", tmp_path / "key"
        options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=zenodo.test"]
        options += ["-addext", "subjectAltName=DNS:zenodo.test", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(["openssl", "req", *options], check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setenv("S2CT_ZENODO_TOKEN", "secret-token")
        with serving({KEY: DATA}, tls) as zenodo, tunnelling(int(zenodo.url.rpartition(":")[2])) as (proxy, heads):
            monkeypatch.setenv("https_proxy", proxy)
            download(tmp_path / "out", record=RECORD, base_url="https://zenodo.test", policy=QUICK)
            assert {request.headers.get("Authorization") for request in zenodo.requests} == {"Bearer secret-token"}
        assert (tmp_path / "out" / KEY).read_bytes() == DATA
        assert all(head.startswith("CONNECT zenodo.test:443 ") and "secret-token" not in head for head in heads)
        assert all("proxy-authorization: basic" in head.lower() for head in heads)

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
    @pytest.mark.parametrize("variable", [None, "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
    def test_an_unknown_certificate_is_final_and_both_variables_are_obeyed(self, tmp_path, monkeypatch, variable):
        certificate, key = tmp_path / "certificate", tmp_path / "key"
        options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        options += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(["openssl", "req", *options], check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        if variable:
            monkeypatch.setenv(variable, str(certificate))
        with serving({KEY: DATA}, tls) as zenodo:
            base = zenodo.url.replace("http://127.0.0.1", "https://localhost")
            if variable:
                download(tmp_path / "out", record=RECORD, base_url=base, policy=QUICK)
                assert (tmp_path / "out" / KEY).read_bytes() == DATA
                return
            waits: list[object] = []
            with pytest.raises(NetworkError, match="certificate of the service cannot be verified") as caught:
                download(tmp_path / "out", record=RECORD, base_url=base, policy=QUICK, on_event=waits.append)
            assert "SSL_CERT_FILE" in caught.value.todo
            assert waits == []
