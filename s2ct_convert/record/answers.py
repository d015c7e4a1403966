"""Turn network errors and error responses into messages."""

from __future__ import annotations

import ssl

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.response import BaseHTTPResponse

from ..errors import NetworkError, S2ctError
from .bounds import read_body
from .policy import page_says
from .service import redact

BODY_BYTES = 4096  # read from an error page
BODY_SECONDS = 20.0  # for them


def describe(error: Exception) -> str:
    """A network error in a few words, without addresses of objects and without secrets."""
    inner = error
    while isinstance(getattr(inner, "reason", None), Exception):
        inner = inner.reason  # type: ignore[attr-defined]
    match inner:
        case NameResolutionError():
            return "the name of the service cannot be resolved"
        case ProxyError():
            return "the proxy refuses the connection"
        case NewConnectionError():
            return f"no connection: {str(inner).rpartition('] ')[2] or inner}"
        case ConnectTimeoutError():
            return "the connection timed out"
        case ReadTimeoutError():
            return "the service sent no data for too long"
        case ProtocolError():
            return "the connection was lost"
    words = str(inner).rpartition(">: ")[2] or str(inner)
    return f"{type(inner).__name__}: {words}"[:200]


def without_hope(error: Exception, where: str) -> NetworkError | None:
    """The error for a failure that a retry will not change; None for the others."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ssl.SSLCertVerificationError):
        reason = getattr(inner, "reason", None)
        inner = reason if isinstance(reason, Exception) else inner.__cause__ or inner.__context__
    if inner is None:
        return None
    return NetworkError(
        "the certificate of the service cannot be verified",
        where=where,
        found=getattr(inner, "verify_message", "") or str(inner),
        todo="check the clock of this machine; if a proxy has its own certificate, set SSL_CERT_FILE to that",
    )


def body_of(answer: BaseHTTPResponse) -> str:
    """The first ``BODY_BYTES`` bytes of a body, as text; empty if they do not come."""
    try:
        return read_body(answer, BODY_BYTES, BODY_SECONDS).decode("utf-8", "replace")
    except (NetworkError, HTTPError, OSError):
        return ""


def refused(key: str, answer: BaseHTTPResponse, *, what: str = "file") -> S2ctError:
    """The error for a response that a retry will not change. ``what`` was requested: a file or a record."""
    status, html = answer.status, answer.headers.get("Content-Type", "").lower().startswith("text/html")
    body = body_of(answer)
    where = f"{key} ({redact(answer.url or '')})" if answer.url else key
    if status in (401, 403) and html:
        return NetworkError(
            f"the service blocks this program or this network ({status}): {page_says(body)}",
            where=where,
            todo="try another network, or --user-agent; if there is a reference, send it to the service",
        )
    if status in (401, 403):
        return NetworkError(
            f"access to this {what} is restricted ({status})",
            where=where,
            found=body[:200],
            todo="set S2CT_ZENODO_TOKEN to a token that may read it",
        )
    if status in (404, 410):
        todo = (
            "check the name with s2ct list"
            if what == "file"
            else "check --record; a restricted record needs S2CT_ZENODO_TOKEN"
        )
        return NetworkError(f"the service does not have this {what} ({status})", where=where, todo=todo)
    return NetworkError(f"the service answers {status} {answer.reason or ''}".rstrip(), where=where, found=body[:200])
