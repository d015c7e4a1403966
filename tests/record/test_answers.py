"""What a user is told of an answer that is not the file, and of the lack of one."""

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
from s2ct_convert.record.answers import refused, told


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NameResolutionError("z", None, OSError("x")), "the name of the service cannot be resolved"),
        (
            NewConnectionError(None, "<conn object at 0x7f>] Connection refused"),
            "no connection: Connection refused",
        ),
        (ConnectTimeoutError(None, "u", "x"), "the service does not answer"),
        (ReadTimeoutError(None, "u", "x"), "no data came for too long"),
        (ProtocolError("x", OSError("y")), "the connection broke off"),
        (ProxyError("x http://me:secret@p", OSError("y")), "the proxy does not let us through"),
        (MaxRetryError(None, "u", NewConnectionError(None, "c>] Refused")), "no connection: Refused"),
        (OSError("odd"), "OSError: odd"),
    ],
)
def test_an_error_is_told_without_addresses_and_secrets(error, words):
    assert told(error) == words


@pytest.mark.parametrize(
    ("code", "kind", "body", "words"),
    [
        (401, "application/json", b'{"message": "no"}', ["(401)", "S2CT_ZENODO_TOKEN"]),
        (403, "application/json", b"{}", ["(403)", "does not give this file to everyone"]),
        (403, "text/html; charset=utf-8", b"<title>Unusual</title>", ["refuses this program", "Unusual"]),
        (401, "TEXT/HTML", b"<p>Reference ID: abc123456</p>", ["reference abc123456", "--user-agent"]),
        (404, "text/html", b"", ["does not have this file (404)"]),
        (410, "application/json", b"", ["does not have this file (410)"]),
        (400, "text/plain", b"bad \xff request", ["answers 400", "bad \ufffd request"]),
        (405, None, b"", ["answers 405"]),
    ],
)
def test_an_answer_that_is_final_is_told(code, kind, body, words):
    url = "http://me:secret@zenodo.invalid/x.7z?access_token=secret"
    headers = {"Content-Type": kind} if kind else {}
    answer = urllib3.HTTPResponse(io.BytesIO(body), headers, code, preload_content=False, request_url=url)
    error = refused("x.7z", answer)
    assert error.exit_code == EXIT_NETWORK
    assert all(word in str(error) for word in words), str(error)
    assert "secret" not in str(error)
