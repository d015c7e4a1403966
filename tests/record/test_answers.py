"""Messages for network errors and error responses."""

from __future__ import annotations

import io

import pytest
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)

from s2ct_convert.errors import EXIT_NETWORK
from s2ct_convert.record.answers import describe, refused

pytestmark = pytest.mark.every_variant  # all are quick


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NameResolutionError("z", None, OSError("x")), "the name of the service cannot be resolved"),
        (
            NewConnectionError(None, "<conn object at 0x7f>] Connection refused"),
            "no connection: Connection refused",
        ),
        (ConnectTimeoutError(None, "u", "x"), "the connection timed out"),
        (ReadTimeoutError(None, "u", "x"), "the service sent no data for too long"),
        (ProtocolError("x", OSError("y")), "the connection was lost"),
        (ProxyError("x http://me:secret@p", OSError("y")), "the proxy refuses the connection"),
        (MaxRetryError(None, "u", NewConnectionError(None, "c>] Refused")), "no connection: Refused"),
        (OSError("odd"), "OSError: odd"),
    ],
)
def test_an_error_is_described_without_addresses_and_secrets(error, words):
    assert describe(error) == words


@pytest.mark.parametrize(
    ("code", "kind", "body", "words"),
    [
        (401, "application/json", b'{"message": "no"}', ["(401)", "S2CT_ZENODO_TOKEN"]),
        (403, "application/json", b"{}", ["(403)", "access to this file is restricted"]),
        (403, "text/html; charset=utf-8", b"<title>Unusual</title>", ["blocks this program", "Unusual"]),
        (401, "TEXT/HTML", b"<p>Reference ID: abc123456</p>", ["reference abc123456", "--user-agent"]),
        (404, "text/html", b"", ["does not have this file (404)"]),
        (410, "application/json", b"", ["does not have this file (410)"]),
        (400, "text/plain", b"bad \xff request", ["answers 400", "bad \ufffd request"]),
        (405, None, b"", ["answers 405"]),
    ],
)
def test_a_final_response_becomes_an_error_message(code, kind, body, words):
    url = "http://me:secret@zenodo.invalid/x.7z?access_token=secret"
    headers = {"Content-Type": kind} if kind else {}
    answer = urllib3.HTTPResponse(io.BytesIO(body), headers, code, preload_content=False, request_url=url)
    error = refused("x.7z", answer)
    assert error.exit_code == EXIT_NETWORK
    assert all(word in str(error) for word in words), str(error)
    assert "secret" not in str(error)
