"""Bounds on what a service may make us wait for: connecting, headers, and small bodies.

A timeout of a socket bounds each read, not their sum. A server that sends one byte a minute, or ``100 Continue``
without end, would hold a request for ever. Here a timer shuts the socket down, which wakes the thread that reads.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

from ..errors import NetworkError

_PIECE = 1 << 16


class SlowBody(NetworkError):
    """A body that does not end in time."""


@contextmanager
def _time_limit(seconds: float, cut: Callable[[], None]) -> Iterator[threading.Event]:
    """Call ``cut`` after ``seconds``, unless the block has ended. The event says whether it was called."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError, ValueError, RuntimeError):  # it is closed already
            cut()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()


class _Bounded:
    """A connection that has ``seconds`` to connect, and as long for the status and the headers of a response."""

    seconds: float
    sock: socket.socket | None

    def connect(self) -> None:
        self._bounded(super().connect, "the service does not finish the connection")  # type: ignore[misc]

    def getresponse(self) -> Any:
        return self._bounded(super().getresponse, "the service does not finish its headers")  # type: ignore[misc]

    def _bounded(self, work: Callable[[], Any], why: str) -> Any:
        with _time_limit(self.seconds, self._cut) as over:
            try:
                return work()
            except Exception as error:
                if over.is_set():
                    raise TimeoutError(why) from error  # urllib3 makes it an error of its own
                raise

    def _cut(self) -> None:
        if self.sock is not None:
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # not that of TLS, which another thread uses


def bounded_pools(seconds: float) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Classes of connection pools, by scheme, whose connections have ``seconds`` for each step before the body."""
    http = type("_Http", (_Bounded, HTTPConnection), {"seconds": seconds})
    https = type("_Https", (_Bounded, HTTPSConnection), {"seconds": seconds})
    return {
        "http": type("_HttpPool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": http}),
        "https": type("_HttpsPool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": https}),
    }


def read_body(answer: BaseHTTPResponse, most: int, seconds: float) -> bytes:
    """The first ``most`` bytes of a body, or all if it is shorter.

    Raises
    ------
    SlowBody
        If they do not come within ``seconds``.
    urllib3.exceptions.HTTPError, OSError
        If the connection breaks.
    """
    pieces, missing = [], most
    with _time_limit(seconds, answer.shutdown) as over:
        while missing and not over.is_set():
            try:
                piece = answer.read1(min(missing, _PIECE))
            except Exception:
                if over.is_set():
                    break
                raise
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
    if over.is_set() and missing:
        raise SlowBody(f"the service sent {most - missing:,} bytes in {seconds:.0f} s, and not the end")
    return b"".join(pieces)
