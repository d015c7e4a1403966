"""A stand-in for Zenodo on a loopback socket: serves a record and its files, and can misbehave in each answer.

A file has a list of vices, one per answer in order; after the last one, answers are good. A vice is a function that
writes anything to the socket.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

RECORD = "4711"


@dataclass(frozen=True)
class Request:
    """A request: path, first byte of the range, all headers, and the end of the range if it has one."""

    path: str
    start: int
    headers: dict[str, str]
    stop: int | None = None


@dataclass
class Limit:
    """A limit of ``requests`` in any window of ``seconds`` for all clients; refuses and counts further requests."""

    requests: int
    seconds: float
    told: bool = True  # announced in the headers of every answer, not only by refusals
    refused: int = 0
    most: int = 0
    _seen: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def others(self, requests: int) -> None:
        """Count requests of another client at the same address, just now."""
        self._seen.extend([time.monotonic()] * requests)

    def count(self) -> tuple[bool, dict[str, str]]:
        """Count a request; return whether it exceeds the limit, and the headers of the answer."""
        with self._lock:
            now = time.monotonic()
            while self._seen and self._seen[0] <= now - self.seconds:
                self._seen.popleft()
            too_many = len(self._seen) >= self.requests
            if too_many:
                self.refused += 1
            else:
                self._seen.append(now)
            self.most = max(self.most, len(self._seen))
            wait = self._seen[0] + self.seconds - now
            told = {
                "X-RateLimit-Limit": str(self.requests),
                "X-RateLimit-Remaining": str(self.requests - len(self._seen)),
                "X-RateLimit-Reset": str(math.ceil(time.time() + wait)),
            }
            return too_many, {**(told if self.told else {}), "Retry-After": str(math.ceil(wait))}


Vice = Callable[["Handler", bytes, int], None]


@dataclass
class StandIn:
    """The record, the vices of its answers, and the requests so far."""

    files: dict[str, bytes]
    vices: dict[str, list[Vice]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    record_vices: list[Vice] = field(default_factory=list)
    limit: Limit | None = None
    url: str = ""
    sent: int = 0  # bytes of files in all answers
    release: threading.Event = field(default_factory=threading.Event)  # ends every stall

    def asked(self, key: str) -> list[int]:
        """The first byte of each request for a file."""
        return [request.start for request in self.requests if f"/files/{key}" in request.path]

    def document(self) -> dict[str, object]:
        files = [
            {"key": key, "size": len(data), "checksum": f"md5:{hashlib.md5(data).hexdigest()}", "links": {}}
            for key, data in self.files.items()
        ]
        return {"id": int(RECORD), "recid": RECORD, "doi": f"10.5281/zenodo.{RECORD}", "files": files}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    told: dict[str, str]  # of the limit
    stop: int | None  # end of the range of the request

    def do_GET(self) -> None:
        stand_in = self.server.stand_in
        self.told = {"X-RateLimit-Limit": "133", "X-RateLimit-Remaining": "100", "Retry-After": "59"}
        too_many = False
        if stand_in.limit:
            too_many, self.told = stand_in.limit.count()
        match = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        self.stop = int(match[2]) + 1 if match and match[2] else None
        stand_in.requests.append(Request(self.path, start, dict(self.headers), self.stop))
        self.path = re.sub(r"^http://[^/]+", "", self.path)  # a request to a proxy has the whole URL
        if too_many:
            self.answer(429, b"<html>Too many requests</html>", {"Content-Type": "text/html"})
            return
        if self.path == f"/api/records/{RECORD}":
            body = json.dumps(stand_in.document()).encode()
            vice = stand_in.record_vices.pop(0) if stand_in.record_vices else None
            if vice:
                vice(self, body, 0)
            else:
                self.answer(200, body, {"Content-Type": "application/json"})
            return
        path = re.fullmatch(rf"(?:/api)?/records/{RECORD}/files/(.+?)(?:/content|\?download=1)", self.path)
        key = unquote(path[1]) if path else ""
        if key not in stand_in.files:
            self.answer(404, b'{"status": 404}', {"Content-Type": "application/json"})
            return
        vices = stand_in.vices.get(key)
        if vices:
            vices.pop(0)(self, stand_in.files[key], start)
        else:
            good(self, stand_in.files[key], start)

    def head(self, status: int, length: int | None, headers: dict[str, str]) -> None:
        """Send status and headers, including those that Zenodo sends with every answer."""
        self.send_response(status)
        self.send_header("Accept-Ranges", "none")  # Zenodo sends both
        self.send_header("Accept-Ranges", "bytes")
        for name, value in self.told.items():
            if (
                name != "Retry-After" or status in (200, 206) or self.server.stand_in.limit
            ):  # it has no meaning with success
                self.send_header(name, value)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.head(status, len(body), headers or {})
        self.wfile.write(body)
        self.server.stand_in.sent += len(body) * ("/files/" in self.path)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def reset(self) -> None:
        """Close the connection with RST."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


def ranged(data: bytes, start: int, total: int | None = None) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data) if total is None else total}"}


def good(handler: Handler, data: bytes, start: int) -> None:
    if start >= len(data) > 0:
        handler.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        return
    body = data[start : handler.stop]
    if handler.stop is not None:
        handler.answer(206, body, {"Content-Range": f"bytes {start}-{start + len(body) - 1}/{len(data)}"})
    elif start:
        handler.answer(206, body, ranged(data, start))
    else:
        handler.answer(200, body)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64  # with a shorter queue some lanes connect a second later, when the kernel retries
    daemon_threads = True
    stand_in: StandIn


@contextmanager
def serving(files: dict[str, bytes], tls: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    """Run a stand-in that serves these files."""
    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        stand_in = server.stand_in = StandIn(files)
        stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield stand_in
        finally:
            stand_in.release.set()
            server.shutdown()
            thread.join()


class Tunnel(socketserver.BaseRequestHandler):
    """A proxy that supports only CONNECT and always connects to the same port."""

    server: TunnelServer

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(4096)
        self.server.heads.append(head.decode())
        with socket.create_connection(("127.0.0.1", self.server.port)) as target:
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pipe, args=(target, self.request), daemon=True)
            back.start()
            pipe(self.request, target)
            back.join()


def pipe(source: socket.socket, target: socket.socket) -> None:
    """Copy all bytes until one end closes."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # either end may close first


class TunnelServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    port: int
    heads: list[str]


@contextmanager
def tunnelling(port: int) -> Iterator[tuple[str, list[str]]]:
    """Run a proxy that connects to a port; yield its URL and the heads of its requests."""
    with TunnelServer(("127.0.0.1", 0), Tunnel) as server:
        server.port, server.heads = port, []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://me:secret@127.0.0.1:{server.server_address[1]}", server.heads
        server.shutdown()
