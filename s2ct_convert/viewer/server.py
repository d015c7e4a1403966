"""A small HTTP server for one store and the page that shows it.

It answers GET and HEAD under one secret path, with Range, and nothing else: no listing, no links out of the store, no
other host name (so a web page elsewhere cannot reach it by DNS rebinding), no CORS unless an origin is given.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ..version import __version__
from .files import Folder, names_in
from .page import PREDICTIONS, STORE, TYPES, page_file
from .ranges import Unsatisfiable, byte_range

_IDLE_SECONDS = 60  # a connection without a request is closed after this
_EVERYWHERE = ("0.0.0.0", "::", "")
_PIECE_BYTES = 1 << 20


class Server(ThreadingHTTPServer):
    """Serves a Zarr store and the page.

    Parameters
    ----------
    store : Path
        The folder of the store.
    host : str
        Name or address to listen on.
    port : int
        0: any free port.
    cors : str or None
        An origin, such as ``https://example.org``, whose pages may read the store too; ``*`` for all.
    predictions : bytes or None
        The document of predictions for the page.

    Raises
    ------
    OSError
        If the store cannot be opened, or the address is in use or not of this machine.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, store: Path, host: str, port: int, cors: str | None = None, predictions: bytes | None = None
    ) -> None:
        self.folder, self.cors, self._listens = Folder(store), cors, host
        self.predictions = predictions
        self.token = secrets.token_urlsafe(24)
        self._connections: set[socket.socket] = set()
        try:
            family, *_, address = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self.address_family = family
            super().__init__(address[:2], _Handler)  # type: ignore[arg-type]  # IPv6 addresses have four parts
        except BaseException:
            self.folder.close()
            raise

    def server_bind(self) -> None:
        """Bind, without the look-up of the machine's name that HTTPServer does: it may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self._listens, self.server_address[1]

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_port)

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        host = "127.0.0.1" if self._listens in _EVERYWHERE else self._listens
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/{self.token}/"

    def knows(self, host: str | None) -> bool:
        """Whether a Host header names this server: by the name it listens on, or as this machine.

        A server for all addresses is also known by any address, but not by any name.
        """
        name = _without_port(host or "")
        if not name:
            return False
        if name in ("127.0.0.1", "localhost", "::1", self._listens.lower()):
            return True
        if self._listens not in _EVERYWHERE:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name == socket.gethostname().lower()
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the socket, the folder of the store, and every connection.

        A browser would send requests for a next server with the same port to this one.
        """
        super().server_close()
        self.folder.close()
        for connection in list(self._connections):
            with suppress(OSError):  # it has ended
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Do not print a traceback for a browser that closes a connection early."""


def _without_port(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = f"s2ct/{__version__}", ""
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # as http.server names it
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_OPTIONS(self) -> None:
        """A browser asks before it sends Range from another origin."""
        if self._found() is None or self.server.cors is None:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)
            return
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.end_headers()

    def _found(self) -> list[str] | None:
        """The names after the token, if host and token are right; None otherwise."""
        if not self.server.knows(self.headers.get("Host")):
            return None
        token, slash, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        right = secrets.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode())
        return (rest.split("/") if rest else []) if right and slash else None

    def _answer(self, *, with_body: bool) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows the request is not another request
        names = self._found()
        if names is None:
            known = self.server.knows(self.headers.get("Host"))
            self._refuse(HTTPStatus.NOT_FOUND if known else HTTPStatus.MISDIRECTED_REQUEST)
            return
        try:
            kind, file = self._open(names)
        except OSError:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        with file:
            self._send(file, kind, with_body=with_body)

    def _open(self, names: list[str]) -> tuple[str, BinaryIO]:
        if names[:1] == [STORE]:
            checked = names_in("/".join(names[1:]))
            if checked is None:
                raise FileNotFoundError
            kind = "application/json" if checked[-1].endswith(".json") else "application/octet-stream"
            return kind, self.server.folder.open(checked)
        name, predictions = "/".join(names) or "index.html", self.server.predictions
        if name == PREDICTIONS and predictions is not None:
            return "application/json", BytesIO(predictions)
        if name not in TYPES:
            raise FileNotFoundError
        return TYPES[name], BytesIO(page_file(name, predictions=predictions is not None))

    def _send(self, file: BinaryIO, kind: str, *, with_body: bool) -> None:
        size = file.seek(0, 2)
        try:
            part = byte_range(self.headers.get("Range"), size)
        except Unsatisfiable:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, ("Content-Range", f"bytes */{size}"))
            return
        self.send_response(HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT)
        start, stop = (0, size) if part is None else (part.start, part.stop)
        if part is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if with_body:
            file.seek(start)
            _copy(file, stop - start, self.wfile)  # type: ignore[arg-type]

    def _refuse(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        body = f"{status.value} {status.phrase}\n".encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self) -> None:
        """Add what every answer has. Nothing is kept by the browser: the store may be replaced under the same name."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin" if self.server.cors is None else "cross-origin")
        if self.server.cors is not None and self.server.knows(self.headers.get("Host")):
            self.send_header("Access-Control-Allow-Origin", self.server.cors)
            self.send_header("Access-Control-Expose-Headers", "Content-Range, Accept-Ranges")
            self.send_header("Vary", "Origin")
        super().end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """An answer to a request that http.server itself refuses: without what was asked."""
        self.close_connection = True
        self.headers = getattr(self, "headers", None) or self.MessageClass()
        self.command = self.command or "GET"
        self._refuse(HTTPStatus(code))

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the address of each request has the token in it."""


def _copy(file: BinaryIO, length: int, out: BinaryIO) -> None:
    while length > 0:
        piece = file.read(min(length, _PIECE_BYTES))
        if not piece:
            raise OSError("the file became shorter while it was sent")  # ends the connection: the browser sees it
        out.write(piece)
        length -= len(piece)
