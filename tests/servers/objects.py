"""A server of the files of a folder, as a bucket or a web server has them; it counts requests and can misbehave.

It answers GET and HEAD with one range and ``If-Match``, GET with a list, and POST to delete. PUT takes
``If-None-Match: *``, unless it ignores it. A vice is a function that gets the first requests for a key and answers them
in its own way.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

MODIFIED, LISTED = "Fri, 02 Jan 2026 00:00:00 GMT", "2026-01-02T00:00:00.000Z"
Vice = Callable[["Handler"], None]


@dataclass
class Bucket:
    """The folder that is served, and what was asked for."""

    folder: Path
    ranges: bool = True
    suffixes: bool = True  # ranges that count from the end
    etag: Callable[[bytes], str] = field(default_factory=lambda: etag_of)  # of an object
    conditions: bool = True
    matches: bool = True  # If-Match; without it, even the right tag is refused
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, key, range
    vices: dict[str, list[Vice]] = field(default_factory=dict)  # by a part of "METHOD key"
    after_writes: tuple[int, Vice] | None = None  # the number of a PUT or a deletion, from 1, and its vice
    writes: int = 0
    signed: list[str] = field(default_factory=list)  # headers with the access key and the signature
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def puts(self) -> list[str]:
        return [key for method, key, _ in self.requests if method == "PUT"]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Any
    key: str
    body: bytes

    def _begin(self) -> bool:
        bucket: Bucket = self.server.bucket
        self.key = unquote(urlsplit(self.path).path).lstrip("/")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = f"{self.command} {self.key}"
        with bucket.lock:
            bucket.requests.append((self.command, self.key, self.headers.get("Range", "")))
            bucket.signed.append(self.headers.get("Authorization", ""))
            vice = next((left.pop(0) for part, left in bucket.vices.items() if part in what and left), None)
            bucket.writes += self.command in ("PUT", "POST")
            number, numbered = bucket.after_writes or (0, None)
            if numbered and bucket.writes == number and self.command in ("PUT", "POST") and not vice:
                vice, bucket.after_writes = numbered, None
        if vice:
            vice(self)
        return vice is None

    def do_GET(self) -> None:
        if self._begin():
            self.serve()

    do_HEAD = do_GET

    def serve(self) -> None:
        path = self.server.bucket.folder / self.key
        if "list-type=2" in self.path:
            self.list_objects(path)
            return
        if not path.is_file():
            self.refuse(404, "NoSuchKey")
            return
        data = path.read_bytes()
        headers = {"ETag": self.server.bucket.etag(data)}
        if self.headers.get("If-Match", headers["ETag"]) != headers["ETag"]:
            self.refuse(412, "PreconditionFailed")
            return
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not (asked and self.server.bucket.ranges):
            self.answer(200, data, headers)
            return
        if not (self.server.bucket.suffixes or asked[1]):
            self.answer(200, data, headers)
            return
        low, high = (int(one) if one else None for one in asked.groups())
        start = max(0, len(data) - (high or 0)) if low is None else low
        stop = len(data) if low is None or high is None else min(high + 1, len(data))
        if start >= len(data):
            self.refuse(416, "InvalidRange")
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self.answer(206, data[start:stop], headers)

    def list_objects(self, folder: Path) -> None:
        """The keys below a prefix, in one answer."""
        prefix = parse_qs(urlsplit(self.path).query).get("prefix", [""])[0]
        if not folder.is_dir():
            self.refuse(404, "NoSuchBucket")
            return
        known = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{LISTED}</LastModified>"
            f"<ETag>{etag_of(path.read_bytes())}</ETag><Size>{path.stat().st_size}</Size></Contents>"
            for key, path in sorted(known.items())
            if key.startswith(prefix)
        )
        self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode(), {})

    def do_PUT(self) -> None:
        if self._begin():
            self.store()

    def store(self) -> None:
        bucket: Bucket = self.server.bucket
        path = bucket.folder / self.key
        with bucket.lock:
            if bucket.conditions and self.headers.get("If-None-Match") == "*" and path.exists():
                self.refuse(412, "PreconditionFailed")
                return
            tag = self.headers.get("If-Match") if bucket.conditions else None
            if tag and not (bucket.matches and path.exists() and tag == etag_of(path.read_bytes())):
                self.refuse(412, "PreconditionFailed")
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.body)
        self.answer(200, b"", {"ETag": etag_of(self.body)})

    def do_POST(self) -> None:
        """Delete objects of a bucket, by a list of their keys."""
        if self._begin():
            self.remove()

    def remove(self) -> None:
        keys = re.findall("<Key>(.*?)</Key>", self.body.decode())
        for key in keys:
            (self.server.bucket.folder / self.key / key).unlink(missing_ok=True)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self.answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode(), {})

    def write(self) -> None:
        """What a PUT or a deletion does."""
        (self.store if self.command == "PUT" else self.remove)()

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, f"<Error><Code>{code}</Code></Error>".encode(), {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Last-Modified": MODIFIED, **headers}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def etag_of(content: bytes) -> str:
    """The ETag of an object with this content."""
    return f'"{hashlib.md5(content).hexdigest()}"'


def refusing(status: int, code: str) -> Vice:
    """Answer with an error of S3."""
    return lambda handler: handler.refuse(status, code)


def cut(handler: Handler) -> None:
    """Announce a whole body and send half of it."""
    send = handler.wfile.write
    handler.wfile.write = lambda data: send(data) if data.startswith(b"HTTP/") else send(data[: len(data) // 2])  # type: ignore[method-assign]
    handler.serve()
    handler.close_connection = True


def lose_answer(handler: Handler) -> None:
    """Store the object and close the connection without an answer."""
    handler.wfile.write = lambda data: len(data)  # type: ignore[method-assign]
    handler.store()
    handler.close_connection = True


@contextmanager
def serve(folder: Path, **how: Any) -> Iterator[Bucket]:
    """Serve a folder on a loopback socket."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.bucket = bucket = Bucket(folder, **how)  # type: ignore[attr-defined]
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
