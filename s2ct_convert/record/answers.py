"""What an answer that is not the file says, and what the lack of one means, in words for a user."""

from __future__ import annotations

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
from .policy import page_says
from .service import redact

SAID_BYTES = 4096  # of an error page that are read for its message


def told(error: Exception) -> str:
    """A network error in a few words, without addresses of objects and without what may be secret."""
    inner = error
    while isinstance(getattr(inner, "reason", None), Exception):
        inner = inner.reason  # type: ignore[attr-defined]
    match inner:
        case NameResolutionError():
            return "the name of the service cannot be resolved"
        case ProxyError():
            return "the proxy does not let us through"
        case NewConnectionError():
            return f"no connection: {str(inner).rpartition('] ')[2] or inner}"
        case ConnectTimeoutError():
            return "the service does not answer"
        case ReadTimeoutError():
            return "no data came for too long"
        case ProtocolError():
            return "the connection broke off"
    words = str(inner).rpartition(">: ")[2] or str(inner)
    return f"{type(inner).__name__}: {words}"[:200]


def body_of(answer: BaseHTTPResponse) -> str:
    """The beginning of a body, as text."""
    try:
        return answer.read(SAID_BYTES).decode("utf-8", "replace")
    except (HTTPError, OSError):
        return ""


def refused(key: str, answer: BaseHTTPResponse, *, what: str = "file") -> S2ctError:
    """The error for an answer that no further request will change. ``what`` was asked for: a file or a record."""
    status, html = answer.status, answer.headers.get("Content-Type", "").lower().startswith("text/html")
    body = body_of(answer)
    where = f"{key} ({redact(answer.url or '')})" if answer.url else key
    if status in (401, 403) and html:
        return NetworkError(
            f"the service refuses this program or this network ({status}): {page_says(body)}",
            where=where,
            todo="try another network, or --user-agent; tell the service the reference if it gives one",
        )
    if status in (401, 403):
        return NetworkError(
            f"the service does not give this {what} to everyone ({status})",
            where=where,
            found=body[:200],
            todo="set S2CT_ZENODO_TOKEN to a token that may read it",
        )
    if status in (404, 410):
        todo = "see s2ct list" if what == "file" else "check --record; a restricted record needs S2CT_ZENODO_TOKEN"
        return NetworkError(f"the service does not have this {what} ({status})", where=where, todo=todo)
    return NetworkError(f"the service answers {status} {answer.reason or ''}".rstrip(), where=where, found=body[:200])
