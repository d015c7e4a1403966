"""A server that does not send what it was asked for: a clear error, few bytes, and an end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from servers.zenodo import RECORD, Handler, StandIn, good, ranged, serving

from s2ct_convert.errors import NetworkError
from s2ct_convert.peeking.ranges import Ranges
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.judging import FileChanged
from s2ct_convert.record.policy import RetryPolicy
from s2ct_convert.record.run import FetchRun, open_run

KEY = "train_50SMG_2.7z"
DATA = bytes(range(256)) * 4096
QUICK = RetryPolicy(attempts=2, backoff=0.01, stall=1.0, connect=5.0)
ENDLESS, POURED = 1 << 40, 64 << 20


@pytest.fixture
def zenodo() -> Iterator[StandIn]:
    with serving({KEY: DATA}) as stand_in:
        yield stand_in


@pytest.fixture
def run(zenodo) -> Iterator[FetchRun]:
    with open_run(RECORD, base_url=zenodo.url, policy=QUICK, budget=Budget(1000)) as opened:
        yield opened


def ranges(zenodo: StandIn, run: FetchRun, *, md5: str | None = None, size: int | None = len(DATA)) -> Ranges:
    return Ranges(run, KEY, [f"{zenodo.url}/records/{RECORD}/files/{KEY}?download=1"], size=size, md5=md5)


def part(handler: Handler, start: int, body: bytes, *, length: int | None = -1, **headers: str) -> None:
    """A range of the right size in words, with any body."""
    stop = handler.stop or 0
    told = {"Content-Range": f"bytes {start}-{stop - 1}/{len(DATA)}", **headers}
    handler.head(206, len(body) if length == -1 else length, told)
    handler.wfile.write(body)
    if length is None:
        handler.close_connection = True


def pour(handler: Handler) -> None:
    """Send 64 MiB, or until the other side hangs up."""
    handler.close_connection = True
    with suppress(OSError):
        for _ in range(POURED >> 16):
            handler.wfile.write(bytes(1 << 16))
            handler.server.stand_in.sent += 1 << 16


def whole_without_end(handler: Handler, data: bytes, start: int) -> None:
    handler.head(200, ENDLESS, {})
    pour(handler)


def endless(handler: Handler, data: bytes, start: int) -> None:
    part(handler, start, b"", length=None)
    pour(handler)


LIES = {
    "another start": (lambda h, d, s: part(h, s, b"", **{"Content-Range": f"bytes 7-99/{len(d)}"}), "other bytes"),
    "another end": (lambda h, d, s: part(h, s, b"", **{"Content-Range": f"bytes {s}-9/{len(d)}"}), "other bytes"),
    "another size": (lambda h, d, s: part(h, s, b"", **{"Content-Range": "bytes 100-199/200"}), "another size"),
    "no Content-Range": (lambda h, d, s: h.answer(206, d[s : h.stop]), "does not say which bytes"),
    "several ranges": (
        lambda h, d, s: h.answer(206, b"--x", {"Content-Type": "multipart/byteranges; boundary=x"}),
        "does not say which bytes",
    ),
    "too many bytes": (lambda h, d, s: part(h, s, d[s : (h.stop or 0) + 1]), "more bytes than"),
    "bytes without end": (endless, "more bytes than"),
    "the whole file": (whole_without_end, "does not send parts"),
    "no such range": (lambda h, d, s: h.answer(416, b"", {"Content-Range": "bytes */50"}), "no such bytes"),
    "too few bytes": (lambda h, d, s: (part(h, s, d[s : s + 40], length=100), h.hang_up()), "gave up after 2"),
    "a web page": (lambda h, d, s: part(h, s, b"<html>", **{"Content-Type": "text/html"}), "a web page"),
    "packed content": (lambda h, d, s: part(h, s, d[s : h.stop], **{"Content-Encoding": "gzip"}), "content encoding"),
    "nothing": (lambda h, d, s: (part(h, s, b"", length=100), h.server.stand_in.release.wait(20)), "no data for 1 s"),
}


@pytest.mark.every_variant
@pytest.mark.parametrize("lie", [one for one in LIES if one != "nothing"])
def test_a_lie_is_a_network_error_and_costs_little(zenodo, run, lie):
    vice, says = LIES[lie]
    zenodo.vices[KEY] = [vice] * 4
    asked = ranges(zenodo, run)
    with pytest.raises(NetworkError, match=says) as caught:
        asked.get(100, 200)
    assert caught.value.where == KEY
    assert asked.bytes <= 1 << 17  # one block, or two after a retry
    assert asked.requests == len(zenodo.asked(KEY)) <= QUICK.attempts


@pytest.mark.slow
def test_a_server_that_falls_silent_is_a_network_error(zenodo, run):
    vice, says = LIES["nothing"]
    zenodo.vices[KEY] = [vice] * 4
    began = time.monotonic()
    with pytest.raises(NetworkError, match=says):
        ranges(zenodo, run).get(100, 200)
    assert time.monotonic() - began < 20


def test_the_body_of_a_server_without_ranges_is_not_read(zenodo, run):
    zenodo.vices[KEY] = [whole_without_end] * 4
    asked = ranges(zenodo, run)
    with pytest.raises(NetworkError, match="nothing of it was read"):
        asked.get(0, 100)
    assert (asked.requests, asked.bytes) == (1, 0)


def test_the_other_url_is_tried_before_giving_up(zenodo, run):
    zenodo.vices[KEY] = [lambda h, d, s: h.answer(200, d), good]
    urls = [f"{zenodo.url}/api/records/{RECORD}/files/{KEY}/content"]
    asked = Ranges(run, KEY, [*urls, f"{zenodo.url}/records/{RECORD}/files/{KEY}?download=1"], size=len(DATA))
    assert asked.get(5, 300) == DATA[5:300]
    assert (asked.requests, asked.bytes) == (2, 295)


def test_an_etag_with_another_md5_is_a_changed_file(zenodo, run):
    zenodo.vices[KEY] = [lambda h, d, s: h.answer(206, d[s : h.stop], {**ranged(d, s), "ETag": f'"md5:{"1" * 32}"'})]
    with pytest.raises(FileChanged, match="another file"):
        ranges(zenodo, run, md5="0" * 32).get(0, 100)


def test_an_interrupted_answer_is_requested_again(zenodo, run):
    zenodo.vices[KEY] = [lambda h, d, s: (part(h, s, d[s : s + 40], length=100), h.reset())]
    asked = ranges(zenodo, run)
    assert asked.get(100, 200) == DATA[100:200]
    assert asked.requests == 2


def test_the_body_of_a_redirect_is_not_read(zenodo, run):
    def away(handler: Handler, data: bytes, start: int) -> None:
        handler.head(302, ENDLESS, {"Location": f"/api/records/{RECORD}/files/{KEY}/content"})
        pour(handler)

    zenodo.vices[KEY] = [away]
    assert ranges(zenodo, run).get(100, 200) == DATA[100:200]
    assert zenodo.sent < POURED


def test_the_first_answer_gives_the_size_of_a_file(zenodo, run):
    asked = ranges(zenodo, run, size=None)
    assert asked.get(0, 2 * len(DATA)) == DATA
    assert asked.size == len(DATA)
