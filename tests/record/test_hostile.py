"""Servers that lie, drip and never end: a clear error in bounded time, on every kind of request."""

from __future__ import annotations

import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest

from s2ct_convert.errors import EXIT_NETWORK, NetworkError, WrongUsage
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.live import fetch_manifest
from s2ct_convert.record.manifest import BadManifest, Manifest, RecordFile
from s2ct_convert.record.policy import page_says, whole_number
from s2ct_convert.record.run import open_run
from s2ct_convert.record.service import Service, _target

from .test_fetching import QUICK

pytestmark = pytest.mark.every_variant  # all are quick

HURRIED = replace(QUICK, attempts=2, answer=0.3)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Send = Callable[[bytes], None]


@contextmanager
def server(behave: Callable[[Send], None]) -> Iterator[str]:
    """Reads each request and lets ``behave`` answer; it ends when the client has gone. Yields the root URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client: socket.socket) -> None:
            with client, suppress(OSError):
                client.recv(65536)
                behave(client.sendall)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def drip(send: Send, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        send(piece)
        time.sleep(0.01)


def head(*lines: bytes) -> bytes:
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


ENDLESS: dict[str, Callable[[Send], None]] = {
    "100 Continue": lambda send: drip(send, itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "a status that drips": lambda send: drip(send, itertools.repeat(b"H")),
    "headers that drip": lambda send: drip(send, itertools.chain([OK], itertools.repeat(b"X"))),
    "many headers": lambda send: drip(send, itertools.chain([OK], (b"X-%d: 1\r\n" % i for i in itertools.count()))),
    "a body that drips": lambda send: drip(
        send, itertools.chain([head(b"Content-Length: 9999999")], itertools.repeat(b" "))
    ),
    "chunks that drip": lambda send: drip(
        send, itertools.chain([head(b"Transfer-Encoding: chunked")], itertools.repeat(b"1\r\n \r\n"))
    ),
    "the size of a chunk that drips": lambda send: drip(
        send, itertools.chain([head(b"Transfer-Encoding: chunked")], itertools.repeat(b"0"))
    ),
    "redirects with endless bodies": lambda send: drip(
        send,
        itertools.chain(
            [b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 999999999\r\n\r\n"],
            itertools.repeat(b"x" * 999),
        ),
    ),
    "an error page that drips": lambda send: drip(
        send, itertools.chain([b"HTTP/1.1 418 No\r\nContent-Length: 9999999\r\n\r\n"], itertools.repeat(b" "))
    ),
}


def files(key: str, size: int = 1) -> bytes:
    return json.dumps({"files": [{"key": key, "size": size, "checksum": "md5:" + "0" * 32}]}).encode()


STRANGE = {
    "no JSON": b"<html>",
    "deep JSON": b"[" * 200_000,
    "a number of 5,000 digits": b'{"id": ' + b"9" * 5000 + b"}",
    "a list": b"[1]",
    "another record": b'{"id": 4, "files": []}',
    "no files": b'{"files": {}}',
    "a size of 200 digits": files("a", 10**200),
    "half a character": files("\ud800"),
    "a name that turns text around": files("a\u202eb"),
    "a name with an escape": files("a\x9b31m"),
    "a name of our own": files("1.lock.json"),
    "a folder of our own": files(".s2ct-receipts/a"),
}


def ask(url: str) -> Manifest:
    with open_run("1", base_url=url, policy=HURRIED, budget=Budget(1000)) as run:
        return fetch_manifest(run)


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_answer_is_a_network_error(kind, monkeypatch):
    monkeypatch.setattr("s2ct_convert.record.answers.BODY_SECONDS", 0.3)
    with server(ENDLESS[kind]) as url, pytest.raises(NetworkError) as caught:
        ask(url)
    assert caught.value.exit_code == EXIT_NETWORK


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_document_is_one_error(kind):
    body = STRANGE[kind]
    with (
        server(lambda send: send(head(b"Content-Length: %d" % len(body)) + body)) as url,
        pytest.raises((NetworkError, BadManifest)) as caught,
    ):
        ask(url)
    assert str(caught.value).isprintable() or "\n  " in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert "\x9b" not in str(caught.value)


HEADERS = {
    "a length in digits of another script": b"Content-Length: \xb2",
    "a negative length": b"Content-Length: -5",
    "a length of 5,000 digits": b"Content-Length: " + b"9" * 5000,
    "two lengths": b"Content-Length: 5\r\nContent-Length: 7",
    "a chunk of no size": b"Transfer-Encoding: chunked\r\n\r\n\xb2\r\n",
    "an encoding that is none": b"Content-Encoding: \x1b]0;x\x07",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_strange_header_is_a_network_error(kind):
    with server(lambda send: send(OK + HEADERS[kind] + b"\r\n\r\n{")) as url, pytest.raises(NetworkError) as caught:
        ask(url)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", str(caught.value))


def test_a_reason_with_control_characters_is_shown_escaped():
    answer = b"HTTP/1.1 404 \x1b]0;x\x07\x9b31m\r\nContent-Length: 0\r\n\r\n"
    with server(lambda send: send(answer)) as url, pytest.raises(NetworkError) as caught:
        ask(url)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", str(caught.value))


def test_a_long_error_page_is_summed_up_at_once():
    blanks = "reference" + " " * 4000 + "!"
    assert page_says(blanks * 50) == "reference !reference"
    assert page_says("<title" * 700 + "<" * 4000)


def test_long_lists_take_time_in_proportion():
    listed = [RecordFile(f"f{i}", f"{i:032x}", i) for i in range(20_000)]
    manifest = Manifest.of("1", listed)
    assert all(manifest.find(file.key) is file for file in manifest.files)
    with pytest.raises(BadManifest, match="two files have the same name"):
        Manifest.of("1", [*listed, RecordFile("f7", "0" * 32, 7)])


def test_digits_of_other_scripts_are_not_numbers():
    assert [whole_number(text) for text in ("\u00b2", "\u0663", "-1", "9" * 20, "", None, "12")] == [None] * 6 + [12]


class TestToken:
    def test_it_is_not_sent_over_plain_http(self):
        with pytest.raises(WrongUsage, match="not sent over plain http") as caught:
            Service("http://mirror.example", token="secret")
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("base", ["https://zenodo.org", "http://127.0.0.1:1", "http://localhost:1"])
    def test_it_is_sent_over_https_and_on_this_machine(self, base):
        Service(base, token="secret").close()


def test_a_redirect_from_https_to_http_is_refused():
    with pytest.raises(NetworkError, match="from https to plain http"):
        _target("https://zenodo.org/a", "http://zenodo.org/a")
