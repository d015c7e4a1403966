"""The server answers the page and the store under one secret address, and nothing else."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import s2ct_convert
from s2ct_convert.viewer.ranges import Unsatisfiable, byte_range
from s2ct_convert.viewer.server import Server


@pytest.fixture(scope="module")
def store(sample_stores, tmp_path_factory) -> Path:
    """A small folder as a store, with what must not be served in it."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "secret").write_text("not for you")
    made = folder / "x.zarr"
    (made / "train/31TCJ").mkdir(parents=True)
    (made / "zarr.json").write_bytes(b'{"a": 1}')
    (made / "train/31TCJ/zarr.json").write_bytes(b"0123456789")
    (made / ".hidden").write_text("hidden")
    (made / "link").symlink_to("../secret")
    (made / "folder").symlink_to("..")
    (made / "inner").symlink_to("zarr.json")
    os.mkfifo(made / "pipe")
    return made


def running(store: Path, **options: str) -> Iterator[Server]:
    server = Server(store, options.pop("host", "127.0.0.1"), 0, **options)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def server(store) -> Iterator[Server]:
    yield from running(store)


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers; the path is sent as it is. ``{token}`` stands for the token."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    path = path.replace("{token}", server.token)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": f"127.0.0.1:{server.port}", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def test_the_page_and_the_files_of_the_store_are_served(server):
    status, page, headers = ask(server, "/{token}/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'content="store/"' in page
    assert ask(server, "/{token}/app.js")[0] == 200
    assert ask(server, "/{token}/store/zarr.json?x=1")[:2] == (200, b'{"a": 1}')
    assert ask(server, "/{token}/store/train/31TCJ/zarr.json", "HEAD")[:2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/favicon.ico", "/store/zarr.json", "/wrong/", "/wrong/store/zarr.json", "/{token}", "/{token}x/",
        "/{token}/index.htm", "/{token}/store", "/{token}/store/", "/{token}/store/train",
        "/{token}/store/train/", "/{token}/store/.hidden", "/{token}/store/link", "/{token}/store/inner",
        "/{token}/store/folder/secret", "/{token}/store/pipe", "/{token}/store/../secret",
        "/{token}/store/train/../zarr.json", "/{token}/store/%2e%2e/secret", "/{token}/store/..%2fsecret",
        "/{token}/store/%252e%252e/secret", "/{token}/store/..\\secret", "/{token}/store/%5c..%5csecret",
        "/{token}/store//etc/passwd", "/{token}/store/%2fetc/passwd", "/{token}/../{token}/",
        "/{token}/store/zarr.json%00",
        "/{token}/store/%7Azarr.json", "/{token}/store/%c3%a9", "/{token}/store/nothing", "http://evil.example/{token}/",
    ],
)  # fmt: skip
def test_nothing_else_is_served(server, path):
    status, body, headers = ask(server, path)
    assert status >= 400
    assert b"not for you" not in body and server.token.encode() not in body
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "192.0.2.1", "[::2]:1"]
)
def test_a_foreign_host_is_refused(server, host):
    assert ask(server, "/{token}/", Host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "LOCALHOST", "[::1]:8000"])
def test_names_of_this_machine_are_hosts(server, host):
    assert ask(server, "/{token}/", Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(server, method):
    status, _, headers = ask(server, "/{token}/store/zarr.json", method)
    assert status >= 400
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=1-2,4-5", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=4-2", 200, b"0123456789", None),
    ],
)
def test_ranges_are_answered_as_rfc_9110_says(server, header, status, body, content_range):
    found, data, headers = ask(server, "/{token}/store/train/31TCJ/zarr.json", Range=header)
    assert (found, headers.get("Content-Range")) == (status, content_range)
    assert body is None or data == body


def test_a_range_of_an_empty_file_is_unsatisfiable():
    assert byte_range(None, 0) is None
    with pytest.raises(Unsatisfiable):
        byte_range("bytes=0-", 0)


def test_connections_are_kept_and_bodies_of_requests_are_not_requests(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        head = f"GET /{server.token}/store/zarr.json HTTP/1.1\r\nHost: localhost\r\n".encode()
        raw.sendall(head + b"\r\n" + head + b"Content-Length: 7\r\n\r\nGET / H")
        data = b""
        while piece := raw.recv(1 << 16):
            data += piece
    assert data.count(b"HTTP/1.1 200") == 2
    assert data.count(b"HTTP/1.1") == 2


def test_other_addresses_of_the_machine_are_closed(server):
    with socket.socket() as other:
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", server.port)) != 0


def test_cors_is_for_the_origin_that_was_asked_for(store):
    for server in running(store, cors="https://example.org"):
        headers = ask(server, "/{token}/store/zarr.json", Origin="https://example.org")[2]
        assert headers["Access-Control-Allow-Origin"] == "https://example.org"
        assert "Content-Range" in headers["Access-Control-Expose-Headers"]
        assert ask(server, "/{token}/store/zarr.json", "OPTIONS")[0] == 204
        assert ask(server, "/{token}/", "GET", Host="evil.example")[0] == 421


def test_a_server_for_all_addresses_is_known_by_addresses_and_no_names(store):
    for server in running(store, host="0.0.0.0"):
        assert ask(server, "/{token}/", Host="192.0.2.7:80")[0] == 200
        assert ask(server, "/{token}/", Host="evil.example")[0] == 421
        assert urlsplit(server.url).hostname == "127.0.0.1"


def test_two_views_have_two_ports(sample_stores):
    with s2ct_convert.view(sample_stores["zarr"]) as one, s2ct_convert.view(sample_stores["zarr"]) as two:
        assert urlsplit(one.url).port != urlsplit(two.url).port


def test_view_serves_until_it_is_closed(sample_stores):
    with s2ct_convert.view(sample_stores["zarr"]) as view:
        parts = urlsplit(view.url)
        assert len(parts.path.strip("/")) >= 16
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request("GET", f"{parts.path}store/zarr.json")
        assert connection.getresponse().read() == (sample_stores["zarr"] / "zarr.json").read_bytes()
        assert f'src="{view.url}"' in view._repr_html_()
    assert connection.sock.recv(1) == b"", "a connection that the browser keeps is closed too"
    with pytest.raises(OSError):
        socket.create_connection((parts.hostname, parts.port), timeout=5)
    view.close()
